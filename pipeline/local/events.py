"""Sample events like those of an app's SDK, for the demo. They are seeded, so equal arguments give equal bytes."""
from __future__ import annotations

import datetime
import json
import random
from collections.abc import Iterator
from typing import Any, NamedTuple

from pipeline.windows import HOUR_MS, align_down, utc

#: A record with two concatenated events, byte for byte as it arrived.
EXAMPLE = (
    br'{"event_name": "view","event_value":"{\"screen_info\":\"Reader\",\"content_list\":{\"comic_id\":321,'
    br'\"chapter_id\":1234567,\"chapter_sequence\":76,\"comic_title\":\"Father, I don'
    br"'"
    br't Want this Marriage\",\"content_type\":\"comic\"},\"user_id\":112233}","event_time": "2022-06-21 00:12:30.017"}'
    br'{"event_name": "view", "event_value":"{\"screen_info\":\"Reader\",\"content_list\":{\"comic_id\":123,'
    br'\"chapter_id\":1234,\"chapter_sequence\":76,\"comic_title\":\"Solo Leveling\",\"content_type\":\"comic\"},'
    br'\"user_id\":112233}","event_time": "2022-06-21 00:12:33.217"}')

SPAN_MS = 2 * HOUR_MS
LATE_MS = 24 * HOUR_MS
ID = 'appsflyer_id'
PLATFORMS = {'ios': 34, 'android': 46, 'web': 17, 'Steam Deck': 3}
#: How some apps name the same fields. The convention gives both spellings one name.
OTHER_NAMES = {'event_name': 'eventName', 'app_version': 'App Version', 'media_source': 'Media Source'}
TITLES = ('Solo Leveling', 'The Duke }{ the Brace', 'Étude n° 5', '벚꽃')
#: What is appended to a record to make its end malformed, with a weight.
ENDINGS = {b'{"event_name": "purch': 6, b'{"event_value": NaN}': 2, b'{"city": "K\xf6ln"}': 3}


class Sample(NamedTuple):
    """A record to put. `ids` are those of its good documents, '' for none. `broken` is whether its end is malformed."""

    key: str
    data: bytes
    ids: tuple[str, ...]
    broken: bool = False


def sample_records(events: int, now_ms: int, seed: int = 1) -> Iterator[Sample]:
    """Yield records of one to four concatenated events, `events` in all, and the example in the middle.

    The events happened in the two hours before `now_ms`. One event in 40 is a day late, and one record in 100 has a
    malformed end. Equal arguments give equal bytes.
    """
    rng = random.Random(seed)
    made = 0
    while made < events:
        number = min(rng.randint(1, 4), events - made)
        yield _record(rng, made, [_happened_ms(rng, now_ms) for _ in range(number)])
        if made <= events // 2 < made + number:
            yield Sample('example', EXAMPLE, ('', ''))
        made += number


def _happened_ms(rng: random.Random, now_ms: int) -> int:
    if rng.random() < 1 / 40:
        return align_down(now_ms - LATE_MS, HOUR_MS) + rng.randrange(HOUR_MS)
    return now_ms - rng.randrange(SPAN_MS)


def _record(rng: random.Random, first: int, times_ms: list[int]) -> Sample:
    events = [_event(rng, number, time_ms) for number, time_ms in enumerate(times_ms, first)]
    ids = tuple(event[ID] for event in events)
    data = rng.choice([b'', b'', b'\n']).join(json.dumps(event, ensure_ascii=False).encode() for event in events)
    broken = rng.random() < 0.01
    if broken:
        data += rng.choices(list(ENDINGS), list(ENDINGS.values()))[0]
    return Sample(f'user-{rng.randrange(500)}', data, ids, broken)


def _event(rng: random.Random, number: int, time_ms: int) -> dict[str, Any]:
    platform = rng.choices(list(PLATFORMS), list(PLATFORMS.values()))[0]
    revenue = rng.randint(1, 400) / 4 if rng.random() < 0.1 else None
    event = {
        'event_name': 'af_purchase' if revenue else rng.choice(['view', 'view', 'install', 'af_login', 'search']),
        'event_value': _value(rng, revenue),
        'event_time': f'{utc(time_ms):%Y-%m-%d %H:%M:%S}.{time_ms % 1000:03d}',
        'platform': platform,
        ID: f'{rng.randrange(10 ** 12):012d}-{number:06d}',
        'app_id': {'ios': 'id0000000001', 'android': 'com.example.comics'}.get(platform, 'example.com'),
        'app_version': f'{rng.randint(3, 5)}.{rng.randint(0, 20)}',
        'media_source': rng.choice(['organic', 'googleadwords_int', 'Facebook Ads', None]),
        'country_code': rng.choice(['KR', 'US', 'FR', 'DE']),
        'ip': f'192.0.2.{rng.randint(1, 254)}',
        'is_retargeting': rng.random() < 0.1,
        'event_revenue_usd': revenue,
        'install_time': f'{utc(time_ms) - datetime.timedelta(minutes=rng.randrange(90_000)):%Y-%m-%d %H:%M:%S}',
    }
    renamed = OTHER_NAMES if rng.random() < 0.15 else {}
    return {renamed.get(name, name): value for name, value in event.items()}


def _value(rng: random.Random, revenue: float | None) -> str | None:
    """Return the JSON text for `event_value`. Some events have none, or plain text."""
    if rng.random() < 0.1:
        return rng.choice(['', 'N/A', None])
    value: dict[str, Any] = {'screen_info': rng.choice(['Reader', 'Home', 'Search']), 'user_id': rng.randrange(10 ** 6)}
    if revenue:
        value['af_content'] = [{'sku': f'coin_{rng.choice([10, 50])}', 'qty': rng.randint(1, 3)}]
    else:
        value['content_list'] = {'comic_id': rng.randint(1, 999), 'comic_title': rng.choice(TITLES)}
    return json.dumps(value, ensure_ascii=False)
