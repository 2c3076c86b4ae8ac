"""Drive readers by hand, as a runner does: claim, output, checkpoint, restore through the coder, repeat."""
from __future__ import annotations

import collections
import dataclasses
import pickle
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from typing import Any, NamedTuple

import apache_beam as beam
import msgspec
from apache_beam.io.watermark_estimators import ManualWatermarkEstimator
from apache_beam.runners.sdf_utils import RestrictionTrackerView, ThreadsafeRestrictionTracker

from pipeline.kinesis.fetch import ShardPages
from pipeline.kinesis.monitor import Monitor
from pipeline.kinesis.positions import ReaderId, ReaderState, ReaderStateCoder
from pipeline.kinesis.rate_limiter import RateLimiter
from pipeline.kinesis.read import _ReadUnbounded
from pipeline.kinesis.settings import ReadSettings, StreamInfo
from pipeline.kinesis.shared import Shared
from pipeline.source import Batch
from tests.kinesis.fake import FakeKinesis


class Inline(Executor):
    """Run what is submitted immediately, in this thread."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


class RecordingMonitor(Monitor):
    """Add up what readers report."""

    def __init__(self, limiter: RateLimiter) -> None:
        super().__init__(limiter)
        self.counts: collections.Counter[str] = collections.Counter()
        self.behind_ms: dict[str, int] = {}

    def note(self, reader_id: ReaderId, state: ReaderState, counts: Mapping[str, int],
             behind_ms: Mapping[str, int]) -> None:
        super().note(reader_id, state, counts, behind_ms)
        self.counts.update(counts)
        self.behind_ms.update(behind_ms)


class Outcome(NamedTuple):
    """What came of one call of process(): batches and reports in order, the watermark (ms), the delay asked for (s)."""

    batches: list[Batch]
    reports: list[dict[str, Any]]
    watermark_ms: int
    delay_s: float | None

    @property
    def data(self) -> list[str]:
        """Return the data of all records, in order."""
        return [record.data.decode() for batch in self.batches for record in batch.records]


def shared_of(fake: FakeKinesis, limiter: RateLimiter | None = None, monitor: Monitor | None = None,
              streams: tuple[StreamInfo, ...] = ()) -> Shared:
    """Return what readers of a fake stream share; they fetch in the calling thread, and wait by the fake's clock."""
    limiter = limiter or RateLimiter(fake.clock, jitter=lambda: 1.0)
    monitor = monitor or Monitor(limiter)
    pages = ShardPages(fake, streams or fake.infos(), limiter=limiter, wall_ms=fake.local_ms)
    return Shared(api=fake, pages=pages, limiter=limiter, monitor=monitor, threads=Inline(), sleep=fake.sleep,
                  wall_ms=fake.local_ms)


class Driver:
    """The readers of one fake stream; `states` holds what their last checkpoints hold."""

    def __init__(self, fake: FakeKinesis, settings: ReadSettings | None = None, readers: int = 1) -> None:
        self.fake = fake
        self.settings = settings or fake.settings()
        self.readers = readers
        self.restart()
        self.states = [self.dofn.initial_restriction((reader, readers)) for reader in range(readers)]
        self.watermarks: list[Any] = [None] * readers

    def restart(self) -> None:
        """Continue in a new process, which has no pages and knows no limits."""
        limiter = RateLimiter(self.fake.clock, jitter=lambda: 1.0)
        self.monitor = RecordingMonitor(limiter)
        self.dofn = pickle.loads(pickle.dumps(_ReadUnbounded(self.settings)))
        self.dofn._shared = shared_of(self.fake, limiter, self.monitor, self.settings.streams)

    def call(self, reader: int = 0, stop_after: int | None = None) -> Outcome:
        """Call process() once and take its checkpoint. If given, the runner asks for one after `stop_after` outputs."""
        coder = ReaderStateCoder()
        state = coder.decode(coder.encode(self.states[reader]))
        tracker = ThreadsafeRestrictionTracker(self.dofn.create_tracker(state))
        estimator = ManualWatermarkEstimator(self.watermarks[reader])
        batches, reports, split, split_watermark = [], [], None, None
        outputs = self.dofn.process((reader, self.readers), RestrictionTrackerView(tracker), estimator)
        for number, output in enumerate(outputs):
            if isinstance(output, beam.pvalue.TaggedOutput):
                reports.append(msgspec.json.decode(output.value.value))
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
        # A runner that checkpoints restores the rest with the watermark of that moment.
        self.watermarks[reader] = split_watermark if split else estimator.current_watermark()
        delay_s = deferred[1].micros / 1e6 if deferred else None
        return Outcome(batches, reports, self.watermarks[reader].micros // 1000, delay_s)

    def run(self, seconds: float) -> list[Outcome]:
        """Call every reader again and again for so long, once a second."""
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
    """Return the data of all records that were emitted."""
    return [data for outcome in outcomes for data in outcome.data]
