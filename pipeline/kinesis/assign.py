"""A page assigned into a cursor: effective arrivals, parts, and the cut at the end of the window. Pure."""
from __future__ import annotations

import dataclasses
from typing import NamedTuple

from pipeline.kinesis.api import Page
from pipeline.kinesis.positions import Cursor
from pipeline.source import Batch, RawRecord
from pipeline.windows import part_of


class AssignedPage(NamedTuple):
    """The cursor after a page, what to emit, the rest beyond the window (None: the page is used up), and counts."""

    cursor: Cursor
    batches: list[Batch]
    rest: Page | None
    records: int
    overtaken: int


def assign_page(cursor: Cursor, page: Page, window_ms: int, end_ms: int, flush_bytes: int) -> AssignedPage:
    """Take of a page what belongs to the window that starts at `window_ms`, up to its end.

    A record's effective arrival is the running maximum of arrivals in its shard. Records before `cursor.since_ms` are
    passed over; one whose window was closed before it turned up (overtaken) goes to the current window.
    """
    cut, reached_ms, counted, overtaken, parts = 0, cursor.arrival_ms, cursor.bytes, 0, dict[int, list[RawRecord]]()
    fresh = _unread(cursor, page.records)
    for record in fresh:
        effective_ms = max(reached_ms, record.arrival_ms)
        if effective_ms >= end_ms:
            break
        reached_ms, cut = effective_ms, cut + 1
        if effective_ms >= cursor.since_ms:
            overtaken += effective_ms < window_ms
            parts.setdefault(part_of(counted, flush_bytes), []).append(record)
            counted += len(record.data)
    taken = [record for part in parts.values() for record in part]
    cursor = dataclasses.replace(
        cursor, arrival_ms=reached_ms, sequence=fresh[cut - 1].sequence if cut else cursor.sequence, bytes=counted,
        records=cursor.records + len(taken), first=cursor.first or (taken[0].sequence if taken else ''))
    batches = [Batch(cursor.stream, cursor.shard, window_ms, part, records) for part, records in parts.items()]
    rest = page._replace(records=fresh[cut:]) if cut < len(fresh) else None
    return AssignedPage(_advance(cursor, page, rest, end_ms), batches, rest, len(taken), overtaken)


def _unread(cursor: Cursor, records: list[RawRecord]) -> list[RawRecord]:
    """Pass over what was read before: after a restore the iterator gives the whole page once more."""
    if not cursor.sequence:
        return records
    last = int(cursor.sequence)
    skip = next((place for place, record in enumerate(records) if int(record.sequence) > last), len(records))
    return records[skip:]


def _advance(cursor: Cursor, page: Page, rest: Page | None, end_ms: int) -> Cursor:
    if rest:
        return dataclasses.replace(cursor, passed_ms=max(cursor.passed_ms, end_ms))
    if page.next_iterator is None:
        return dataclasses.replace(cursor, iterator='', closed=True)
    walked_ms = max(cursor.walked_ms, page.now_ms - page.behind_ms)
    return dataclasses.replace(cursor, iterator=page.next_iterator, walked_ms=walked_ms)
