"""What the reader asks of Kinesis, and the answers as plain values."""
from __future__ import annotations

from typing import NamedTuple, Protocol

from pipeline.source import RawRecord


class Page(NamedTuple):
    """Answer of GetRecords; `next_iterator` is None when the shard is closed and read out, `now_ms` AWS's clock."""

    records: list[RawRecord]
    next_iterator: str | None
    behind_ms: int
    now_ms: int


class Summary(NamedTuple):
    """What DescribeStreamSummary says of a stream."""

    created_ms: int
    retention_ms: int
    open_shards: int
    now_ms: int


class ShardInfo(NamedTuple):
    """A listed shard: its hash range, and whether it still takes records."""

    shard: str
    first_hash: int
    last_hash: int
    is_open: bool


class KinesisApi(Protocol):
    """What the reader asks of Kinesis; `stream` is a name or, where known, an ARN."""

    def summary(self, stream: str) -> Summary: ...
    def list_shards(self, stream: str) -> tuple[list[ShardInfo], int]: ...
    def iterator(self, stream: str, shard: str, sequence: str, since_ms: int) -> str: ...
    def holds(self, stream: str, shard: str, sequence: str) -> bool: ...
    def records(self, stream: str, shard: str, iterator: str) -> Page: ...
