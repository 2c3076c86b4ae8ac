"""What all readers of one process share, because limits and memory are the process's, not a DoFn's."""
from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor

from pipeline.kinesis.api import KinesisApi
from pipeline.kinesis.client import connect
from pipeline.kinesis.fetch import ShardPages
from pipeline.kinesis.monitor import Monitor
from pipeline.kinesis.rate_limiter import RATE_LIMITER, RateLimiter
from pipeline.kinesis.retention import Retention
from pipeline.kinesis.settings import ReadSettings, StreamInfo

THREADS = 16


@dataclasses.dataclass(frozen=True)
class Shared:
    """The connection, kept pages, limits and threads of a process, and how its readers wait and tell the time."""

    calls: KinesisApi
    pages: ShardPages
    limiter: RateLimiter
    monitor: Monitor
    threads: Executor
    sleep: Callable[[float], None] = time.sleep
    wall_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    retention: dict[object, Retention] = dataclasses.field(default_factory=dict)

    def retention_of(self, settings: ReadSettings) -> Retention:
        """Give what is known of the retention of these streams."""
        fresh = Retention(settings, self.calls, self.limiter, (settings.streams, 'retention'))
        return self.retention.setdefault(settings.streams, fresh)


@functools.lru_cache(maxsize=4)
def share(streams: tuple[StreamInfo, ...], endpoint_url: str | None, region: str | None) -> Shared:
    """Give what readers of those streams share: the same for every DoFn and run of this process."""
    calls = connect(endpoint_url, region)
    pages = ShardPages(calls, streams, scope=(endpoint_url, region))
    return Shared(calls, pages, RATE_LIMITER, Monitor(RATE_LIMITER), _threads())


@functools.cache
def _threads() -> Executor:
    return ThreadPoolExecutor(THREADS, 'kinesis')
