"""One reader: which shard to read next, when a window may close, what to say of it. Knows no Beam."""
from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterator
from concurrent.futures import Future
from typing import NamedTuple

from pipeline.kinesis.discovery import Discovery
from pipeline.kinesis.errors import Gap, PassingError
from pipeline.kinesis.folding import Batch, fold_page
from pipeline.kinesis.horizons import Horizons
from pipeline.kinesis.pages import Fetched
from pipeline.kinesis.positions import Cursor, ReaderState
from pipeline.kinesis.settings import ReadSettings
from pipeline.kinesis.shared import Shared
from pipeline.kinesis.slices import note_window

CALL_S = 1.0
CALL_BYTES = 16 << 20
CALL_WINDOWS = 100
#: Pages of 10 MiB that one reader fetches ahead of the one that it works on.
FLYING = 8


class Step(NamedTuple):
    """A state to claim, then what to emit: batches of records, or the account of the window that it closes."""

    state: ReaderState
    batches: list[Batch]
    closed: ReaderState | None = None
    progress: bool = True


@dataclasses.dataclass
class Call:
    """What is left of one call: it ends after a time, or a number of record bytes or windows."""

    deadline: float
    bytes: int = CALL_BYTES
    windows: int = CALL_WINDOWS

    @property
    def full(self) -> bool:
        """Tell whether enough was read."""
        return self.bytes <= 0 or self.windows <= 0


class Reader:
    """Read the shards of one reader round by round.

    `counts` is what happened, by name; `behind_ms` how far behind the tip each shard was found. Both are of this object
    only, which lives for one call.
    """

    def __init__(self, settings: ReadSettings, element: tuple[int, int], shared: Shared) -> None:
        self._settings = settings
        self._element = element
        self._shared, self._pages, self._pace = shared, shared.pages, shared.pace
        self._horizons = Horizons(settings, shared.calls, shared.pace, (settings.streams, 'horizons', element))
        self.counts: collections.Counter[str] = collections.Counter()
        self.behind_ms: dict[str, int] = {}
        self._discovery = Discovery(settings, element, shared, self._horizons, self.counts)

    def steps(self, state: ReaderState) -> Iterator[Step]:
        """Read for about a second, or a bounded number of bytes or windows; each step goes on from the one before.

        Raises ReadError where Kinesis refuses for good, or data was lost to retention.
        """
        call = Call(self._pace.clock() + CALL_S)
        while not state.done:
            for step in self._round(state, call):
                state = step.state
                yield step
                self._count(step, call)  # only of steps that were claimed
            wait_s, left_s = self._wait_s(state), call.deadline - self._pace.clock()
            if state.done or call.full or left_s <= 0:
                return
            self._shared.sleep(min(wait_s, left_s))
            if wait_s >= left_s:
                return

    def _count(self, step: Step, call: Call) -> None:
        records = [record for batch in step.batches for record in batch.records]
        size, closed = sum(len(record.data) for record in records), step.closed is not None
        call.bytes, call.windows = call.bytes - size, call.windows - closed
        self.counts.update(records=len(records), bytes=size, windows=closed)

    def _round(self, state: ReaderState, call: Call) -> Iterator[Step]:
        wanted = not self._behind(state) and not self._listed_past(state)
        if not self._discovery.wait_s(state, wanted):
            state = self._discovery.list(state)
            yield Step(state, [], progress=False)
        ready = [cursor for cursor in self._behind(state) if not self._pages.wait_s(cursor)]
        for fetched in self._fetch(sorted(ready, key=self._pages.ready_s), call):
            step = self._fold(state, fetched)
            state = step.state
            yield step
        while not state.done and not call.full and self._may_close(state):
            step = self._close(state)
            state = step.state
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
        behind = self._behind(state)
        return min([*map(self._pages.wait_s, behind), self._discovery.wait_s(state, wanted=not behind)])

    def _fetch(self, cursors: list[Cursor], call: Call) -> Iterator[Fetched]:
        """Fetch pages in parallel, in order, a few ahead of the one that is worked on; none once the call is full."""
        flying: collections.deque[Future[Fetched]] = collections.deque()
        for cursor in cursors:
            if call.full or self._pace.clock() > call.deadline:
                break
            flying.append(self._shared.threads.submit(self._pages.fetch, cursor))
            if len(flying) >= FLYING:
                yield flying.popleft().result()
        while flying:
            yield flying.popleft().result()

    def _fold(self, state: ReaderState, fetched: Fetched) -> Step:
        cursor, page = fetched.cursor, fetched.page
        if page is None:
            self.counts['gone_shards' if fetched.outcome == 'gone' else fetched.outcome] += 1
            gone = fetched.outcome == 'gone' and self._nothing_lost(state, cursor, None)
            return Step(state.with_cursor(dataclasses.replace(cursor, closed=gone)), [], progress=gone)
        if fetched.outcome == 'asked':
            self.counts.update(pages=1, empty_pages=not page.records)
            if not self._nothing_lost(state, cursor, page.now_ms):
                return Step(state, [], progress=False)
        end_ms = state.window_ms + self._settings.flush_ms
        folded = fold_page(cursor, page, state.window_ms, end_ms, self._settings.flush_bytes)
        cursor = folded.cursor
        if folded.rest:
            self._pages.keep(cursor, folded.rest)
        else:
            self._pages.forget(cursor)
        if not page.records and not page.behind_ms:
            passed_ms = max(cursor.passed_ms, page.now_ms - self._settings.slack_ms)
            cursor = dataclasses.replace(cursor, passed_ms=passed_ms)
        self.counts['overtaken'] += folded.overtaken
        self.behind_ms[cursor.key] = page.now_ms - cursor.arrival_ms if folded.rest else page.behind_ms
        return Step(state.with_cursor(cursor), folded.batches, progress=bool(page.records or page.behind_ms))

    def _nothing_lost(self, state: ReaderState, cursor: Cursor, now_ms: int | None) -> bool:
        """Raise Gap where retention ran ahead of this cursor; False where AWS does not answer for now."""
        try:
            self._horizons.check(cursor, state.window_ms, now_ms)
        except Gap:
            self.counts['gaps'] += 1
            raise
        except PassingError:
            self.counts['failed_calls'] += 1
            return False
        return True

    def _close(self, state: ReaderState) -> Step:
        next_ms = state.window_ms + self._settings.flush_ms
        read_bytes = sum(cursor.bytes for cursor in state.cursors)
        ends = note_window(self._settings.run_id, self._element[0], next_ms, read_bytes)
        fresh = tuple(dataclasses.replace(cursor, records=0, bytes=0, first='') if cursor.records else cursor
                      for cursor in state.cursors)
        done = ends or 0 <= state.stop_ms <= next_ms
        next_state = dataclasses.replace(state, window_ms=next_ms, window_bytes=read_bytes, cursors=fresh, done=done)
        return Step(next_state, [], closed=state)
