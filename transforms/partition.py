"""The hour and the platform of an event, which decide the folder of its line."""
from __future__ import annotations

import datetime
import functools
import re

from transforms.letters import lower

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
YEAR_2000_MS = 946_684_800_000
OTHER = 'other'
UNKNOWN = 'unknown'

# Not datetime.fromisoformat: what it accepts differs between versions of Python.
_TIME = re.compile(
    r'([0-9]{4}-[0-9]{2}-[0-9]{2}[ Tt](?:[01][0-9]|2[0-3])):([0-5][0-9])(?::([0-5][0-9])(?:[.,][0-9]+)?)?'
    r' ?(?:[Zz]|UTC|GMT|([+-])([01][0-9]|2[0-3])(?::?([0-5][0-9]))?)?')
_EPOCH = re.compile(r'([0-9]{10}|[0-9]{13}|[0-9]{16}|[0-9]{19})(?:[.,][0-9]+)?')
#: White space that may surround a time, such as in a column exported from a spreadsheet.
_AROUND = ' \t\r\n'
MAX_PLATFORM = 32
_PLATFORM = re.compile('[a-z0-9_-]{1,32}')


def event_hour_ms(value: object, arrival_ms: int, max_age_days: int | None = None) -> int | None:
    """Return the start of the hour (epoch ms, UTC) in which an event happened, by the value of its time field.

    Return None if the value is absent, unreadable, before 2000, more than a day after the arrival of the record, or
    more than `max_age_days` (None: no bound) before it; the caller uses the hour of arrival. The value may be ISO 8601
    with a space or `T`, with or without seconds, a fraction (after a point or a comma) and an offset; without an offset
    it is UTC. It may also be epoch seconds (10 digits), milliseconds (13), microseconds (16) or nanoseconds (19), as a
    number or as text.

    >>> event_hour_ms('2022-06-21 00:12:30.017', 1655771000000), event_hour_ms('yesterday', 1655771000000)
    (1655769600000, None)
    """
    moment = _text_ms(value) if isinstance(value, str) else _number_ms(value)
    if moment is None or not YEAR_2000_MS <= moment <= arrival_ms + DAY_MS:
        return None
    if max_age_days is not None and moment < arrival_ms - max_age_days * DAY_MS:
        return None
    return moment - moment % HOUR_MS


def is_time_given(value: object) -> bool:
    """Return whether the time field of an event has a value that is neither null nor blank."""
    return bool(value.strip()) if isinstance(value, str) else value is not None


def platform_of(value: object, label: str, known: frozenset[str] = frozenset()) -> str:
    """Return the platform folder of an event: its platform in lower case, or `other` if that is no name for a folder.

    If `known` is not empty, a platform that is not in it is `other` too. If the event has no platform (None or an empty
    text), return `label`, the one of its stream, or `unknown`.

    >>> platform_of('iOS', 'web'), platform_of('../ios', 'web'), platform_of(None, 'web'), platform_of(None, '')
    ('ios', 'other', 'web', 'unknown')
    """
    if value is None or value == '':
        return label or UNKNOWN
    folder = _folder(value) if isinstance(value, str) and len(value) <= MAX_PLATFORM else OTHER
    return folder if not known or folder in known else OTHER


@functools.lru_cache(maxsize=4096)
def _folder(platform: str) -> str:
    folder = lower(platform)
    return folder if _PLATFORM.fullmatch(folder) else OTHER


def _text_ms(text: str) -> int | None:
    text = text.strip(_AROUND)
    found = _TIME.fullmatch(text)
    if found:
        to_hour, minutes, seconds, sign, offset_hours, offset_minutes = found.groups()
        hour_ms = _hour_ms(to_hour)
        if hour_ms is None:
            return None
        moment = hour_ms + int(minutes) * 60_000 + int(seconds or 0) * 1000
        offset = int(offset_hours or 0) * HOUR_MS + int(offset_minutes or 0) * 60_000
        return moment + offset if sign == '-' else moment - offset
    found = _EPOCH.fullmatch(text)
    return _number_ms(int(found[1])) if found else None


@functools.lru_cache(maxsize=4096)
def _hour_ms(text: str) -> int | None:
    """Return the epoch ms of `YYYY-MM-DD HH`, or None if there is no such day."""
    try:
        day = datetime.date(int(text[:4]), int(text[5:7]), int(text[8:10]))
    except ValueError:
        return None
    return ((day.toordinal() - datetime.date(1970, 1, 1).toordinal()) * 24 + int(text[11:13])) * HOUR_MS


def _number_ms(value: object) -> int | None:
    if not isinstance(value, (int, float)):
        return None
    if 10 ** 9 <= value < 10 ** 10:
        return int(value) * 1000
    for digits, per_ms in ((13, 1), (16, 1000), (19, 1_000_000)):
        if 10 ** (digits - 1) <= value < 10 ** digits:
            return int(value) // per_ms
    return None
