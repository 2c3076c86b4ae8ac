"""One reader: which shards to read next, when a window may close, when to list shards. It does not use Beam."""
from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterator

from pipeline.kinesis.limits import Limits
from pipeline.kinesis.poll import BUDGET_S, Poller, ReadBudget, Step
from pipeline.kinesis.positions import Cursor, ReaderId, ReaderState
from pipeline.kinesis.settings import ReadSettings
from pipeline.kinesis.shards import Discovery
from pipeline.kinesis.shared import Shared
from pipeline.kinesis.slices import has_ended, note_window


class Reader:
    """Read the shards of one reader round by round. An object lives for one call of `process`.

    `counts` holds what happened during that call, by the names of the counters.
    """

    def __init__(self, settings: ReadSettings, reader_id: ReaderId, shared: Shared) -> None:
        self._settings = settings
        self._reader_id = reader_id
        self._limiter, self._sleep = shared.limiter, shared.sleep
        self.counts: collections.Counter[str] = collections.Counter()
        retention = shared.retention_of(settings)
        self._discovery = Discovery(settings, reader_id, shared, retention, self.counts)
        self._limits = Limits(settings)
        self._poller = Poller(settings, shared, retention, self._limits, self.counts)

    @property
    def behind_ms(self) -> dict[str, int]:
        """Return how far behind the tip each shard was, by `stream/shard`, for the shards that were asked."""
        return self._poller.behind_ms

    def steps(self, state: ReaderState) -> Iterator[Step]:
        """Yield steps for about a second, or until enough bytes or windows are read; each follows the one before.

        Raise ReadError if Kinesis refuses for good, or no longer gives what a committed window held, and Gap if
        retention dropped records that were not read yet.
        """
        budget = ReadBudget(self._limiter.clock() + BUDGET_S)
        while not state.done:
            for step in self._round(state, budget):
                state = step.state
                yield step
                self._count(step, budget)  # after the yield, so only steps that were claimed are counted
            wait_s, left_s = self._wait_s(state), budget.deadline - self._limiter.clock()
            if state.done or budget.spent or left_s <= 0:
                return
            self._sleep(min(wait_s, left_s))
            if wait_s >= left_s:
                return

    def _count(self, step: Step, budget: ReadBudget) -> None:
        records = [record for batch in step.batches for record in batch.records]
        size, closed = sum(len(record.data) for record in records), step.closed is not None
        budget.bytes, budget.windows = budget.bytes - size, budget.windows - closed
        self.counts.update(records=len(records), bytes=size, windows=closed)

    def _round(self, state: ReaderState, budget: ReadBudget) -> Iterator[Step]:
        """List the shards if that is due, read a page of each shard that may be asked, close windows that are read."""
        if has_ended(self._settings.run_id, state.window_ms):
            yield Step(dataclasses.replace(state, done=True), [], progress=False)
            return
        if not self._discovery.wait_s(state, self._waits_for_listing(state)):
            state = self._discovery.list(state)
            yield Step(state, [], progress=False)
        for step in self._poller.steps(state, self._readable(state), budget):
            state = step.state
            yield step
        while not state.done and not budget.spent and self._may_close(state):
            step = self._close(state)
            state = step.state
            yield step

    def _unfinished(self, state: ReaderState) -> list[Cursor]:
        """Return the cursors of shards that have not passed the end of the current window."""
        return [cursor for cursor in state.cursors if not self._limits.has_passed(state.window_ms, cursor)]

    def _readable(self, state: ReaderState) -> list[Cursor]:
        """Return the cursors to read: none before the first listing, which tells the size of the parts."""
        return self._unfinished(state) if state.listed_ms else []

    def _may_close(self, state: ReaderState) -> bool:
        return self._listed_past(state) and not self._unfinished(state)

    def _waits_for_listing(self, state: ReaderState) -> bool:
        return not self._unfinished(state) and not self._listed_past(state)

    def _listed_past(self, state: ReaderState) -> bool:
        """Return whether the last listing came late enough to show every shard with records of the current window.

        A shard that a listing does not show was created after it, so all of its records are newer.
        """
        return state.listed_ms - self._settings.slack_ms >= state.window_ms + self._settings.flush_ms

    def _wait_s(self, state: ReaderState) -> float:
        """Return the seconds until there is something to do."""
        if state.done or self._may_close(state):
            return 0.0
        readable = self._readable(state)
        return min([*map(self._poller.wait_s, readable), self._discovery.wait_s(state, urgent=not readable)])

    def _close(self, state: ReaderState) -> Step:
        """Return the step that closes the current window; its state begins the next one, or is done."""
        self._limits.check_window(state, self._reader_id)
        next_ms = state.window_ms + self._settings.flush_ms
        window_bytes = sum(cursor.bytes for cursor in state.cursors)
        slice_ends = note_window(self._settings.run_id, self._reader_id.number, next_ms, window_bytes)
        done = slice_ends or (state.stop_ms is not None and next_ms >= state.stop_ms)
        cursors = tuple(dataclasses.replace(cursor, records=0, bytes=0, first='') if cursor.records else cursor
                        for cursor in state.cursors)
        next_state = dataclasses.replace(state, window_ms=next_ms, window_bytes=window_bytes, cursors=cursors,
                                         done=done)
        return Step(next_state, [], closed=state)
