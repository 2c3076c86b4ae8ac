"""The settings of a read, fixed when the job is built: plain values that are sent to workers."""
from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Protocol

from pipeline.kinesis.positions import Cursor
from pipeline.source import CommittedWindow


@dataclasses.dataclass(frozen=True)
class StreamInfo:
    """A stream as DescribeStreamSummary showed it; `address` is its ARN or name, as calls use it."""

    name: str
    address: str
    label: str
    created_ms: int
    retention_ms: int

    def horizon_ms(self, now_ms: int) -> int:
        """Return the time before which records are dropped (epoch ms), 0 if the stream is younger than that."""
        horizon_ms = now_ms - self.retention_ms
        return horizon_ms if self.created_ms < horizon_ms else 0


class Committed(Protocol):
    """The windows that were committed before; sent to workers, so it has to be picklable."""

    def around(self, window_ms: int, end_ms: int) -> Sequence[CommittedWindow]:
        """Return the committed windows that overlap this one, up to the first that reaches its end, in order.

        If none reaches it, the next one after it is the last. Raise StoreError or ManifestError.
        """


@dataclasses.dataclass(frozen=True)
class ReadSettings:
    """Which streams to read, from `start_ms` to `stop_ms`, and in which windows.

    Both are window starts in epoch ms; without an end, `stop_ms` is None. `cursors` are the positions to go on from. A
    shard that is not among them is read from `since_ms` (0: from its beginning). Windows are `flush_ms` long and close
    `slack_ms` after their end; `flush_bytes` is the largest size of a part of a shard in a window, in record bytes;
    `output_shards` is how many objects share the shards. `run_id` names this run within its process, where slices are
    found by it. `generation` is that of the run: a savepoint may hold readers of an earlier one. A window that
    `committed` knows gets the records that it had.
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
    output_shards: int = 1
    generation: int = 0
    committed: Committed | None = None
