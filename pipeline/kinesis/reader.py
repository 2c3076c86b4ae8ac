"""One reader: which shard to read next, when a window may close, what to say of it. Knows no Beam."""
from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterator

from pipeline.kinesis.poll import CALL_S, Poller, ReadBudget, Step
from pipeline.kinesis.positions import Cursor, ReaderState
from pipeline.kinesis.settings import ReadSettings
from pipeline.kinesis.shards import Discovery
from pipeline.kinesis.shared import Shared
from pipeline.kinesis.slices import has_ended, note_window


class Reader:
    """Read the shards of one reader round by round.

    `counts` is what happened, by name, in this object, which lives for one call.
    """

    def __init__(self, settings: ReadSettings, element: tuple[int, int], shared: Shared) -> None:
        self._settings = settings
        self._element = element
        self._limiter, self._sleep = shared.limiter, shared.sleep
        self.counts: collections.Counter[str] = collections.Counter()
        retention = shared.retention_of(settings)
        self._discovery = Discovery(settings, element, shared, retention, self.counts)
        self._poller = Poller(settings, shared, retention, self.counts)

    @property
    def behind_ms(self) -> dict[str, int]:
        """Give how far behind the tip each shard was found that was asked."""
        return self._poller.behind_ms

    def steps(self, state: ReaderState) -> Iterator[Step]:
        """Read for about a second, or a bounded number of bytes or windows; each step goes on from the one before.

        Raises ReadError where Kinesis refuses for good, or data was lost to retention.
        """
        call = ReadBudget(self._limiter.clock() + CALL_S)
        while not state.done:
            for step in self._round(state, call):
                state = step.state
                yield step
                self._count(step, call)  # only of steps that were claimed
            wait_s, left_s = self._wait_s(state), call.deadline - self._limiter.clock()
            if state.done or call.full or left_s <= 0:
                return
            self._sleep(min(wait_s, left_s))
            if wait_s >= left_s:
                return

    def _count(self, step: Step, call: ReadBudget) -> None:
        records = [record for batch in step.batches for record in batch.records]
        size, closed = sum(len(record.data) for record in records), step.closed is not None
        call.bytes, call.windows = call.bytes - size, call.windows - closed
        self.counts.update(records=len(records), bytes=size, windows=closed)

    def _round(self, state: ReaderState, call: ReadBudget) -> Iterator[Step]:
        if has_ended(self._settings.run_id, state.window_ms):
            yield Step(dataclasses.replace(state, done=True), [], progress=False)
            return
        wanted = not self._behind(state) and not self._listed_past(state)
        if not self._discovery.wait_s(state, wanted):
            state = self._discovery.list(state)
            yield Step(state, [], progress=False)
        for step in self._poller.steps(state, self._behind(state), call):
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
        return min([*map(self._poller.wait_s, behind), self._discovery.wait_s(state, wanted=not behind)])

    def _close(self, state: ReaderState) -> Step:
        next_ms = state.window_ms + self._settings.flush_ms
        read_bytes = sum(cursor.bytes for cursor in state.cursors)
        ends = note_window(self._settings.run_id, self._element[0], next_ms, read_bytes)
        fresh = tuple(dataclasses.replace(cursor, records=0, bytes=0, first='') if cursor.records else cursor
                      for cursor in state.cursors)
        done = ends or (state.stop_ms is not None and state.stop_ms <= next_ms)
        next_state = dataclasses.replace(state, window_ms=next_ms, window_bytes=read_bytes, cursors=fresh, done=done)
        return Step(next_state, [], closed=state)
