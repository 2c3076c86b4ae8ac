"""One page of a shard at a time: iterators carried and renewed, the rest of a cut page kept."""
from __future__ import annotations

import collections
import dataclasses
import time
from collections.abc import Callable
from typing import NamedTuple

from pipeline.kinesis.calls import Calls, ExpiredIterator, Page, PassingError
from pipeline.kinesis.pace import BEHIND_S, PACE, TIP_S, Pace
from pipeline.kinesis.positions import Cursor

#: An iterator lives for five minutes; an older one is not worth the call.
ITERATOR_LIFE_MS = 270_000
#: AWS promises nothing about disordered stamps: reading from a time begins this much earlier, and drops.
MARGIN_MS = 60_000


class Fetched(NamedTuple):
    """The cursor with the iterator that fetched the page; no page if the call failed for now or the shard is gone."""

    cursor: Cursor
    page: Page | None
    gone: bool = False


class ShardPages:
    """Fetch pages of the shards of one process; only a cache, everything that counts is in the cursors."""

    def __init__(self, calls: Calls, names: dict[str, str], scope: object = None, pace: Pace = PACE,
                 wall_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        self._calls = calls
        self._names = names
        self._scope = scope
        self._pace = pace
        self._wall_ms = wall_ms
        self._kept: dict[str, tuple[str, Page]] = {}
        self._counts: collections.Counter[str] = collections.Counter()

    def take_counts(self) -> collections.Counter[str]:
        """Hand over what was counted since the last time; fetches run in threads that Beam's metrics do not see."""
        counts, self._counts = self._counts, collections.Counter()
        return counts

    def wait_s(self, cursor: Cursor) -> float:
        """Give the seconds until a page of this shard can be had."""
        return 0.0 if self._kept_page(cursor) else self._pace.wait_s((self._scope, cursor.key))

    def fetch(self, cursor: Cursor) -> Fetched:
        """Get the next page after the cursor.

        Raises ShardGone or ReadError where it failed for good.
        """
        kept = self._kept_page(cursor)
        if kept:
            return Fetched(cursor, kept)
        key = self._scope, cursor.key
        try:
            fetched = self._ask(cursor)
        except ExpiredIterator:
            self._counts['expired_iterators'] += 1
            self._pace.failed(key, throttled=False)
            return Fetched(dataclasses.replace(cursor, iterator=''), None)
        except PassingError as error:
            self._counts['throttles' if error.throttled else 'failed_calls'] += 1
            self._pace.failed(key, error.throttled)
            return Fetched(cursor, None)
        self._pace.succeeded(key, BEHIND_S if fetched.page and fetched.page.behind_ms else TIP_S)
        return fetched

    def keep(self, cursor: Cursor, rest: Page) -> None:
        """Keep the rest of a page that was cut after the cursor's sequence number, for the next window."""
        self._kept[cursor.key] = cursor.sequence, rest

    def forget(self, cursor: Cursor) -> None:
        """Drop what was kept of this shard."""
        self._kept.pop(cursor.key, None)

    def _kept_page(self, cursor: Cursor) -> Page | None:
        sequence, page = self._kept.get(cursor.key, ('', None))
        return page if sequence == cursor.sequence else None

    def _ask(self, cursor: Cursor) -> Fetched:
        stream = self._names[cursor.stream]
        now_ms = self._wall_ms()
        if not cursor.iterator or now_ms - cursor.issued_ms > ITERATOR_LIFE_MS:
            since_ms = max(1, cursor.since_ms - MARGIN_MS) if cursor.since_ms else 0
            iterator = self._calls.iterator(stream, cursor.shard, cursor.sequence, since_ms)
            cursor = dataclasses.replace(cursor, iterator=iterator)
        page = self._calls.records(stream, cursor.shard, cursor.iterator)
        return Fetched(dataclasses.replace(cursor, issued_ms=now_ms), page)
