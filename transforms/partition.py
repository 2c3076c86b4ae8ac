"""The event's own hour and platform: what decides the folder of its line."""
from __future__ import annotations

import datetime
import functools
import re

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
YEAR_2000_MS = 946_684_800_000
OTHER = 'other'
UNKNOWN = 'unknown'

# Our own, not datetime.fromisoformat: what that takes differs between versions of Python.
_TIME = re.compile(
    r'([0-9]{4}-[0-9]{2}-[0-9]{2}[ Tt](?:[01][0-9]|2[0-3])):([0-5][0-9])(?::([0-5][0-9])(?:[.,][0-9]+)?)?'
    r' ?(?:[Zz]|UTC|GMT|([+-])([01][0-9]|2[0-3])(?::?([0-5][0-9]))?)?')
_EPOCH = re.compile(r'([0-9]{10}|[0-9]{13}|[0-9]{16}|[0-9]{19})(?:[.,][0-9]+)?')
#: JSON's white space and what else a column of a spreadsheet may leave around a time.
_AROUND = ' \t\r\n'
MAX_PLATFORM = 32
_PLATFORM = re.compile('[a-z0-9_-]{1,32}')


def event_hour_ms(value: object, arrival_ms: int) -> int | None:
    """Return the start of the hour (epoch ms, UTC) that an event's time field says, None for the hour of its arrival.

    Takes ISO 8601 with a space or `T`, with or without seconds, a fraction (behind a point or a comma) and an offset;
    without an offset it is UTC. Also takes epoch seconds (10 digits), milliseconds (13), microseconds (16) and
    nanoseconds (19), as a number or as text. None: absent, unreadable, before 2000, or more than a day after the
    record's arrival.

    >>> event_hour_ms('2022-06-21 00:12:30.017', 1655771000000), event_hour_ms('yesterday', 1655771000000)
    (1655769600000, None)
    """
    moment = _text_ms(value) if isinstance(value, str) else _number_ms(value)
    if moment is None or not YEAR_2000_MS <= moment <= arrival_ms + DAY_MS:
        return None
    return moment - moment % HOUR_MS


def is_time_given(value: object) -> bool:
    """Return whether an event's time field holds anything: not if it is absent, null or blank."""
    return bool(value.strip()) if isinstance(value, str) else value is not None


def platform_of(value: object, label: str) -> str:
    """Give the platform folder of an event: its platform in lower case, `other` where that is no name for a folder.

    Null, empty or absent (None): `label`, that of the stream, else `unknown`.

    >>> platform_of('iOS', 'web'), platform_of('../ios', 'web'), platform_of(None, 'web'), platform_of(None, '')
    ('ios', 'other', 'web', 'unknown')
    """
    if value is None or value == '':
        return label or UNKNOWN
    return _folder(value) if isinstance(value, str) and len(value) <= MAX_PLATFORM else OTHER


@functools.lru_cache(maxsize=4096)
def _folder(platform: str) -> str:
    folder = platform.lower()
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
    """Give the epoch ms of `YYYY-MM-DD HH`; None for a day that there is not."""
    try:
        day = datetime.date(int(text[:4]), int(text[5:7]), int(text[8:10]))
    except ValueError:
        return None
    return ((day.toordinal() - datetime.date(1970, 1, 1).toordinal()) * 24 + int(text[11:13])) * HOUR_MS


def _number_ms(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if 10 ** 9 <= value < 10 ** 10:
        return int(value) * 1000
    for digits, per_ms in ((13, 1), (16, 1000), (19, 1_000_000)):
        if 10 ** (digits - 1) <= value < 10 ** digits:
            return int(value) // per_ms
    return None
