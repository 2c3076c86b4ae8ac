"""Arithmetic of flush windows and parts, on effective arrivals in epoch milliseconds UTC. Pure."""
from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apache_beam.utils.timestamp import Timestamp

HOUR_MS, DAY_MS = 3_600_000, 86_400_000


def align_down(ms: int, step_ms: int) -> int:
    """Return the start of the window that contains `ms`: `align_down(299_999, 300_000) == 0`."""
    return ms // step_ms * step_ms


def align_up(ms: int, step_ms: int) -> int:
    """Return the first start of a window at or after `ms`: `align_up(1, 300_000) == 300_000`."""
    return -(-ms // step_ms) * step_ms


def part_of(bytes_before: int, flush_bytes: int) -> int:
    """Return the part of a record: `bytes_before` is the bytes of the records before it in its shard and window."""
    return bytes_before // flush_bytes


def timestamp_of(ms: int) -> Timestamp:
    """Convert epoch milliseconds into Beam's timestamp."""
    from apache_beam.utils.timestamp import Timestamp  # takes a second, and the rest of this file does without Beam

    return Timestamp(micros=ms * 1000)


def iso(ms: int) -> str:
    """Format epoch milliseconds: `iso(0) == '1970-01-01T00:00:00Z'`. Whole seconds have no fraction."""
    text = utc(ms).isoformat(timespec='milliseconds' if ms % 1000 else 'seconds')
    return text.replace('+00:00', 'Z')


def utc(ms: int) -> datetime.datetime:
    """Convert epoch milliseconds into an aware datetime in UTC."""
    return datetime.datetime.fromtimestamp(0, datetime.UTC) + datetime.timedelta(milliseconds=ms)
