"""Seeded documents of three sizes, and records of several documents."""
from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

SIZES = ('small', 'medium', 'wide')
PLATFORMS = ('ios', 'android', 'web', 'windows', 'macos', 'smart_tv', 'steam', 'nativepc')
TITLES = ('Solo Sample', 'Made Up Marriage', "Father, I don't Want this Fixture", 'Étude n° 5', '벚꽃 시험',
          'A }{ in a Title')
DAY = '2022-06-21'

# A third of them are null, as in the exports of mobile measurement partners.
_WIDE = (
    'app_id app_name bundle_id sdk_version os_version device_type device_category idfa idfv advertising_id '
    'android_id imei oaid is_lat ip country_code city state region postal_code dma language carrier operator '
    'wifi user_agent http_referrer original_url install_time attributed_touch_type attributed_touch_time '
    'media_source campaign af_c_id af_channel af_adset af_ad af_siteid af_sub1 af_sub2 af_sub3 af_keywords '
    'af_cost_value af_cost_currency event_revenue event_revenue_currency is_primary_attribution is_retargeting '
    'retargeting_conversion_type event_source custom_data api_version').split()


def documents(size: str, count: int, seed: int = 1, hours: int = 1, platforms: int = 6) -> Iterator[bytes]:
    """Yield `count` documents of a size, spread over the first `hours` of a day and over `platforms`.

    They have about 280 bytes (small), 615 (medium) or 1,600 (wide), and `event_value` is JSON text. Equal arguments
    give equal bytes.
    """
    rng = random.Random(f'{seed} {size}')
    make = {'small': _small, 'medium': _medium, 'wide': _wide}[size]
    for _ in range(count):
        yield json.dumps(make(rng, _time(rng, hours), _platform(rng.randrange(platforms)))).encode()


def records(made: Iterator[bytes], each: int) -> Iterator[bytes]:
    """Yield records of `each` concatenated documents."""
    held: list[bytes] = []
    for document in made:
        held.append(document)
        if len(held) == each:
            yield b''.join(held)
            held = []
    if held:
        yield b''.join(held)


def _platform(number: int) -> str:
    return PLATFORMS[number] if number < len(PLATFORMS) else f'platform_{number}'


def _time(rng: random.Random, hours: int) -> str:
    return (f'{DAY} {rng.randrange(hours):02d}:{rng.randrange(60):02d}:{rng.randrange(60):02d}.'
            f'{rng.randrange(1000):03d}')


def _small(rng: random.Random, time: str, platform: str) -> dict[str, Any]:
    return {'event_name': 'view', 'event_value': json.dumps(_view(rng)), 'event_time': time}


def _medium(rng: random.Random, time: str, platform: str) -> dict[str, Any]:
    return {
        **_event(rng), 'platform': platform, 'event_time': time,
        'appsflyer_id': _id(rng), 'customer_user_id': str(rng.randrange(1_000_000)), 'App Version': '3.2.3',
        'osVersion': rng.choice(['9', '15.4']), 'SDKVersion': 'v6.7.5', 'device_type': 'Pixel-7',
        'country_code': rng.choice(['KR', 'US', 'FR']), 'carrier': None, 'wifi': rng.random() < 0.5,
        'media_source': 'organic', 'campaign': None, 'af_cost_value': round(rng.random() * 9, 2)}


def _wide(rng: random.Random, time: str, platform: str) -> dict[str, Any]:
    fields: dict[str, Callable[[], Any]] = {
        'ip': lambda: f'192.0.2.{rng.randrange(256)}', 'wifi': lambda: rng.random() < 0.5,
        'af_cost_value': lambda: round(rng.random() * 9, 2), 'is_lat': lambda: False,
        'user_agent': lambda: 'ExampleAgent/1.0 (test)'}
    event: dict[str, Any] = {**_event(rng), 'event_time': time, 'platform': platform, 'appsflyer_id': _id(rng)}
    for index, name in enumerate(_WIDE):
        event[name] = None if index % 3 == 1 else fields.get(name, lambda: f'{rng.randrange(16 ** 10):010x}')()
    return event


def _event(rng: random.Random) -> dict[str, Any]:
    name, value = ('view', _view(rng)) if rng.random() < 0.8 else ('purchase', _purchase(rng))
    return {'event_name': name, 'event_value': json.dumps(value)}


def _view(rng: random.Random) -> dict[str, Any]:
    return {'screen_info': rng.choice(['Reader', 'Home', 'Search']), 'content_list': {
        'comic_id': rng.randrange(1000), 'chapter_id': rng.randrange(10_000_000),
        'chapter_sequence': rng.randrange(200), 'comic_title': rng.choice(TITLES), 'content_type': 'comic'},
        'user_id': rng.randrange(1_000_000)}


def _purchase(rng: random.Random) -> dict[str, Any]:
    return {'af_revenue': rng.randrange(400) / 4, 'af_currency': rng.choice(['KRW', 'USD']),
            'receipt': {'order id': f'T-{rng.randrange(10 ** 6)}',
                        'lines': [{'sku': 'coin_50', 'qty': rng.randrange(3)}]},
            'userProfile': {'isMember': rng.random() < 0.5, 'tags': rng.choice([[], ['new', 'kr']])}}


def _id(rng: random.Random) -> str:
    return f'{rng.randrange(10 ** 13):013d}-{rng.randrange(16 ** 10):010x}'
