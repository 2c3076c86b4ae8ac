"""What every source of the job gives. Kinesis is one; nothing here knows it, and no source imports another."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, NamedTuple

import apache_beam as beam
import msgspec


class RawRecord(NamedTuple):
    """A record as it came. `partition_key` may be absent on streams that spread records by themselves."""

    sequence: str
    arrival_ms: int
    partition_key: str | None
    data: bytes


class Batch(NamedTuple):
    """Records of one shard, flush window and part, in stream order. `window_ms` is the start of the window."""

    stream: str
    shard: str
    window_ms: int
    part: int
    records: list[RawRecord]


class ShardCounts(msgspec.Struct, frozen=True):
    """What a shard brought in one flush window: records and their bytes, first and last sequence number."""

    records: int
    bytes: int
    first: str
    last: str


class ShardPosition(msgspec.Struct, frozen=True, kw_only=True):
    """How far a shard was read; see `Cursor` in kinesis/positions.py. `sequence` is None if nothing was read yet."""

    sequence: str | None
    since_ms: int
    arrival_ms: int
    walked_ms: int = 0
    open: bool


class ReaderReport(msgspec.Struct, frozen=True, tag='reader', tag_field='row'):
    """A row of the ledger: what one of `readers` readers read of a flush window.

    `shards` has the shards with records, `positions` all of the reader's shards, both by `stream/shard`.
    """

    reader: int
    readers: Annotated[int, msgspec.Meta(ge=1)]
    shards: dict[str, ShardCounts]
    positions: dict[str, ShardPosition]


class CommittedWindow(NamedTuple):
    """What the manifest of a flush window says that was read of it, for a run that writes windows again.

    `created_ms` says when each stream was created, by its name. `accounts` and `positions` are by `stream/shard`.
    """

    window_ms: int
    end_ms: int
    created_ms: Mapping[str, int]
    accounts: Mapping[str, ShardCounts]
    positions: Mapping[str, ShardPosition]


class Source(NamedTuple):
    """The outputs of a source, each stamped with the start of its flush window.

    `batches`: PCollection[Batch], every record as it came, for the backup. `records`: PCollection[Record], the same
    with aggregates taken apart. `malformed`: PCollection[Failure], what could not be taken apart.
    `accounts`: PCollection[bytes], an encoded ReaderReport for each reader and closed window.
    """

    batches: beam.PCollection
    records: beam.PCollection
    malformed: beam.PCollection
    accounts: beam.PCollection
