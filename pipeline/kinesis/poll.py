"""Poll many shards at once, and assign the pages one after another to the state of a reader."""
from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterator
from concurrent.futures import Future
from typing import NamedTuple

from pipeline.kinesis.assign import assign_page
from pipeline.kinesis.errors import PassingError
from pipeline.kinesis.fetch import Fetched
from pipeline.kinesis.positions import Cursor, ReaderState
from pipeline.kinesis.retention import Retention
from pipeline.kinesis.settings import ReadSettings
from pipeline.kinesis.shared import Shared
from pipeline.source import Batch

CALL_S = 1.0
CALL_BYTES = 16 << 20
CALL_WINDOWS = 100


class Step(NamedTuple):
    """A state to claim, then what to emit: batches of records, or the account of the window that it closes."""

    state: ReaderState
    batches: list[Batch]
    closed: ReaderState | None = None
    progress: bool = True


@dataclasses.dataclass
class ReadBudget:
    """What is left of one call: it ends after a time, or a number of record bytes or windows."""

    deadline: float
    bytes: int = CALL_BYTES
    windows: int = CALL_WINDOWS

    @property
    def full(self) -> bool:
        """Tell whether enough was read."""
        return self.bytes <= 0 or self.windows <= 0


#: Pages of up to 10 MiB that one reader fetches ahead of the one that it works on.
FLYING = 8


class Poller:
    """Fetch and fold pages of one reader; `counts` is where it counts what happened.

    `behind_ms` is how far behind the tip each shard was found.
    """

    def __init__(self, settings: ReadSettings, shared: Shared, retention: Retention,
                 counts: collections.Counter[str]) -> None:
        self._settings, self._shared, self._pages = settings, shared, shared.pages
        self._retention, self._counts = retention, counts
        self.behind_ms: dict[str, int] = {}

    def wait_s(self, cursor: Cursor) -> float:
        """Give the seconds until a page of that shard can be had."""
        return self._pages.wait_s(cursor)

    def steps(self, state: ReaderState, cursors: list[Cursor], call: ReadBudget) -> Iterator[Step]:
        """Take a page of each of those shards for which one can be had, who has waited longest first."""
        ready = [cursor for cursor in cursors if not self._pages.wait_s(cursor)]
        for fetched in self._fetch(sorted(ready, key=self._pages.ready_s), call):
            step = self._fold(state, fetched)
            state = step.state
            yield step

    def _fetch(self, cursors: list[Cursor], call: ReadBudget) -> Iterator[Fetched]:
        """Fetch pages in parallel, in order, a few ahead of the one that is worked on; none once the call is full."""
        flying: collections.deque[Future[Fetched]] = collections.deque()
        for cursor in cursors:
            if call.full or self._shared.limiter.clock() > call.deadline:
                break
            flying.append(self._shared.threads.submit(self._pages.fetch, cursor))
            if len(flying) >= FLYING:
                yield flying.popleft().result()
        while flying:
            yield flying.popleft().result()

    def _fold(self, state: ReaderState, fetched: Fetched) -> Step:
        cursor, page = fetched.cursor, fetched.page
        if page is None:
            return self._without_page(state, fetched)
        if fetched.outcome == 'asked':
            self._counts.update(pages=1, empty_pages=not page.records)
            if not self._nothing_lost(state, cursor, page.now_ms):
                return Step(state, [], progress=False)
        end_ms = state.window_ms + self._settings.flush_ms
        assigned = assign_page(cursor, page, state.window_ms, end_ms, self._settings.flush_bytes)
        cursor = assigned.cursor
        if assigned.rest:
            self._pages.keep(cursor, assigned.rest)
        else:
            self._pages.forget(cursor)
        if not page.records and not page.behind_ms:
            passed_ms = max(cursor.passed_ms, page.now_ms - self._settings.slack_ms)
            cursor = dataclasses.replace(cursor, passed_ms=passed_ms)
        self._counts['overtaken'] += assigned.overtaken
        behind_ms = page.now_ms - cursor.arrival_ms if assigned.rest else page.behind_ms
        # The last page of a closed shard says how far behind it ended: there is nothing left to be behind of.
        self.behind_ms[cursor.key] = 0 if cursor.closed else behind_ms
        return Step(state.with_cursor(cursor), assigned.batches, progress=bool(page.records or page.behind_ms))

    def _without_page(self, state: ReaderState, fetched: Fetched) -> Step:
        if fetched.outcome != 'gone':
            self._counts[fetched.outcome] += 1
            return Step(state.with_cursor(fetched.cursor), [], progress=False)
        closed = self._nothing_lost(state, fetched.cursor, None)
        if closed and not fetched.cursor.unlisted_ms:  # the last listing showed it: one of the two answers is wrong
            self._counts['failed_calls'] += 1
            closed = False
        self._counts['gone_shards'] += closed
        if closed:
            self.behind_ms[fetched.cursor.key] = 0
        return Step(state.with_cursor(dataclasses.replace(fetched.cursor, closed=closed)), [], progress=closed)

    def _nothing_lost(self, state: ReaderState, cursor: Cursor, now_ms: int | None) -> bool:
        """Raise Gap where retention ran ahead of this cursor; False where AWS does not answer for now."""
        try:
            self._retention.check(cursor, state.window_ms, now_ms)
        except PassingError:
            self._counts['failed_calls'] += 1
            return False
        return True
