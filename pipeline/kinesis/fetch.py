"""Fetch the pages of shards: renew their iterators, wait for the rate limit, keep the rest of a page that was cut."""
from __future__ import annotations

import dataclasses
import enum
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from pipeline.kinesis.api import KinesisApi, Page
from pipeline.kinesis.errors import ExpiredIterator, PassingError, ShardGone
from pipeline.kinesis.positions import Cursor
from pipeline.kinesis.rate_limiter import BEHIND_S, BYTES_PER_S, RATE_LIMITER, TIP_S, RateLimiter
from pipeline.kinesis.settings import StreamInfo

#: An iterator lives for five minutes; an older one is renewed without asking with it first.
ITERATOR_LIFE_MS = 270_000
#: AWS promises nothing about arrival stamps that are out of order. Reading from a time therefore begins this much
#: earlier, and drops the records before that time.
MARGIN_MS = 60_000
#: Reading through a stretch without records takes many empty pages. After a stretch longer than twice this, a new
#: iterator begins this long before its end, since records may have turned up late there.
WALK_MS = 3_600_000
#: The memory that the rests of cut pages may take; a rest beyond it is read again instead.
KEPT_BYTES = 256 << 20
#: A rest that was not asked for in so long belongs to a shard that another process reads now.
KEPT_S = 600.0


class Outcome(enum.Enum):
    """What asking for a page came to."""

    ASKED = enum.auto()      #: Kinesis returned a page.
    KEPT = enum.auto()       #: The page is the rest of one that was cut.
    THROTTLED = enum.auto()  #: Kinesis asks to slow down; ask again later, as after the next two.
    FAILED = enum.auto()
    EXPIRED = enum.auto()    #: The iterator was too old; the cursor comes back without one.
    GONE = enum.auto()       #: The shard does not exist any more.


class Fetched(NamedTuple):
    """The cursor with the iterator that was used, and a page if the outcome is ASKED or KEPT."""

    cursor: Cursor
    page: Page | None
    outcome: Outcome


class Kept(NamedTuple):
    """The rest of a page, the position that it follows, its size in record bytes, and the time it was kept at."""

    position: tuple[str, int]
    page: Page
    size: int
    kept_s: float


class ShardPages:
    """Fetch the pages of all shards in one process; safe to use from several threads.

    It is only a cache, and all state that counts is in the cursors. It outlives bundles and runs, because runners make
    new DoFns whenever they like. A kept rest fits any cursor of its shard with the same sequence number.
    """

    def __init__(self, api: KinesisApi, streams: Iterable[StreamInfo], scope: object = None,
                 limiter: RateLimiter = RATE_LIMITER,
                 wall_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        self._api = api
        self._addresses = {stream.name: stream.address for stream in streams}
        self._scope = scope
        self._limiter = limiter
        self._wall_ms = wall_ms
        self._kept: dict[str, Kept] = {}

    def wait_s(self, cursor: Cursor) -> float:
        """Return the seconds until the next page of this shard may be fetched."""
        return 0.0 if self._kept_page(cursor) else self._limiter.wait_s(self._key(cursor))

    def ready_s(self, cursor: Cursor) -> float:
        """Return the time since which this shard may be asked; the shard with the lowest has waited longest."""
        return self._limiter.ready_s(self._key(cursor))

    def fetch(self, cursor: Cursor) -> Fetched:
        """Return the next page after the cursor, or why there is none for now. Raise ReadError if it failed for good.
        """
        kept = self._kept_page(cursor)
        if kept:
            return Fetched(cursor, kept, Outcome.KEPT)
        key = self._key(cursor)
        try:
            cursor, page = self._ask(cursor)
        except ShardGone:
            self._limiter.failed(key, throttled=False)
            return Fetched(cursor, None, Outcome.GONE)
        except ExpiredIterator:
            self._limiter.failed(key, throttled=False)
            return Fetched(dataclasses.replace(cursor, iterator=''), None, Outcome.EXPIRED)
        except PassingError as error:
            self._limiter.failed(key, error.throttled)
            return Fetched(cursor, None, Outcome.THROTTLED if error.throttled else Outcome.FAILED)
        self._limiter.succeeded(key, max(BEHIND_S if page.behind_ms else TIP_S, _size(page) / BYTES_PER_S))
        return Fetched(cursor, page, Outcome.ASKED)

    def keep(self, cursor: Cursor, rest: Page) -> None:
        """Keep the rest of a page that was cut after the cursor's sequence number, for the next window."""
        self.forget(cursor)
        now_s, size = self._limiter.clock(), _size(rest)
        for key, kept in list(self._kept.items()):
            if now_s - kept.kept_s > KEPT_S:
                self._kept.pop(key, None)
        if size + sum(kept.size for kept in list(self._kept.values())) <= KEPT_BYTES:
            self._kept[cursor.key] = Kept(_position(cursor), rest, size, now_s)

    def forget(self, cursor: Cursor) -> None:
        """Drop what was kept of this shard."""
        self._kept.pop(cursor.key, None)

    def _key(self, cursor: Cursor) -> object:
        return self._scope, cursor.key

    def _kept_page(self, cursor: Cursor) -> Page | None:
        kept = self._kept.get(cursor.key)
        return kept.page if kept and kept.position == _position(cursor) else None

    def _ask(self, cursor: Cursor) -> tuple[Cursor, Page]:
        stream, now_ms = self._addresses[cursor.stream], self._wall_ms()
        # If the local clock was set back, an old iterator looks new: then Kinesis refuses it, and we ask for another.
        if not cursor.iterator or abs(now_ms - cursor.issued_ms) > ITERATOR_LIFE_MS:
            iterator = self._api.iterator(stream, cursor.shard, *_iterator_start(cursor))
            cursor = dataclasses.replace(cursor, iterator=iterator)
        page = self._api.records(stream, cursor.shard, cursor.iterator)
        return dataclasses.replace(cursor, issued_ms=now_ms), page


def _iterator_start(cursor: Cursor) -> tuple[str, int]:
    """Return the sequence number to read after or, if it is empty, the time to read from (0: the beginning)."""
    if cursor.walked_ms - max(cursor.arrival_ms, cursor.since_ms) > 2 * WALK_MS:
        return '', cursor.walked_ms - WALK_MS
    return cursor.sequence, max(1, cursor.since_ms - MARGIN_MS) if cursor.since_ms else 0


def _position(cursor: Cursor) -> tuple[str, int]:
    return cursor.sequence, cursor.since_ms


def _size(page: Page) -> int:
    return sum(len(record.data) for record in page.records)
