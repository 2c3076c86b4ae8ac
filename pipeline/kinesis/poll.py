"""Poll many shards at once, and turn their pages one after another into steps of the reader's state."""
from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterator
from concurrent.futures import Future
from typing import NamedTuple

from pipeline.kinesis.api import Page
from pipeline.kinesis.assign import assign_page
from pipeline.kinesis.errors import PassingError
from pipeline.kinesis.fetch import Fetched, Outcome
from pipeline.kinesis.limits import Limits
from pipeline.kinesis.positions import Cursor, ReaderState
from pipeline.kinesis.retention import Retention
from pipeline.kinesis.settings import ReadSettings
from pipeline.kinesis.shared import Shared
from pipeline.source import Batch

BUDGET_S = 1.0
BUDGET_BYTES = 16 << 20
BUDGET_WINDOWS = 100
#: Pages of up to 10 MiB that one reader fetches ahead of the one that it works on.
PAGES_AHEAD = 8
#: The counter of each failure after which the shard is asked again.
FAILURE_COUNTERS = {Outcome.THROTTLED: 'throttles', Outcome.FAILED: 'failed_calls',
                    Outcome.EXPIRED: 'expired_iterators'}


class Step(NamedTuple):
    """A state to claim, then what to emit: batches of records, and the state of the window that it closes.

    `progress` is False if nothing was read and nothing more is known to be waiting.
    """

    state: ReaderState
    batches: list[Batch]
    closed: ReaderState | None = None
    progress: bool = True


@dataclasses.dataclass
class ReadBudget:
    """What one call of `process` may still read: until `deadline` (s, the limiter's clock), record bytes, windows."""

    deadline: float
    bytes: int = BUDGET_BYTES
    windows: int = BUDGET_WINDOWS

    @property
    def spent(self) -> bool:
        """Return whether the bytes or the windows are used up."""
        return self.bytes <= 0 or self.windows <= 0


class Poller:
    """Fetch the pages of one reader's shards and assign them.

    `counts` is where it counts what happened, by name. `behind_ms` holds how far behind the tip each shard was when
    it was last asked, in milliseconds by `stream/shard`.
    """

    def __init__(self, settings: ReadSettings, shared: Shared, retention: Retention, limits: Limits,
                 counts: collections.Counter[str]) -> None:
        self._settings, self._shared, self._pages = settings, shared, shared.pages
        self._retention, self._limits, self._counts = retention, limits, counts
        self.behind_ms: dict[str, int] = {}

    def wait_s(self, cursor: Cursor) -> float:
        """Return the seconds until the next page of that shard may be fetched."""
        return self._pages.wait_s(cursor)

    def steps(self, state: ReaderState, cursors: list[Cursor], budget: ReadBudget) -> Iterator[Step]:
        """Yield a step for each of these shards that may be asked now, beginning with those that waited longest.

        Raise ReadError if Kinesis refuses for good, and Gap if retention dropped records that were not read yet.
        """
        ready = [cursor for cursor in cursors if not self._pages.wait_s(cursor)]
        for fetched in self._fetch(sorted(ready, key=self._pages.ready_s), budget):
            step = self._step(state, fetched)
            state = step.state
            yield step

    def _fetch(self, cursors: list[Cursor], budget: ReadBudget) -> Iterator[Fetched]:
        """Fetch pages in parallel and yield them in order; begin no more once the budget is spent."""
        pending: collections.deque[Future[Fetched]] = collections.deque()
        for cursor in cursors:
            if budget.spent or self._shared.limiter.clock() > budget.deadline:
                break
            pending.append(self._shared.threads.submit(self._pages.fetch, cursor))
            if len(pending) >= PAGES_AHEAD:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()

    def _step(self, state: ReaderState, fetched: Fetched) -> Step:
        """Return the step for a page, or for the failure to fetch one."""
        if fetched.outcome is Outcome.GONE:
            return self._close_gone_shard(state, fetched.cursor)
        if fetched.page is None:
            self._counts[FAILURE_COUNTERS[fetched.outcome]] += 1
            return Step(state.with_cursor(fetched.cursor), [], progress=False)
        if fetched.outcome is Outcome.ASKED:
            self._counts.update(pages=1, empty_pages=not fetched.page.records)
            if not self._nothing_lost(state, fetched.cursor, fetched.page.now_ms):
                return Step(state, [], progress=False)
        if fetched.page.records and not fetched.cursor.part_bytes:
            # A shard that listings do not show any more holds no records. One of the two answers is wrong, so the shard
            # is asked again; without its share of the hash range, its parts are not known.
            self._counts['failed_calls'] += 1
            return Step(state.with_cursor(fetched.cursor), [], progress=False)
        return self._assign(state, fetched.cursor, fetched.page)

    def _assign(self, state: ReaderState, cursor: Cursor, page: Page) -> Step:
        """Return the step that emits the records of a page that belong to the current window."""
        before, end_ms = cursor, state.window_ms + self._settings.flush_ms
        cursor, batches, rest, overtaken = assign_page(
            cursor, page, state.window_ms, end_ms, cursor.part_bytes, self._limits.of(state.window_ms, cursor))
        self._limits.check_page(state.window_ms, before, cursor)
        if rest:
            self._pages.keep(cursor, rest)
        else:
            self._pages.forget(cursor)
        if not page.records and not page.behind_ms:  # an empty read at the tip
            passed_ms = max(cursor.passed_ms, page.now_ms - self._settings.slack_ms)
            cursor = dataclasses.replace(cursor, passed_ms=passed_ms)
        self._counts['overtaken'] += overtaken
        behind_ms = page.now_ms - cursor.arrival_ms if rest else page.behind_ms
        # The last page of a closed shard tells how far behind it ended, but nothing is left to be behind of.
        self.behind_ms[cursor.key] = 0 if cursor.closed else behind_ms
        return Step(state.with_cursor(cursor), batches, progress=bool(page.records or page.behind_ms))

    def _close_gone_shard(self, state: ReaderState, cursor: Cursor) -> Step:
        """Close a shard that Kinesis does not know any more, unless the last listing still shows it."""
        closed = self._nothing_lost(state, cursor, None)
        if closed and not cursor.unlisted_ms:  # one of the two answers is wrong, so the shard is asked again
            self._counts['failed_calls'] += 1
            closed = False
        self._counts['gone_shards'] += closed
        if closed:
            self.behind_ms[cursor.key] = 0
        return Step(state.with_cursor(dataclasses.replace(cursor, closed=closed)), [], progress=closed)

    def _nothing_lost(self, state: ReaderState, cursor: Cursor, now_ms: int | None) -> bool:
        """Return True if retention has kept everything after this cursor, False if AWS does not answer for now.

        Raise Gap if it dropped records that were not read yet.
        """
        try:
            self._retention.check(cursor, state.window_ms, now_ms)
        except PassingError:
            self._counts['failed_calls'] += 1
            return False
        return True
