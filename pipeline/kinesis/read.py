"""ReadKinesis: the reader as splittable DoFns, and the step that turns its batches into records."""
import dataclasses
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from apache_beam.io.watermark_estimators import ManualWatermarkEstimator
from apache_beam.transforms.core import RestrictionProvider
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import Duration, Timestamp

from pipeline.kinesis.deaggregate import DeaggregateBatches
from pipeline.kinesis.poll import Step
from pipeline.kinesis.positions import ReaderState, ReaderStateCoder, report_of
from pipeline.kinesis.reader import Reader
from pipeline.kinesis.settings import ReadSettings
from pipeline.kinesis.shards import owner_of
from pipeline.kinesis.shared import share
from pipeline.kinesis.tracker import ReaderTracker
from pipeline.progress import PROGRESS
from pipeline.source import Batch, Source
from pipeline.windows import timestamp_of

#: Flink drops fractions of a second, after the SDK has taken off the time spent: less than 2 s would be none at all.
IDLE = Duration(2)


class BatchCoder(beam.coders.PickleCoder):  # type: ignore[misc]
    """Tell the size of a batch without pickling it, which Beam would do with megabytes to tell it."""

    def estimate_size(self, value: Batch) -> int:
        return sum(len(record.data) for record in value.records)


beam.coders.registry.register_coder(Batch, BatchCoder)


@dataclasses.dataclass
class ReadKinesis(beam.PTransform):  # type: ignore[misc]
    """Read Kinesis streams by `readers` splittable elements, each with many shards.

    Bounded where the settings have a stop. Elements are stamped with the start of their flush window; the watermark of
    a reader is the start of the window that it is reading. Every record between start and stop is read at least once
    by a runner that retries, with the same stamp, part and order each time.
    """

    settings: ReadSettings
    readers: int = 1

    def expand(self, pbegin: beam.Pipeline) -> Any:  # Kinesis; Beam warns of hints that it does not know
        unbounded = self.settings.stop_ms is None
        read = (pbegin
                | 'Readers' >> beam.Create([(reader, self.readers) for reader in range(self.readers)], reshuffle=False)
                | 'SpreadReaders' >> beam.Reshuffle()
                | 'ReadShards' >> beam.ParDo((_ReadUnbounded if unbounded else _ReadBounded)(self.settings))
                .with_outputs('accounts', main='batches'))
        labels = {stream.name: stream.label for stream in self.settings.streams}
        deaggregated = (read.batches | 'DeaggregateBatches' >> beam.ParDo(DeaggregateBatches(labels))
                    .with_outputs('malformed', main='records'))
        return Source(read.batches, deaggregated.records, deaggregated.malformed, read.accounts)


class _ReadShards(beam.DoFn, RestrictionProvider):  # type: ignore[misc]
    """Read the shards of one reader. Elements are (reader, number of readers): runners may key restrictions by them."""

    def __init__(self, settings: ReadSettings) -> None:
        self._settings = settings

    def setup(self) -> None:
        settings = self._settings
        self._shared = share(settings.streams, settings.endpoint_url, settings.region)

    def infer_output_type(self, input_type: Any) -> Any:
        """Spare Beam reading the bytecode of all that is called: a tenth of a second, here and in CommitWindow."""
        return Batch

    def initial_restriction(self, element: tuple[int, int]) -> ReaderState:
        settings = self._settings
        reader, readers = element
        cursors = tuple(sorted((cursor for cursor in settings.cursors
                                if owner_of(cursor.stream, cursor.shard, readers) == reader),
                               key=lambda cursor: cursor.key))
        return ReaderState(settings.start_ms, settings.stop_ms, cursors=cursors)

    def create_tracker(self, restriction: ReaderState) -> ReaderTracker:
        return ReaderTracker(restriction)

    def restriction_size(self, element: tuple[int, int], restriction: ReaderState) -> int:
        """Estimate the bytes of the windows that wait to be read: 0 at the tip, and more the further behind."""
        flush_ms = self._settings.flush_ms
        behind_ms = restriction.listed_ms - self._settings.slack_ms - flush_ms - restriction.window_ms
        return 0 if restriction.done or behind_ms <= 0 else max(1, restriction.window_bytes * behind_ms // flush_ms)

    def restriction_coder(self) -> ReaderStateCoder:
        return ReaderStateCoder()

    def truncate(self, element: tuple[int, int], restriction: ReaderState) -> None:
        """End at once when a runner drains: the open window gets no manifest, and a resume reads it whole."""

    def _read(self, element: tuple[int, int], tracker: Any, estimator: Any) -> Iterator[TimestampedValue]:
        state = tracker.current_restriction()
        _raise_to(estimator, state.window_ms)
        reader, idle = Reader(self._settings, element, self._shared), True
        try:
            for step in reader.steps(state):
                if not tracker.try_claim(step.state):
                    return
                yield from self._outputs(step, *element)
                _raise_to(estimator, step.state.window_ms)
                state, idle = step.state, idle and not (step.progress or step.closed)
        finally:
            self._shared.monitor.note(element, state, reader.counts, reader.behind_ms)
        # A call that took no step still claims: only what is claimed can be deferred.
        if not state.done and tracker.try_claim(state):
            tracker.defer_remainder(IDLE if idle else None)

    def _outputs(self, step: Step, reader: int, readers: int) -> Iterator[TimestampedValue]:
        for batch in step.batches:
            PROGRESS.records += len(batch.records)
            yield TimestampedValue(batch, timestamp_of(batch.window_ms))
        if step.closed:
            account = report_of(step.closed, reader, readers)
            # Inside the window that it is about, and out before the watermark passes the end.
            yield beam.pvalue.TaggedOutput('accounts', TimestampedValue(account, timestamp_of(step.closed.window_ms)))


class _ReadBounded(_ReadShards):
    def process(self, element,  # type: ignore[no-untyped-def]
                tracker=beam.DoFn.RestrictionParam(),
                estimator=beam.DoFn.WatermarkEstimatorParam(ManualWatermarkEstimator.default_provider())):
        yield from self._read(element, tracker, estimator)


class _ReadUnbounded(_ReadShards):
    @beam.DoFn.unbounded_per_element()
    def process(self, element,  # type: ignore[no-untyped-def]
                tracker=beam.DoFn.RestrictionParam(),
                estimator=beam.DoFn.WatermarkEstimatorParam(ManualWatermarkEstimator.default_provider())):
        yield from self._read(element, tracker, estimator)


def _raise_to(estimator: ManualWatermarkEstimator, ms: int) -> None:
    """Move the watermark to the start of the current window; a runner that sees none holds it at the minimum."""
    now: Timestamp | None = estimator.current_watermark()
    if now is None or now < timestamp_of(ms):
        estimator.set_watermark(timestamp_of(ms))
