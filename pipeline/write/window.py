"""WindowByHour: lines of a bundle gathered by object, then windowed as chunks."""
import collections
import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam.transforms.window import FixedWindows, GlobalWindow, TimestampedValue, WindowedValue

from pipeline.commit.ledger import placed_row
from pipeline.gc_tuning import tune_gc
from pipeline.source import Batch
from pipeline.windows import timestamp_of
from pipeline.write.chunks import Position, encode_chunk, encode_loose_chunk
from pipeline.write.layout import Layout
from transforms import Failure, Origin, Record, encode_event, encode_failure, encode_raw
from transforms.batching import failures_of
from transforms.limits import line_budget, malformed

#: A chunk crosses the shuffle whole, so it stays small; the sum bounds what one bundle holds.
CHUNK_BYTES = 4 << 20
BUNDLE_BYTES = 32 << 20


@dataclasses.dataclass
class LineBuffer:
    """Lines of one shard for one object, and the place in the stream of the first and the last, or of each if loose."""

    first: tuple[Origin, int]
    last: tuple[Origin, int]
    lines: list[bytes]
    size: int = 0
    places: list[tuple[Origin, int]] = dataclasses.field(default_factory=list)


class LineBuffers:
    """Lines by object and shard, and counts by flush window, of one bundle.

    Lines of a shard come in stream order, unless `loose`.
    """

    def __init__(self, loose: bool = False) -> None:
        self._loose = loose
        self.counts: dict[int, collections.Counter[str]] = collections.defaultdict(collections.Counter)
        self._buckets: dict[tuple[str, str, str], LineBuffer] = {}
        self._size = 0

    def add(self, path: str, origin: Origin, index: int, line: bytes) -> Iterable[TimestampedValue]:
        """Add a line (without its newline); gives chunks that are full."""
        key = path, origin.stream, origin.shard
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = LineBuffer((origin, index), (origin, index), [])
        bucket.last = origin, index
        if self._loose:
            bucket.places.append(bucket.last)
        bucket.lines.append(line)
        bucket.size += len(line)
        self._size += len(line)
        if bucket.size >= CHUNK_BYTES:
            return (self._take(key),)
        return self.flush() if self._size >= BUNDLE_BYTES else ()

    def flush(self) -> Iterator[TimestampedValue]:
        """Give every chunk that is left."""
        for key in list(self._buckets):
            yield self._take(key)

    def _take(self, key: tuple[str, str, str]) -> TimestampedValue:
        bucket = self._buckets.pop(key)
        self._size -= bucket.size
        if self._loose:
            chunk = encode_loose_chunk([_position(*place) for place in bucket.places], bucket.lines)
        else:
            chunk = encode_chunk(_position(*bucket.first), _position(*bucket.last), bucket.lines)
        return TimestampedValue((key[0].encode(), chunk), timestamp_of(bucket.first[0].window_ms))


def _position(origin: Origin, index: int) -> Position:
    return Position(origin.stream, origin.shard, int(origin.sequence), origin.sub_sequence, index)


KeyedChunk = tuple[bytes, bytes]


class _Window(beam.DoFn):  # type: ignore[misc]
    loose = False

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def setup(self) -> None:
        tune_gc()

    def start_bundle(self) -> None:
        self._buckets = LineBuffers(self.loose)

    def finish_bundle(self) -> Iterator[Any]:
        for keyed in self._buckets.flush():
            yield WindowedValue(keyed.value, keyed.timestamp, [GlobalWindow()])
        for window_ms, counts in self._buckets.counts.items():
            row = placed_row(counts)
            yield beam.pvalue.TaggedOutput('ledger', WindowedValue(row, timestamp_of(window_ms), [GlobalWindow()]))


