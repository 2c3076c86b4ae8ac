"""What all readers of one process share, because limits and memory are the process's, not a DoFn's."""
from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor

from pipeline.kinesis.api import Calls
from pipeline.kinesis.client import connect
from pipeline.kinesis.retention import Horizons
from pipeline.kinesis.rate_limiter import PACE, Pace
from pipeline.kinesis.fetch import ShardPages
from pipeline.kinesis.settings import ReadSettings, StreamInfo
from pipeline.kinesis.monitor import Vitals

THREADS = 16


@dataclasses.dataclass(frozen=True)
class Shared:
    """The connection, kept pages, limits and threads of a process, and how its readers wait and tell the time."""

    calls: Calls
    pages: ShardPages
    pace: Pace
    vitals: Vitals
    threads: Executor
    sleep: Callable[[float], None] = time.sleep
    wall_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    horizons: dict[object, Horizons] = dataclasses.field(default_factory=dict)

    def horizons_of(self, settings: ReadSettings) -> Horizons:
        """Give what is known of the retention of these streams."""
        fresh = Horizons(settings, self.calls, self.pace, (settings.streams, 'horizons'))
        return self.horizons.setdefault(settings.streams, fresh)


@functools.lru_cache(maxsize=4)
def share(streams: tuple[StreamInfo, ...], endpoint_url: str | None, region: str | None) -> Shared:
    """Give what readers of those streams share: the same for every DoFn and run of this process."""
    calls = connect(endpoint_url, region)
    pages = ShardPages(calls, streams, scope=(endpoint_url, region))
    return Shared(calls, pages, PACE, Vitals(PACE), _threads())


@functools.cache
def _threads() -> Executor:
    return ThreadPoolExecutor(THREADS, 'kinesis')
