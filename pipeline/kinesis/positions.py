"""How far a reader has read: the restriction of the splittable DoFn, its coder, and its form in manifests."""
from __future__ import annotations

import bisect
import dataclasses
import operator
from typing import NamedTuple

import msgspec
from apache_beam.coders import Coder

from pipeline.source import ReaderReport, ShardCounts, ShardPosition

NEVER = 1 << 60
#: The first byte of an encoded restriction: state of another version is refused instead of being misread.
VERSION = b'\x03'


class ReaderId(NamedTuple):
    """Reader `number`, counted from 0, of `readers` readers that share the shards of a job."""

    number: int
    readers: int


@dataclasses.dataclass(frozen=True)
class Cursor:
    """Position in one shard, and what was read of the current window.

    `since_ms` is the time from which the shard is read (0: from its beginning); records with an effective arrival
    before it belong to no window of this run. `sequence` is the last sequence number read, and `arrival_ms` the running
    maximum of arrivals up to it. `passed_ms` is the time up to which an empty read at the tip has shown that nothing
    more will come. `walked_ms` is the time that reading has reached, also through stretches without records.
    `iterator` returns the page that is next or being read; its age counts from `issued_ms` of the local clock.
    `records`, `bytes` and `first` (a sequence number) are those of the current window. `unlisted_ms` is the time of
    the first listing that did not show the shard, 0 if the last one did. `part_bytes` is the size of a part of this
    shard in record bytes, 0 until a listing has shown the shard.
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
    part_bytes: int = 0

    @property
    def key(self) -> str:
        """Name the shard among those of all streams: `stream/shardId-000000000000`."""
        return f'{self.stream}/{self.shard}'

    @property
    def reached_ms(self) -> int:
        """Return the effective arrival that this shard has passed; a shard read to its end has passed all of them."""
        return NEVER if self.closed else max(self.arrival_ms, self.passed_ms)


_KEY = operator.attrgetter('key')


@dataclasses.dataclass(frozen=True)
class ReaderState:
    """Restriction of one reader: the start of the current window, and a cursor per shard, sorted by key.

    Reading ends at the window start `stop_ms`, or never if it is None. `listed_ms` is AWS's time of the last complete
    listing, `window_bytes` the record bytes of the window before the current one. `generation` is that of the run that
    began the reader.
    """

    window_ms: int
    stop_ms: int | None = None
    listed_ms: int = 0
    window_bytes: int = 0
    cursors: tuple[Cursor, ...] = ()
    done: bool = False
    generation: int = 0

    def with_cursor(self, cursor: Cursor) -> ReaderState:
        """Return the state with the cursor of that shard replaced."""
        index = bisect.bisect_left(self.cursors, cursor.key, key=_KEY)
        return dataclasses.replace(self, cursors=(*self.cursors[:index], cursor, *self.cursors[index + 1:]))


class ReaderStateCoder(Coder):  # type: ignore[misc]  # Beam's classes are untyped
    """Encode a restriction. Equal states give equal bytes, which runners that key by them rely on."""

    def encode(self, value: ReaderState) -> bytes:
        return VERSION + msgspec.msgpack.encode(value)

    def decode(self, encoded: bytes) -> ReaderState:
        """Return the state. Raise ValueError if another version of this program encoded it."""
        if encoded[:1] != VERSION:
            raise ValueError(f'saved reader state is of version {encoded[:1]!r}, this program reads {VERSION!r}: '
                             'start from resume.json instead, with --start=resume and no savepoint')
        return msgspec.msgpack.decode(encoded[1:], type=ReaderState)

    def is_deterministic(self) -> bool:
        return True


def report_of(state: ReaderState, reader_id: ReaderId) -> bytes:
    """Return the encoded ReaderReport of the window that `state` ends."""
    shards = {cursor.key: ShardCounts(cursor.records, cursor.bytes, cursor.first, cursor.sequence)
              for cursor in state.cursors if cursor.records}
    positions = {cursor.key: position_of(cursor) for cursor in state.cursors}
    return msgspec.json.encode(ReaderReport(reader_id.number, reader_id.readers, shards, positions))


def position_of(cursor: Cursor) -> ShardPosition:
    """Return a cursor as it is stored in manifests and resume.json."""
    return ShardPosition(sequence=cursor.sequence or None, since_ms=cursor.since_ms, arrival_ms=cursor.arrival_ms,
                         walked_ms=cursor.walked_ms, open=not cursor.closed)


def cursor_at(key: str, position: ShardPosition) -> Cursor:
    """Return the cursor of a position from a manifest or resume.json; `key` is `stream/shard`."""
    stream, shard = key.rsplit('/', 1)
    return Cursor(stream, shard, since_ms=position.since_ms, sequence=position.sequence or '',
                  arrival_ms=position.arrival_ms, walked_ms=position.walked_ms, closed=not position.open)
