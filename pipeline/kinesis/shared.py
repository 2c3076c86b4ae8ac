"""What all readers of one process share: rate limits and memory count per process, not per DoFn."""
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
    """The connection, kept pages, limits and threads of a process, and the functions by which readers wait and tell the
    time (`wall_ms`: epoch ms of the local clock)."""

    api: KinesisApi
    pages: ShardPages
    limiter: RateLimiter
    monitor: Monitor
    threads: Executor
    sleep: Callable[[float], None] = time.sleep
    wall_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    retention: dict[object, Retention] = dataclasses.field(default_factory=dict)

    def retention_of(self, settings: ReadSettings) -> Retention:
        """Return what is known of the retention of these streams."""
        fresh = Retention(settings, self.api, self.limiter, (settings.streams, 'retention'))
        return self.retention.setdefault(settings.streams, fresh)


@functools.lru_cache(maxsize=4)
def share(streams: tuple[StreamInfo, ...], endpoint_url: str | None, region: str | None) -> Shared:
    """Return what the readers of these streams share: the same object for every DoFn and run of this process."""
    api = connect(endpoint_url, region)
    pages = ShardPages(api, streams, scope=(endpoint_url, region))
    return Shared(api, pages, limiter=RATE_LIMITER, monitor=Monitor(RATE_LIMITER), threads=_threads())


@functools.cache
def _threads() -> Executor:
    return ThreadPoolExecutor(THREADS, 'kinesis')
