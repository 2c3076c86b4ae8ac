"""Lines gathered by object and shard until they are worth a chunk. Pure, but for Beam's timestamps."""
from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Iterator

from apache_beam.transforms.window import TimestampedValue

from pipeline.write.chunks import Position, encode_chunk, encode_loose_chunk
from pipeline.windows import timestamp_of
from transforms import Origin

#: A chunk crosses the shuffle whole, so it stays small; the sum bounds what one bundle holds.
CHUNK_BYTES = 4 << 20
BUNDLE_BYTES = 32 << 20


@dataclasses.dataclass
class Bucket:
    """Lines of one shard for one object, and the place in the stream of the first and the last, or of each if loose."""

    first: tuple[Origin, int]
    last: tuple[Origin, int]
    lines: list[bytes]
    size: int = 0
    places: list[tuple[Origin, int]] = dataclasses.field(default_factory=list)


class Buckets:
    """Lines by object and shard, and counts by flush window, of one bundle.

    Lines of a shard come in stream order, unless `loose`.
    """

    def __init__(self, loose: bool = False) -> None:
        self._loose = loose
        self.counts: dict[int, collections.Counter[str]] = collections.defaultdict(collections.Counter)
        self._buckets: dict[tuple[str, str, str], Bucket] = {}
        self._size = 0

    def add(self, path: str, origin: Origin, index: int, line: bytes) -> Iterable[TimestampedValue]:
        """Add a line (without its newline); gives chunks that are full."""
        key = path, origin.stream, origin.shard
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = Bucket((origin, index), (origin, index), [])
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
