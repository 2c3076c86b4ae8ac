"""How far a reader has come: the restriction of the splittable DoFn, its coder, and its form in manifests."""
from __future__ import annotations

import bisect
import dataclasses
import operator

import msgspec
from apache_beam.coders import Coder

from pipeline.source import ReaderReport, ShardCounts, ShardPosition

NEVER = 1 << 60
#: First byte of an encoded restriction: state of another version is refused, never read wrongly.
VERSION = b'\x01'


@dataclasses.dataclass(frozen=True)
class Cursor:
    """Position in one shard, and what was read of the current window.

    `since_ms` is where reading began while nothing has been read yet (0: the beginning of the shard); records whose
    effective arrival lies before it are not ours. `sequence` is the last sequence number read, `arrival_ms` the running
    maximum of arrivals up to it, `passed_ms` the time up to which an empty read at the tip has shown nothing more to
    come, `walked_ms` the time that reading has come to, through stretches without records too. `iterator` gives the
    page that is next or being read; its age counts from `issued_ms` of the local clock.
    """

    stream: str
    shard: str
    since_ms: int = 0
    sequence: str = ''
    arrival_ms: int = 0
    passed_ms: int = 0
    walked_ms: int = 0
    closed: bool = False
    iterator: str = ''
    issued_ms: int = 0
    records: int = 0
    bytes: int = 0
    first: str = ''
    unlisted_ms: int = 0

    @property
    def key(self) -> str:
        """Name the shard among those of all streams: `stream/shardId-000000000000`."""
        return f'{self.stream}/{self.shard}'

    @property
    def reached_ms(self) -> int:
        """Give the effective arrival that this shard has passed; a shard read out has passed every one."""
        return NEVER if self.closed else max(self.arrival_ms, self.passed_ms)


_KEY = operator.attrgetter('key')


@dataclasses.dataclass(frozen=True)
class ReaderState:
    """Restriction of one reader: the start of the current window, and a cursor per shard, sorted by key.

    `stop_ms` ends reading at that window start, None never. `listed_ms` is AWS's time of the last whole listing,
    `window_bytes` what the window before the current one held.
    """

    window_ms: int
    stop_ms: int | None = None
    listed_ms: int = 0
    window_bytes: int = 0
    cursors: tuple[Cursor, ...] = ()
    done: bool = False

    def with_cursor(self, cursor: Cursor) -> ReaderState:
        """Replace the cursor of that shard."""
        at = bisect.bisect_left(self.cursors, cursor.key, key=_KEY)
        return dataclasses.replace(self, cursors=(*self.cursors[:at], cursor, *self.cursors[at + 1:]))


class ReaderStateCoder(Coder):  # type: ignore[misc]  # Beam's classes are untyped
    """Encode a restriction; equal states give equal bytes, which runners that key by them rely on."""

    def encode(self, value: ReaderState) -> bytes:
        return VERSION + msgspec.msgpack.encode(value)

    def decode(self, encoded: bytes) -> ReaderState:
        if encoded[:1] != VERSION:
            raise ValueError(f'saved reader state is of version {encoded[:1]!r}, this program reads {VERSION!r}: '
                             'start from resume.json instead, with --start=resume and no savepoint')
        return msgspec.msgpack.decode(encoded[1:], type=ReaderState)

    def is_deterministic(self) -> bool:
        return True


def report_of(state: ReaderState, reader: int, readers: int) -> bytes:
    """Return the encoded report of the window that ends `state`, by reader `reader` of `readers`."""
    shards = {cursor.key: ShardCounts(cursor.records, cursor.bytes, cursor.first, cursor.sequence)
              for cursor in state.cursors if cursor.records}
    positions = {cursor.key: position_of(cursor) for cursor in state.cursors}
    return msgspec.json.encode(ReaderReport(reader, readers, shards, positions))


def position_of(cursor: Cursor) -> ShardPosition:
    """Return a cursor as it stands in manifests and resume.json."""
    return ShardPosition(sequence=cursor.sequence or None, since_ms=cursor.since_ms, arrival_ms=cursor.arrival_ms,
                         walked_ms=cursor.walked_ms, open=not cursor.closed)


def cursor_at(key: str, position: ShardPosition) -> Cursor:
    """Return the cursor of a position from a manifest or resume.json; `key` is `stream/shard`."""
    stream, shard = key.rsplit('/', 1)
    return Cursor(stream, shard, position.since_ms, position.sequence or '', position.arrival_ms,
                  walked_ms=position.walked_ms, closed=not position.open)
