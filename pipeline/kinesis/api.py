"""The calls that a reader makes to Kinesis, and their answers as plain values."""
from __future__ import annotations

from typing import NamedTuple, Protocol

from pipeline.source import RawRecord


class Page(NamedTuple):
    """The answer of GetRecords. All times are in ms, `now_ms` is AWS's clock.

    `next_iterator` is None if the shard is closed and read to its end. `behind_ms` is how far behind the tip it is.
    """

    records: list[RawRecord]
    next_iterator: str | None
    behind_ms: int
    now_ms: int


class Summary(NamedTuple):
    """The answer of DescribeStreamSummary; times are epoch ms, the retention is in ms."""

    created_ms: int
    retention_ms: int
    now_ms: int


class ShardInfo(NamedTuple):
    """A shard of a listing: its hash range, both ends included, and whether it still takes records."""

    shard: str
    first_hash: int
    last_hash: int
    is_open: bool


class KinesisApi(Protocol):
    """The calls that a reader makes to Kinesis. `stream` is an ARN, or the name if the ARN is not known.

    Each raises PassingError, ExpiredIterator, ShardGone (see kinesis/errors.py) or ReadError if it fails.
    """

    def summary(self, stream: str) -> Summary:
        """Return the state of a stream."""

    def list_shards(self, stream: str) -> tuple[list[ShardInfo], int]:
        """Return every shard that retention keeps, and AWS's time of the first answer (epoch ms)."""

    def iterator(self, stream: str, shard: str, sequence: str, since_ms: int) -> str:
        """Return an iterator after `sequence`; if that is empty, at the time `since_ms`, or (0) at the beginning."""

    def holds(self, stream: str, shard: str, sequence: str) -> bool:
        """Return whether retention still keeps that record."""

    def records(self, stream: str, shard: str, iterator: str) -> Page:
        """Return the page at an iterator: up to 10,000 records or 10 MiB."""
