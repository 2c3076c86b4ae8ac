"""How often a shard is asked: our own limiter, because some runners ignore the delay that a reader asks for.

Kinesis allows five GetRecords a second and shard, shared by all of its consumers, and 2 MiB a second on average: after
a page of 10 MiB it refuses for five seconds.
"""
from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

TIP_S = 1.0
BEHIND_S = 0.25
BYTES_PER_S = 2 << 20
FIRST_RETRY_S = 0.5
LAST_RETRY_S = 20.0
#: A throttled shard is shared with others: who waits much longer than they do gets nothing.
LAST_THROTTLED_S = 5.0


class RateLimiter:
    """Say when each key may be asked again; safe to use from several threads.

    `clock` gives seconds that never go back, `jitter` a factor for delays after a failure.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic,
                 jitter: Callable[[], float] = lambda: random.uniform(0.5, 1.0)) -> None:
        self.clock = clock
        self._jitter = jitter
        self._lock = threading.Lock()
        self._ready: dict[object, float] = {}
        self._failures: dict[object, int] = {}

    def wait_s(self, key: object) -> float:
        """Give the seconds until that key may be asked, 0 for now."""
        return max(0.0, self.ready_s(key) - self.clock())

    def ready_s(self, key: object) -> float:
        """Give the time of the clock from which that key may be asked; one never asked comes before all others."""
        with self._lock:
            return self._ready.get(key, float('-inf'))

    def succeeded(self, key: object, delay_s: float) -> None:
        """Note an answer: ask again after `delay_s`."""
        with self._lock:
            self._failures.pop(key, None)
            self._ready[key] = self.clock() + delay_s

    def failed(self, key: object, throttled: bool) -> None:
        """Note a failure that may pass: back off twice as long each time, a throttled shard at least a second."""
        with self._lock:
            failures = self._failures.get(key, 0)
            self._failures[key] = failures + 1
            delay_s = FIRST_RETRY_S * 2.0 ** min(failures, 10) * self._jitter()
            delay_s = min(max(delay_s, TIP_S), LAST_THROTTLED_S) if throttled else min(delay_s, LAST_RETRY_S)
            self._ready[key] = self.clock() + delay_s


#: One for the process: a shard's limit does not grow with the number of bundles that read it.
RATE_LIMITER = RateLimiter()
