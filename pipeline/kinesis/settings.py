"""What a reader is told once, when the job is built; plain values that travel to workers."""
from __future__ import annotations

import dataclasses

from pipeline.kinesis.positions import Cursor


@dataclasses.dataclass(frozen=True)
class StreamInfo:
    """A stream as DescribeStreamSummary showed it; `address` is what calls name it by, ARN or name."""

    name: str
    address: str
    label: str
    created_ms: int
    retention_ms: int

    def horizon_ms(self, now_ms: int) -> int:
        """Give the time before which the stream has dropped records, 0 where it is younger than its retention."""
        horizon_ms = now_ms - self.retention_ms
        return horizon_ms if self.created_ms < horizon_ms else 0


@dataclasses.dataclass(frozen=True)
class ReadSettings:
    """Where to read, from where (epoch ms, aligned to a window) to where (None: for ever), and in which windows.

    `cursors` are the positions to go on from; a shard that is not among them is read from `since_ms` (0: from its
    beginning). `run_id` names this run within its process: limits and slices are kept by it.
    """

    streams: tuple[StreamInfo, ...]
    start_ms: int
    stop_ms: int | None
    flush_ms: int
    flush_bytes: int
    slack_ms: int
    since_ms: int
    cursors: tuple[Cursor, ...] = ()
    endpoint_url: str | None = None
    region: str | None = None
    run_id: str = ''
