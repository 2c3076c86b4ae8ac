"""One reader: which shard to read next, when a window may close, what to say of it. Knows no Beam."""
from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from typing import NamedTuple

from pipeline.kinesis.calls import Calls, PassingError, ReadError, ShardGone
from pipeline.kinesis.folding import Batch, fold_page
from pipeline.kinesis.listing import list_streams, merge_listing, owner_of
from pipeline.kinesis.pace import Pace
from pipeline.kinesis.pages import Fetched, ShardPages
from pipeline.kinesis.positions import Cursor, ReaderState
from pipeline.kinesis.settings import ReadSettings
from pipeline.kinesis.slices import note_window
from pipeline.windows import iso

CALL_S = 1.0
CALL_BYTES = 16 << 20
CALL_WINDOWS = 100
LISTING_S = 10.0


class Step(NamedTuple):
    """A state to claim, then what to emit: batches of records, or the account of the window that it closes."""

    state: ReaderState
    batches: list[Batch]
    closed: ReaderState | None = None
    progress: bool = True


class Reader:
    """Read the shards of one reader round by round."""

    def __init__(self, settings: ReadSettings, element: tuple[int, int], calls: Calls, pages: ShardPages, pace: Pace,
                 threads: Executor, sleep: Callable[[float], None] = time.sleep) -> None:
        self._settings = settings
        self._reader, self._readers = element
        self._calls, self._pages, self._pace, self._threads = calls, pages, pace, threads
        self._sleep = sleep
        self._names = {stream.name: stream for stream in settings.streams}
        self.overtaken = 0

    def steps(self, state: ReaderState) -> Iterator[Step]:
        """Read for about a second, or a bounded number of bytes or windows; each step goes on from the one before.

        Raises ReadError where Kinesis refuses for good, or data was lost to retention.
        """
        deadline = self._pace.clock() + CALL_S
        size = windows = 0
        while not state.done and size < CALL_BYTES and windows < CALL_WINDOWS:
            for step in self._round(state):
                state = step.state
                size += sum(len(record.data) for batch in step.batches for record in batch.records)
                windows += step.closed is not None
                yield step
            wait_s = self._wait_s(state)
            if self._pace.clock() + wait_s >= deadline:
                self._sleep(max(0.0, min(wait_s, deadline - self._pace.clock())))
                return
            self._sleep(wait_s)

    def _round(self, state: ReaderState) -> Iterator[Step]:
        if self._listing_due(state):
            state = self._list(state)
            yield Step(state, [], progress=False)
        ready = [cursor for cursor in self._behind(state) if not self._pages.wait_s(cursor)]
        for fetched in self._fetch(ready):
            step = self._fold(state, fetched)
            state = step.state
            yield step
        closed = 0
        while not state.done and closed < CALL_WINDOWS and self._may_close(state):
            step = self._close(state)
            state, closed = step.state, closed + 1
            yield step

    def _behind(self, state: ReaderState) -> list[Cursor]:
        end_ms = state.window_ms + self._settings.flush_ms
        return [cursor for cursor in state.cursors if cursor.reached_ms < end_ms]

    def _may_close(self, state: ReaderState) -> bool:
        return self._listed_past(state) and not self._behind(state)

    def _listed_past(self, state: ReaderState) -> bool:
        # A shard that a listing did not show was created after it: nothing older can still turn up in a new one.
        return state.listed_ms - self._settings.slack_ms >= state.window_ms + self._settings.flush_ms

    def _wait_s(self, state: ReaderState) -> float:
        if state.done or self._may_close(state):
            return 0.0
        waits = [self._pages.wait_s(cursor) for cursor in self._behind(state)]
        return min([*waits, self._pace.wait_s(self._listing_key)])

    @property
    def _listing_key(self) -> object:
        return self._settings.run_id, 'listing', self._reader

    def _listing_due(self, state: ReaderState) -> bool:
        return not self._pace.wait_s(self._listing_key)

    def _list(self, state: ReaderState) -> ReaderState:
        try:
            listing = list_streams(self._calls, self._settings)
        except PassingError as error:
            self._pace.failed(self._listing_key, error.throttled)
            return state
        if listing is None:
            self._pace.failed(self._listing_key, throttled=False)
            return state
        found, listed_ms = listing
        owned = {(stream, shard) for stream, shard in found if owner_of(stream, shard, self._readers) == self._reader}
        state = merge_listing(state, owned, listed_ms, self._settings.since_ms)
        # When a window waits for nothing but a listing, the next one need not wait the whole ten seconds.
        soon = not self._listed_past(state)
        self._pace.succeeded(self._listing_key, 1.0 if soon else LISTING_S)
        return state

    def _fetch(self, cursors: list[Cursor]) -> Iterator[Fetched]:
        if len(cursors) == 1:
            return map(self._fetch_one, cursors)
        return self._threads.map(self._fetch_one, cursors)

    def _fetch_one(self, cursor: Cursor) -> Fetched:
        try:
            return self._pages.fetch(cursor)
        except ShardGone:
            return Fetched(cursor, None, gone=True)

    def _fold(self, state: ReaderState, fetched: Fetched) -> Step:
        if fetched.gone:
            return Step(state.with_cursor(self._gone(state, fetched.cursor)), [])
        if fetched.page is None:
            return Step(state.with_cursor(fetched.cursor), [], progress=False)
        page, end_ms = fetched.page, state.window_ms + self._settings.flush_ms
        folded = fold_page(fetched.cursor, page, state.window_ms, end_ms, self._settings.flush_bytes)
        cursor = folded.cursor
        if folded.rest:
            self._pages.keep(cursor, folded.rest)
        else:
            self._pages.forget(cursor)
        if not page.records and not page.behind_ms:
            passed_ms = max(cursor.passed_ms, page.now_ms - self._settings.slack_ms)
            cursor = dataclasses.replace(cursor, passed_ms=passed_ms)
        self.overtaken += folded.overtaken
        return Step(state.with_cursor(cursor), folded.batches, progress=bool(page.records or page.behind_ms))

    def _gone(self, state: ReaderState, cursor: Cursor) -> Cursor:
        stream = self._names[cursor.stream]
        horizon_ms = self._calls.summary(stream.address).now_ms - stream.retention_ms
        if horizon_ms > state.window_ms:
            raise ReadError(f'shard {cursor.shard} of stream {cursor.stream} is older than the retention: what arrived '
                            f'in it from {iso(state.window_ms)} on is lost; --on_gap=skip goes on after the gap')
        return dataclasses.replace(cursor, closed=True)

    def _close(self, state: ReaderState) -> Step:
        next_ms = state.window_ms + self._settings.flush_ms
        read_bytes = sum(cursor.bytes for cursor in state.cursors)
        ends = note_window(self._settings.run_id, self._reader, next_ms, read_bytes)
        fresh = tuple(dataclasses.replace(cursor, records=0, bytes=0, first='') for cursor in state.cursors)
        done = ends or 0 <= state.stop_ms <= next_ms
        return Step(dataclasses.replace(state, window_ms=next_ms, cursors=fresh, done=done), [], closed=state)
