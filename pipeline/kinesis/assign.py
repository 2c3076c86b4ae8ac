"""Assign the records of a page to a flush window and its parts, and move the cursor past them. No Beam, no I/O."""
from __future__ import annotations

import bisect
import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

from pipeline.kinesis.api import Page
from pipeline.kinesis.limits import UNLIMITED, ShardLimit
from pipeline.kinesis.positions import Cursor
from pipeline.source import Batch, RawRecord
from pipeline.windows import part_of


class AssignedPage(NamedTuple):
    """What `assign_page` made of a page.

    `cursor` is the position after the records that were taken. `batches` holds these records, one batch per part.
    `rest` is the page without them, or None if nothing is left for later windows. `overtaken` counts the records in
    `batches` whose own window was closed already.
    """

    cursor: Cursor
    batches: list[Batch]
    rest: Page | None
    overtaken: int


def assign_page(cursor: Cursor, page: Page, window_ms: int, end_ms: int, flush_bytes: int,
                limit: ShardLimit = UNLIMITED) -> AssignedPage:
    """Take from a page the records of the window from `window_ms` up to `end_ms` (epoch ms), `flush_bytes` to a part.

    The effective arrival of a record is the running maximum of the arrivals in its shard, so it never decreases.
    Records that were read before are skipped, and so are those with an effective arrival before `cursor.since_ms`.
    A record is overtaken if its effective arrival is before `window_ms`: its own window is closed, so it goes to this
    one. The page is cut at the first record with an effective arrival at or after `end_ms`. If the window or the one
    after it was committed before, `limit` cuts the page too, and names records that are not skipped.
    """
    records = _unread(cursor, page.records)
    arrivals = _effective_arrivals(cursor.arrival_ms, records, end_ms, limit)
    cut, first = len(arrivals), _first_to_take(cursor, records, arrivals, limit)
    taken = records[first:cut]
    overtaken = max(0, bisect.bisect_left(arrivals, window_ms) - first)
    batches = [Batch(cursor.stream, cursor.shard, window_ms, part, part_records)
               for part, part_records in _parts(taken, cursor.bytes, flush_bytes).items()]
    rest = page._replace(records=records[cut:]) if cut < len(records) else None
    if cut:
        cursor = dataclasses.replace(cursor, arrival_ms=arrivals[-1], sequence=records[cut - 1].sequence)
    cursor = _count(cursor, taken)
    cursor = _move_to_window_end(cursor, end_ms) if rest else _move_to_next_page(cursor, page)
    return AssignedPage(cursor, batches, rest, overtaken)


def _unread(cursor: Cursor, records: list[RawRecord]) -> list[RawRecord]:
    """Skip the records up to the cursor: after a restore, its iterator returns the whole page once more."""
    if not cursor.sequence:
        return records
    last = int(cursor.sequence)
    skip = next((index for index, record in enumerate(records) if int(record.sequence) > last), len(records))
    return records[skip:]


def _first_to_take(cursor: Cursor, records: Sequence[RawRecord], arrivals: Sequence[int], limit: ShardLimit) -> int:
    """Return the index of the first record that is not before `cursor.since_ms`, or that the window held before."""
    first = bisect.bisect_left(arrivals, cursor.since_ms)
    if first and limit.held:
        return bisect.bisect_left(records, limit.held[0], hi=first, key=lambda record: int(record.sequence))
    return first


def _effective_arrivals(reached_ms: int, records: Sequence[RawRecord], end_ms: int, limit: ShardLimit) -> list[int]:
    """Return the effective arrivals of the records before the first one that is at or after `end_ms` or past the limit.

    Arrivals 5, 9, 7, 12 and 8 with an end of 12 give 5, 9, 9. `reached_ms` is the running maximum before them.
    """
    arrivals = []
    for record in records:
        if limit.last is not None and int(record.sequence) > limit.last:
            break
        reached_ms = max(reached_ms, record.arrival_ms)
        if reached_ms >= end_ms and not limit.exact:
            break
        arrivals.append(reached_ms)
    return arrivals


def _parts(records: Sequence[RawRecord], bytes_before: int, flush_bytes: int) -> dict[int, list[RawRecord]]:
    """Divide the records of a window into its parts; `bytes_before` record bytes of this shard precede them there."""
    parts: dict[int, list[RawRecord]] = {}
    for record in records:
        parts.setdefault(part_of(bytes_before, flush_bytes), []).append(record)
        bytes_before += len(record.data)
    return parts


def _count(cursor: Cursor, taken: Sequence[RawRecord]) -> Cursor:
    """Add the records that were taken to what the cursor counts of its window."""
    if not taken:
        return cursor
    return dataclasses.replace(
        cursor, records=cursor.records + len(taken), bytes=cursor.bytes + sum(len(record.data) for record in taken),
        first=cursor.first or taken[0].sequence)


def _move_to_window_end(cursor: Cursor, end_ms: int) -> Cursor:
    """Note that the shard has passed the end of the window; its iterator stays, since the page is not used up."""
    return dataclasses.replace(cursor, passed_ms=max(cursor.passed_ms, end_ms))


def _move_to_next_page(cursor: Cursor, page: Page) -> Cursor:
    """Take over the next iterator of a page that is used up; without one, the shard is closed and read to its end."""
    if page.next_iterator is None:
        return dataclasses.replace(cursor, iterator='', closed=True)
    walked_ms = max(cursor.walked_ms, page.now_ms - page.behind_ms)
    return dataclasses.replace(cursor, iterator=page.next_iterator, walked_ms=walked_ms)