class _WindowEvents(_Window):
    def process(self, element: Record) -> Iterator[Any]:
        yield from self._add(element)

    @beam.DoFn.yields_elements  # type: ignore[untyped-decorator]
    def process_batch(self, batch: list[Record]) -> Iterator[Any]:
        for record in batch:
            yield from self._add(record)

    def _add(self, record: Record) -> Iterator[Any]:
        layout, origin, buckets = self._layout, record.origin, self._buckets
        counts, name = buckets.counts[origin.window_ms], layout.name(origin)
        left, refused = line_budget(len(record.data)), {}
        for place, event in enumerate(record.documents):
            line = encode_event(event)
            left -= len(line) + 1
            if left < 0:
                refused[record.indices[place]] = malformed('output-too-large')
                continue
            dropped = record.dropped[place] if record.dropped else {}
            hour_ms = None
            if layout.partition_time == 'event':
                hour_ms = layout.hour_of(event, dropped, origin)
                if hour_ms is None:
                    counts['hours_of_arrival'] += 1
                    counts['unreadable_times'] += layout.says_time(event, dropped)
            path = layout.event(event, dropped, origin, hour_ms, name)
            yield from buckets.add(path, origin, record.indices[place], line)
        count_record(counts, record, len(refused))
        if refused:
            for failed in failures_of(record, 'encode', refused):
                yield beam.pvalue.TaggedOutput('malformed', failed)


def count_record(counts: collections.Counter[str], record: Record, refused: int) -> None:
    """Count a record for the accounts: whole Kinesis records by their first sub-record, documents found and left."""
    counts['records'] += record.origin.sub_sequence == 0
    counts['user_records'] += 1
    counts['with_documents' if record.found else 'malformed' if record.broken else 'empty'] += 1
    counts['documents'] += record.found
    counts['lines'] += len(record.documents) - refused
    counts['fragments'] += record.broken


class _WindowFailures(_Window):
    loose = True  # those of one stage come after those of another

    def process(self, element: Failure) -> Iterator[KeyedChunk]:
        self._buckets.counts[element.origin.window_ms][f'error {element.code}'] += 1
        path = self._layout.failure(element.code, element.origin)
        yield from self._buckets.add(path, element.origin, element.index, encode_failure(element))


class _WindowBackup(_Window):
    def process(self, element: Batch) -> Iterator[KeyedChunk]:
        self._buckets.counts[element.window_ms]['backup'] += len(element.records)
        for raw in element.records:
            origin = Origin(element.stream, element.shard, raw.sequence, 0, raw.partition_key, raw.arrival_ms, '',
                            element.window_ms, element.part)
            yield from self._buckets.add(self._layout.backup(origin), origin, 0, encode_raw(origin, raw.data))


@dataclasses.dataclass
class WindowByHour(beam.PTransform):  # type: ignore[misc]
    """Key lines by event hour, platform, part and output shard, in flush windows.

    `what` is `events` (PCollection[Record]), `errors` (PCollection[Failure]) or `backup` (PCollection[Batch]). Returns
    `.chunks`, PCollection[tuple[bytes, bytes]] of object path and chunk, windowed; `.ledger`, PCollection[bytes]; and
    `.malformed`, PCollection[Failure]: events whose lines make those of their record too large.
    """

    layout: Layout
    flush_ms: int
    what: str = 'events'

    def expand(self, pcoll: beam.PCollection) -> Any:
        bucketing = {'events': _WindowEvents, 'errors': _WindowFailures, 'backup': _WindowBackup}[self.what]
        bucketed = pcoll | 'LineBuffer' >> beam.ParDo(bucketing(self.layout)).with_outputs(
            'ledger', 'malformed', main='chunks')
        chunks = bucketed.chunks | 'Typed' >> beam.Map(_same).with_output_types(tuple[bytes, bytes])
        return Windowed(chunks | 'Window' >> beam.WindowInto(FixedWindows(self.flush_ms / 1000)), bucketed.ledger,
                        bucketed.malformed)


@dataclasses.dataclass(frozen=True)
class Windowed:
    """What WindowByHour gives."""

    chunks: beam.PCollection
    ledger: beam.PCollection
    malformed: beam.PCollection


def _same(element: KeyedChunk) -> KeyedChunk:
    return element
