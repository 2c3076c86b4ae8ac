"""ReadKinesis: the splittable DoFn that reads shards, and the step that turns its batches into records."""
import dataclasses
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from apache_beam.io.watermark_estimators import ManualWatermarkEstimator
from apache_beam.transforms.core import RestrictionProvider
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import Duration, Timestamp

from pipeline.errors import ReadError
from pipeline.kinesis.deaggregate import DeaggregateBatches
from pipeline.kinesis.poll import Step
from pipeline.kinesis.positions import ReaderId, ReaderState, ReaderStateCoder, report_of
from pipeline.kinesis.reader import Reader
from pipeline.kinesis.settings import ReadSettings
from pipeline.kinesis.shards import owner_of
from pipeline.kinesis.shared import share
from pipeline.kinesis.tracker import ReaderTracker
from pipeline.progress import PROGRESS
from pipeline.source import Batch, Source
from pipeline.windows import timestamp_of

#: The SDK subtracts the time spent from a delay, and Flink drops fractions of a second: of less than 2 s, nothing may
#: remain.
IDLE = Duration(2)


class BatchCoder(beam.coders.PickleCoder):  # type: ignore[misc]
    """Pickle a batch. Estimate its size without pickling, because Beam would pickle megabytes only to measure them."""

    def estimate_size(self, value: Batch) -> int:
        return sum(len(record.data) for record in value.records)


beam.coders.registry.register_coder(Batch, BatchCoder)


@dataclasses.dataclass
class ReadKinesis(beam.PTransform):  # type: ignore[misc]
    """Read Kinesis streams with `readers` splittable elements, each of which reads many shards. Return a Source.

    The read is bounded if the settings have a stop. Elements are stamped with the start of their flush window. The
    watermark of a reader is the start of the window that it is reading. On a runner that retries, every record between
    start and stop is read at least once, with the same stamp, part and order each time.

    ReadError ends the pipeline if Kinesis refuses for good, or if a savepoint has readers of an earlier generation, and
    Gap if retention dropped records that were not read.
    """

    settings: ReadSettings
    readers: int = 1

    def expand(self, pbegin: beam.Pipeline) -> Any:  # a Source; Beam warns of return types that it does not know
        read_shards = _ReadUnbounded if self.settings.stop_ms is None else _ReadBounded
        read = (pbegin
                | 'Readers' >> beam.Create([(reader, self.readers) for reader in range(self.readers)], reshuffle=False)
                | 'SpreadReaders' >> beam.Reshuffle()
                | 'ReadShards' >> beam.ParDo(read_shards(self.settings)).with_outputs('accounts', main='batches'))
        labels = {stream.name: stream.label for stream in self.settings.streams}
        deaggregated = (read.batches | 'DeaggregateBatches' >> beam.ParDo(DeaggregateBatches(labels))
                        .with_outputs('malformed', main='records'))
        return Source(read.batches, deaggregated.records, deaggregated.malformed, read.accounts)


class _ReadShards(beam.DoFn, RestrictionProvider):  # type: ignore[misc]
    """Read the shards of one reader. An element is a ReaderId as a plain tuple; runners may key restrictions by it."""

    def __init__(self, settings: ReadSettings) -> None:
        self._settings = settings

    def setup(self) -> None:
        settings = self._settings
        self._shared = share(settings.streams, settings.endpoint_url, settings.region)

    def infer_output_type(self, input_type: Any) -> Any:
        """Return the type, which saves Beam a tenth of a second: else it reads the bytecode of all that is called."""
        return Batch

    def initial_restriction(self, element: tuple[int, int]) -> ReaderState:
        settings = self._settings
        number, readers = element
        cursors = tuple(sorted((cursor for cursor in settings.cursors
                                if owner_of(cursor.stream, cursor.shard, readers) == number),
                               key=lambda cursor: cursor.key))
        return ReaderState(settings.start_ms, settings.stop_ms, cursors=cursors, generation=settings.generation)

    def create_tracker(self, restriction: ReaderState) -> ReaderTracker:
        return ReaderTracker(restriction)

    def restriction_size(self, element: tuple[int, int], restriction: ReaderState) -> int:
        """Estimate the bytes of the windows that wait to be read: 0 at the tip, more the further behind a reader is."""
        flush_ms = self._settings.flush_ms
        behind_ms = restriction.listed_ms - self._settings.slack_ms - flush_ms - restriction.window_ms
        return 0 if restriction.done or behind_ms <= 0 else max(1, restriction.window_bytes * behind_ms // flush_ms)

    def restriction_coder(self) -> ReaderStateCoder:
        return ReaderStateCoder()

    def truncate(self, element: tuple[int, int], restriction: ReaderState) -> None:
        """End at once when a runner drains: the open window gets no manifest, and a resumed run reads all of it."""

    def _read(self, element: tuple[int, int], tracker: Any, estimator: Any) -> Iterator[TimestampedValue]:
        state = tracker.current_restriction()
        if state.generation != self._settings.generation:
            raise ReadError('the savepoint was made before another run began with other settings or anew: '
                            '--start=resume without --savepoint_path goes on')
        _raise_to(estimator, state.window_ms)
        reader_id = ReaderId(*element)
        reader, idle = Reader(self._settings, reader_id, self._shared), True
        try:
            for step in reader.steps(state):
                if not tracker.try_claim(step.state):
                    return
                yield from self._outputs(step, *reader_id)
                _raise_to(estimator, step.state.window_ms)
                state, idle = step.state, idle and not (step.progress or step.closed)
        finally:
            self._shared.monitor.note(reader_id, state, reader.counts, reader.behind_ms)
        # Claim even if there was no step: only what is claimed can be deferred.
        if not state.done and tracker.try_claim(state):
            tracker.defer_remainder(IDLE if idle else None)

    def _outputs(self, step: Step, number: int, readers: int) -> Iterator[TimestampedValue]:
        for batch in step.batches:
            PROGRESS.records += len(batch.records)
            yield TimestampedValue(batch, timestamp_of(batch.window_ms))
        if step.closed:
            report = report_of(step.closed, ReaderId(number, readers))
            # Stamped inside the window that it covers, and emitted before the watermark passes the end of that window.
            yield beam.pvalue.TaggedOutput('accounts', TimestampedValue(report, timestamp_of(step.closed.window_ms)))


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
    """Raise the watermark to `ms`, the start of the current window, at the first call too.

    A runner that has seen no watermark holds it at the minimum.
    """
    now: Timestamp | None = estimator.current_watermark()
    if now is None or now < timestamp_of(ms):
        estimator.set_watermark(timestamp_of(ms))
