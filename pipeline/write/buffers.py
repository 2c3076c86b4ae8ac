"""LineBuffers: the lines of a bundle, collected by object and shard until they fill a chunk."""
import collections
import dataclasses
from collections.abc import Iterable, Iterator

from apache_beam.transforms.window import TimestampedValue

from pipeline.windows import timestamp_of
from pipeline.write.chunks import Position, encode_chunk, encode_loose_chunk
from transforms import Origin

#: A chunk crosses the shuffle as one element, so it stays small.
CHUNK_BYTES = 4 << 20
#: The most that the buffers of a bundle hold.
BUNDLE_BYTES = 32 << 20


@dataclasses.dataclass
class LineBuffer:
    """Lines of one shard for one object, `size` bytes of them.

    `first` and `last` are the origin and index of the first and the last line. If the lines are loose, `sources` has
    those of each line.
    """

    first: tuple[Origin, int]
    last: tuple[Origin, int]
    lines: list[bytes]
    size: int = 0
    sources: list[tuple[Origin, int]] = dataclasses.field(default_factory=list)


class LineBuffers:
    """The lines of one bundle by object and shard, and counts by flush window.

    Lines of a shard must be added in stream order, unless they are `loose`.
    """

    def __init__(self, loose: bool = False) -> None:
        self._loose = loose
        self.counts: dict[int, collections.Counter[str]] = collections.defaultdict(collections.Counter)
        self._buffers: dict[tuple[str, str, str], LineBuffer] = {}
        self._size = 0

    def add(self, path: str, origin: Origin, index: int, line: bytes) -> Iterable[TimestampedValue]:
        """Add a line (without its newline). Return the chunks that are full now, each with the time of its window."""
        key = path, origin.stream, origin.shard
        buffer = self._buffers.get(key)
        if buffer is None:
            buffer = self._buffers[key] = LineBuffer((origin, index), (origin, index), [])
        buffer.last = origin, index
        if self._loose:
            buffer.sources.append(buffer.last)
        buffer.lines.append(line)
        buffer.size += len(line)
        self._size += len(line)
        if buffer.size >= CHUNK_BYTES:
            return (self._take(key),)
        return self.flush() if self._size >= BUNDLE_BYTES else ()

    def flush(self) -> Iterator[TimestampedValue]:
        """Yield every chunk that is left."""
        for key in list(self._buffers):
            yield self._take(key)

    def _take(self, key: tuple[str, str, str]) -> TimestampedValue:
        buffer = self._buffers.pop(key)
        self._size -= buffer.size
        if self._loose:
            chunk = encode_loose_chunk([_position(*source) for source in buffer.sources], buffer.lines)
        else:
            chunk = encode_chunk(_position(*buffer.first), _position(*buffer.last), buffer.lines)
        origin, _ = buffer.first
        return TimestampedValue((key[0].encode(), chunk), timestamp_of(origin.window_ms))


def _position(origin: Origin, index: int) -> Position:
    return Position(origin.stream, origin.shard, int(origin.sequence), origin.sub_sequence, index)
