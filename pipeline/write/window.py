"""WindowByHour: collect the lines of a bundle by object, and put them into flush windows as chunks."""
import collections
import dataclasses
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from apache_beam.transforms.window import FixedWindows, GlobalWindow, WindowedValue

from pipeline.commit.ledger import DOCUMENT_ERRORS, placed_row
from pipeline.gc_tuning import tune_gc
from pipeline.source import Batch
from pipeline.windows import timestamp_of
from pipeline.write.buffers import LineBuffers
from pipeline.write.layout import Layout
from transforms import Failure, Origin, Record, encode_event, encode_failure, encode_raw
from transforms.batching import failures_of, merged
from transforms.limits import line_budget, malformed

KeyedChunk = tuple[bytes, bytes]


class _Window(beam.DoFn):  # type: ignore[misc]
    loose = False

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def setup(self) -> None:
        tune_gc()

    def start_bundle(self) -> None:
        self._buffers = LineBuffers(self.loose)

    def finish_bundle(self) -> Iterator[Any]:
        for keyed in self._buffers.flush():
            yield WindowedValue(keyed.value, keyed.timestamp, [GlobalWindow()])
        for window_ms, counts in self._buffers.counts.items():
            row = placed_row(counts)
            yield beam.pvalue.TaggedOutput('ledger', WindowedValue(row, timestamp_of(window_ms), [GlobalWindow()]))


class _WindowEvents(_Window):
    def process(self, record: Record) -> Iterator[Any]:
        yield from self._add(record)

    @beam.DoFn.yields_elements  # type: ignore[untyped-decorator]
    def process_batch(self, batch: list[Record]) -> Iterator[Any]:
        for record in batch:
            yield from self._add(record)

    def _add(self, record: Record) -> Iterator[Any]:
        layout, origin, buffers = self._layout, record.origin, self._buffers
        counts, name = buffers.counts[origin.window_ms], layout.name(origin)
        left, lines = line_budget(len(record.data)), 0
        all_dropped = record.dropped or [{}] * len(record.documents)
        for index, event, dropped in zip(record.indices, record.documents, all_dropped, strict=True):
            line = encode_event(event)
            left -= len(line) + 1
            if left < 0:
                break
            lines += 1
            hour_ms = None
            if layout.partition_time == 'event':
                hour_ms = layout.hour_of(event, dropped, origin)
                if hour_ms is None:
                    counts['hours_of_arrival'] += 1
                    fault = layout.time_fault(event, dropped, origin)
                    if fault:
                        counts[fault] += 1
            path = layout.event(event, dropped, origin, hour_ms, name)
            yield from buffers.add(path, origin, index, line)
        count_record(counts, record, lines)
        refused = dict.fromkeys(record.indices[lines:], malformed('output-too-large'))
        if refused:
            for failed in merged(failures_of(record, 'encode', refused)):
                yield beam.pvalue.TaggedOutput('malformed', failed)


def count_record(counts: collections.Counter[str], record: Record, lines: int) -> None:
    """Add a record to the counts of its window. `lines` is the number of its documents that became lines."""
    counts['records'] += record.origin.sub_sequence == 0  # an aggregate counts once, by its first sub-record
    counts['user_records'] += 1
    counts['with_documents' if record.found else 'malformed' if record.broken else 'empty'] += 1
    counts['documents'] += record.found
    counts['lines'] += lines
    counts['fragments'] += record.broken


class _WindowFailures(_Window):
    loose = True  # the failures of one stage come after those of another

    def process(self, failure: Failure) -> Iterator[KeyedChunk]:
        counts = self._buffers.counts[failure.origin.window_ms]
        counts[f'error {failure.code}'] += 1
        if failure.code in DOCUMENT_ERRORS:
            counts['document_errors'] += failure.documents
        path = self._layout.failure(failure.code, failure.origin)
        yield from self._buffers.add(path, failure.origin, failure.index, encode_failure(failure))


class _WindowBackup(_Window):
    def process(self, batch: Batch) -> Iterator[KeyedChunk]:
        self._buffers.counts[batch.window_ms]['backup'] += len(batch.records)
        for raw in batch.records:
            origin = Origin(batch.stream, batch.shard, raw.sequence, partition_key=raw.partition_key,
                            arrival_ms=raw.arrival_ms, window_ms=batch.window_ms, part=batch.part)
            yield from self._buffers.add(self._layout.backup(origin), origin, 0, encode_raw(origin, raw.data))


@dataclasses.dataclass
class WindowByHour(beam.PTransform):  # type: ignore[misc]
    """Encode lines, and collect them by object and flush window. Events go into the folder of their hour and platform.

    `what` is `events` (PCollection[Record]), `errors` (PCollection[Failure]) or `backup` (PCollection[Batch]). Outputs:
    `.chunks`, PCollection[tuple[bytes, bytes]] of object path and chunk, in flush windows; `.ledger`,
    PCollection[bytes], rows that count what went in; and `.malformed`, PCollection[Failure]: events that make the lines
    of their record too large.
    """

    layout: Layout
    flush_ms: int
    what: str = 'events'

    def expand(self, pcoll: beam.PCollection) -> Any:
        collect = {'events': _WindowEvents, 'errors': _WindowFailures, 'backup': _WindowBackup}[self.what]
        outputs = pcoll | 'CollectLines' >> beam.ParDo(collect(self.layout)).with_outputs(
            'ledger', 'malformed', main='chunks')
        chunks = (outputs.chunks | 'Typed' >> beam.Map(_same).with_output_types(tuple[bytes, bytes])
                  | 'Window' >> beam.WindowInto(FixedWindows(self.flush_ms / 1000)))
        return WindowOutputs(chunks, outputs.ledger, outputs.malformed)


@dataclasses.dataclass(frozen=True)
class WindowOutputs:
    """The outputs of WindowByHour."""

    chunks: beam.PCollection
    ledger: beam.PCollection
    malformed: beam.PCollection


def _same(keyed: KeyedChunk) -> KeyedChunk:
    return keyed
