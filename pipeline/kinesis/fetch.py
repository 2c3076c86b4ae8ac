"""One page of a shard at a time: iterators carried and renewed, the rest of a cut page kept."""
from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from pipeline.kinesis.api import KinesisApi, Page
from pipeline.kinesis.errors import ExpiredIterator, PassingError, ShardGone
from pipeline.kinesis.positions import Cursor
from pipeline.kinesis.rate_limiter import BEHIND_S, BYTES_PER_S, RATE_LIMITER, TIP_S, RateLimiter
from pipeline.kinesis.settings import StreamInfo

#: An iterator lives for five minutes; an older one is not worth the call.
ITERATOR_LIFE_MS = 270_000
#: AWS promises nothing about disordered stamps: reading from a time begins this much earlier, and drops.
MARGIN_MS = 60_000
#: GetRecords takes many empty pages to walk through a stretch without records: one that was longer than twice this is
#: not walked through again, but for its end, where records may have turned up late.
WALK_MS = 3_600_000
#: What the rests of cut pages may hold in memory; a rest beyond it is read again instead.
KEPT_BYTES = 256 << 20
#: A rest that nobody came for is of a shard that another process reads now.
FORSAKEN_S = 600.0


class Fetched(NamedTuple):
    """What asking for a page came to: the cursor with its iterator; a page where `outcome` is `asked` or `kept`.

    Else it is `throttles`, `failed_calls`, `expired_iterators` (all to be asked again), or `gone`.
    """

    cursor: Cursor
    page: Page | None
    outcome: str


class Kept(NamedTuple):
    """The rest of a page, the place of the cursor that it follows on, and when it was kept."""

    place: tuple[str, int]
    page: Page
    size: int
    kept_s: float


class ShardPages:
    """Fetch pages of the shards of one process, from several threads; only a cache: all that counts is in cursors.

    Kept across bundles and runs, since runners make new DoFns as they like. What is kept of a shard fits any cursor
    at the same sequence number.
    """

    def __init__(self, calls: KinesisApi, streams: Iterable[StreamInfo], scope: object = None,
                 limiter: RateLimiter = RATE_LIMITER,
                 wall_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        self._calls = calls
        self._addresses = {stream.name: stream.address for stream in streams}
        self._scope = scope
        self._limiter = limiter
        self._wall_ms = wall_ms
        self._kept: dict[str, Kept] = {}

    def wait_s(self, cursor: Cursor) -> float:
        """Give the seconds until a page of this shard can be had."""
        return 0.0 if self._kept_page(cursor) else self._limiter.wait_s(self._key(cursor))

    def ready_s(self, cursor: Cursor) -> float:
        """Give the time since which a page of this shard can be had, to serve first who has waited longest."""
        return self._limiter.ready_s(self._key(cursor))

    def fetch(self, cursor: Cursor) -> Fetched:
        """Get the next page after the cursor. Raises ReadError where it failed for good."""
        kept = self._kept_page(cursor)
        if kept:
            return Fetched(cursor, kept, 'kept')
        key = self._key(cursor)
        try:
            cursor, page = self._ask(cursor)
        except ShardGone:
            self._limiter.failed(key, throttled=False)
            return Fetched(cursor, None, 'gone')
        except ExpiredIterator:
            self._limiter.failed(key, throttled=False)
            return Fetched(dataclasses.replace(cursor, iterator=''), None, 'expired_iterators')
        except PassingError as error:
            self._limiter.failed(key, error.throttled)
            return Fetched(cursor, None, 'throttles' if error.throttled else 'failed_calls')
        self._limiter.succeeded(key, max(BEHIND_S if page.behind_ms else TIP_S, _size(page) / BYTES_PER_S))
        return Fetched(cursor, page, 'asked')

    def keep(self, cursor: Cursor, rest: Page) -> None:
        """Keep the rest of a page that was cut after the cursor's sequence number, for the next window."""
        self.forget(cursor)
        now_s, size = self._limiter.clock(), _size(rest)
        for key, kept in list(self._kept.items()):
            if now_s - kept.kept_s > FORSAKEN_S:
                self._kept.pop(key, None)
        if size + sum(kept.size for kept in list(self._kept.values())) <= KEPT_BYTES:
            self._kept[cursor.key] = Kept(_place(cursor), rest, size, now_s)

    def forget(self, cursor: Cursor) -> None:
        """Drop what was kept of this shard."""
        self._kept.pop(cursor.key, None)

    def _key(self, cursor: Cursor) -> object:
        return self._scope, cursor.key

    def _kept_page(self, cursor: Cursor) -> Page | None:
        kept = self._kept.get(cursor.key)
        return kept.page if kept and kept.place == _place(cursor) else None

    def _ask(self, cursor: Cursor) -> tuple[Cursor, Page]:
        stream, now_ms = self._addresses[cursor.stream], self._wall_ms()
        # A clock that was set back makes an old iterator look new: Kinesis refuses it then, and we ask for another.
        if not cursor.iterator or abs(now_ms - cursor.issued_ms) > ITERATOR_LIFE_MS:
            iterator = self._calls.iterator(stream, cursor.shard, *_from(cursor))
            cursor = dataclasses.replace(cursor, iterator=iterator)
        page = self._calls.records(stream, cursor.shard, cursor.iterator)
        return dataclasses.replace(cursor, issued_ms=now_ms), page


def _from(cursor: Cursor) -> tuple[str, int]:
    """Give the sequence number after which, or else the time from which (0: the beginning), the next page is."""
    if cursor.walked_ms - max(cursor.arrival_ms, cursor.since_ms) > 2 * WALK_MS:
        return '', cursor.walked_ms - WALK_MS
    return cursor.sequence, max(1, cursor.since_ms - MARGIN_MS) if cursor.since_ms else 0


def _place(cursor: Cursor) -> tuple[str, int]:
    return cursor.sequence, cursor.since_ms


def _size(page: Page) -> int:
    return sum(len(record.data) for record in page.records)
