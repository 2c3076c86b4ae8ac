"""WindowByHour: lines of a bundle gathered by object, then windowed as chunks.

An event an element through WindowInto and GroupByKey costs several times its parsing; chunks cost about nothing.
"""
import collections
import dataclasses
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import orjson
from apache_beam.transforms.window import FixedWindows, GlobalWindow, WindowedValue

from pipeline.buckets import Buckets
from pipeline.collector import calm_collector
from pipeline.kinesis.folding import Batch
from pipeline.layout import Layout
from pipeline.windows import timestamp_of
from transforms import Failure, Origin, Record, encode_event, encode_failure, encode_raw

KeyedChunk = tuple[bytes, bytes]


class _Bucketing(beam.DoFn):  # type: ignore[misc]
    loose = False

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def setup(self) -> None:
        calm_collector()

    def start_bundle(self) -> None:
        self._buckets = Buckets(self.loose)

    def finish_bundle(self) -> Iterator[Any]:
        for keyed in self._buckets.flush():
            yield WindowedValue(keyed.value, keyed.timestamp, [GlobalWindow()])
        for window_ms, counts in self._buckets.counts.items():
            row = orjson.dumps({'bucketed': counts})
            yield beam.pvalue.TaggedOutput('ledger', WindowedValue(row, timestamp_of(window_ms), [GlobalWindow()]))


class _BucketEvents(_Bucketing):
    def process(self, element: Record) -> Iterator[KeyedChunk]:
        yield from self._add(element)

    @beam.DoFn.yields_elements  # type: ignore[untyped-decorator]
    def process_batch(self, batch: list[Record]) -> Iterator[KeyedChunk]:
        for record in batch:
            yield from self._add(record)

    def _add(self, record: Record) -> Iterator[KeyedChunk]:
        layout, origin, buckets = self._layout, record.origin, self._buckets
        unread, name = 0, layout.name(origin)
        for place, event in enumerate(record.documents):
            dropped = record.dropped[place] if record.dropped else {}
            hour_ms = None
            if layout.partition_time == 'event':
                hour_ms = layout.hour_of(event, dropped, origin)
                unread += hour_ms is None
            path = layout.event(event, dropped, origin, hour_ms, name)
            yield from buckets.add(path, origin, record.indices[place], encode_event(event))
        count_record(buckets.counts[origin.window_ms], record, unread)


def count_record(counts: collections.Counter[str], record: Record, unread: int) -> None:
    """Count a record for the accounts: whole Kinesis records by their first sub-record, documents found and left."""
    counts['records'] += record.origin.sub_sequence == 0
    counts['user_records'] += 1
    counts['with_documents' if record.found else 'malformed' if record.broken else 'empty'] += 1
    counts['documents'] += record.found
    counts['lines'] += len(record.documents)
    counts['fragments'] += record.broken
    counts['hours_of_arrival'] += unread


class _BucketFailures(_Bucketing):
    loose = True  # those of one stage come after those of another

    def process(self, element: Failure) -> Iterator[KeyedChunk]:
        self._buckets.counts[element.origin.window_ms][f'error {element.code}'] += 1
        path = self._layout.failure(element.code, element.origin)
        yield from self._buckets.add(path, element.origin, element.index, encode_failure(element))


class _BucketBackup(_Bucketing):
    def process(self, element: Batch) -> Iterator[KeyedChunk]:
        self._buckets.counts[element.window_ms]['backup'] += len(element.records)
        for raw in element.records:
            origin = Origin(element.stream, element.shard, raw.sequence, 0, raw.partition_key, raw.arrival_ms, '',
                            element.window_ms, element.part)
            yield from self._buckets.add(self._layout.backup(origin), origin, 0, encode_raw(origin, raw.data))


@dataclasses.dataclass
class WindowByHour(beam.PTransform):  # type: ignore[misc]
    """Key lines by event hour, platform, part and output shard, in flush windows.

    `what` is `events` (PCollection[Record]), `errors` (PCollection[Failure]) or `backup` (PCollection[Batch]). Gives
    `.chunks`, PCollection[tuple[bytes, bytes]] of object path and chunk, windowed, and `.ledger`, PCollection[bytes].
    """

    layout: Layout
    flush_ms: int
    what: str = 'events'

    def expand(self, pcoll: beam.PCollection) -> Any:
        bucketing = {'events': _BucketEvents, 'errors': _BucketFailures, 'backup': _BucketBackup}[self.what]
        bucketed = pcoll | 'Bucket' >> beam.ParDo(bucketing(self.layout)).with_outputs('ledger', main='chunks')
        chunks = bucketed.chunks | 'Typed' >> beam.Map(_same).with_output_types(tuple[bytes, bytes])
        return Bucketed(chunks | 'Window' >> beam.WindowInto(FixedWindows(self.flush_ms / 1000)), bucketed.ledger)


@dataclasses.dataclass(frozen=True)
class Bucketed:
    """What WindowByHour gives."""

    chunks: beam.PCollection
    ledger: beam.PCollection


def _same(element: KeyedChunk) -> KeyedChunk:
    return element
