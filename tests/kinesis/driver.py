"""A reader driven by hand, as a runner would: claim, output, checkpoint, restore by the coder, again."""
from __future__ import annotations

import collections
import dataclasses
import json
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.io.watermark_estimators import ManualWatermarkEstimator
from apache_beam.runners.sdf_utils import RestrictionTrackerView, ThreadsafeRestrictionTracker

from pipeline.kinesis.fetch import ShardPages
from pipeline.kinesis.monitor import Monitor
from pipeline.kinesis.positions import ReaderState, ReaderStateCoder
from pipeline.kinesis.rate_limiter import RateLimiter
from pipeline.kinesis.read import _ReadUnbounded
from pipeline.kinesis.settings import ReadSettings
from pipeline.kinesis.shared import Shared
from pipeline.source import Batch
from tests.kinesis.fake import FakeKinesis


class Inline(Executor):
    """Run what is submitted at once, in this thread."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


class Noted(Monitor):
    """Add up what readers note."""

    def __init__(self, limiter: RateLimiter) -> None:
        super().__init__(limiter)
        self.counts: collections.Counter[str] = collections.Counter()
        self.behind_ms: dict[str, int] = {}

    def note(self, element: tuple[int, int], state: ReaderState, counts: Mapping[str, int],
             behind_ms: Mapping[str, int]) -> None:
        super().note(element, state, counts, behind_ms)
        self.counts.update(counts)
        self.behind_ms.update(behind_ms)


class Outcome(NamedTuple):
    """What one call of process() gave: batches and accounts in order, the watermark (ms) and the delay (s)."""

    batches: list[Batch]
    accounts: list[dict[str, Any]]
    watermark_ms: int
    delay_s: float | None

    @property
    def data(self) -> list[str]:
        """The data of all records, in order."""
        return [record.data.decode() for batch in self.batches for record in batch.records]


class Driver:
    """Readers of one fake stream; `states` is what their last checkpoint holds."""

    def __init__(self, fake: FakeKinesis, settings: ReadSettings | None = None, readers: int = 1) -> None:
        self.fake = fake
        self.settings = settings or fake.settings()
        self.readers = readers
        self.restart()
        self.states = [self.dofn.initial_restriction((reader, readers)) for reader in range(readers)]
        self.watermarks: list[Any] = [None] * readers

    def restart(self) -> None:
        """Go on in another process: nothing kept, no limits known."""
        limiter = RateLimiter(self.fake.clock, jitter=lambda: 1.0)
        self.monitor = Noted(limiter)
        pages = ShardPages(self.fake, self.settings.streams, limiter=limiter, wall_ms=self.fake.local_ms)
        self.dofn = _ReadUnbounded(self.settings)
        self.dofn._shared = Shared(self.fake, pages, limiter, self.monitor, Inline(), self.fake.sleep,
                                   self.fake.local_ms)

    def call(self, reader: int = 0, stop_after: int | None = None) -> Outcome:
        """ReadBudget process() once and take its checkpoint; `stop_after` outputs the runner asks for one itself."""
        coder = ReaderStateCoder()
        state = coder.decode(coder.encode(self.states[reader]))
        tracker = ThreadsafeRestrictionTracker(self.dofn.create_tracker(state))
        estimator = ManualWatermarkEstimator(self.watermarks[reader])
        batches, accounts, split, split_watermark = [], [], None, None
        outputs = self.dofn.process((reader, self.readers), RestrictionTrackerView(tracker), estimator)
        for number, output in enumerate(outputs):
            if isinstance(output, beam.pvalue.TaggedOutput):
                accounts.append(json.loads(output.value.value)['account'])
                assert output.value.timestamp >= estimator.current_watermark()
            else:
                batches.append(output.value)
                assert output.timestamp >= estimator.current_watermark()
            if number + 1 == stop_after:
                split_watermark, split = estimator.current_watermark(), tracker.try_split(0)
        tracker.check_done()
        deferred = tracker.deferred_status()
        finished = dataclasses.replace(state, done=True)
        self.states[reader] = split[1] if split else deferred[0] if deferred else finished
        # A runner that splits takes the watermark of that moment for the rest.
        self.watermarks[reader] = split_watermark if split else estimator.current_watermark()
        delay_s = deferred[1].micros / 1e6 if deferred else None
        return Outcome(batches, accounts, self.watermarks[reader].micros // 1000, delay_s)

    def run(self, seconds: float) -> list[Outcome]:
        """ReadBudget every reader again and again, two seconds apart when idle, for so long."""
        outcomes, end = [], self.fake.clock() + seconds
        while self.fake.clock() < end:
            began = self.fake.clock()
            for reader in range(self.readers):
                if not self.states[reader].done:
                    outcomes.append(self.call(reader))
            if all(state.done for state in self.states):
                break
            self.fake.sleep(max(0.001, 1 - (self.fake.clock() - began)))
        return outcomes


def data_of(outcomes: list[Outcome]) -> list[str]:
    """Give the data of all records that were emitted."""
    return [data for outcome in outcomes for data in outcome.data]
