"""Limit how often a shard is asked. The limiter is our own, since some runners ignore the delay a reader asks for.

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
#: Other consumers may share a throttled shard: if we waited much longer than they do, we would get nothing.
LAST_THROTTLED_S = 5.0


class RateLimiter:
    """Keep the time from which each key may be asked again; safe to use from several threads.

    `clock` returns seconds that never go back, `jitter` a factor for the delay after a failure.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic,
                 jitter: Callable[[], float] = lambda: random.uniform(0.5, 1.0)) -> None:
        self.clock = clock
        self._jitter = jitter
        self._lock = threading.Lock()
        self._ready: dict[object, float] = {}
        self._failures: dict[object, int] = {}

    def wait_s(self, key: object) -> float:
        """Return the seconds until that key may be asked, 0 if it may be asked now."""
        return max(0.0, self.ready_s(key) - self.clock())

    def ready_s(self, key: object) -> float:
        """Return the time of the clock from which that key may be asked, -inf if it was never asked."""
        with self._lock:
            return self._ready.get(key, float('-inf'))

    def succeeded(self, key: object, delay_s: float) -> None:
        """Note an answer: the key may be asked again after `delay_s` seconds."""
        with self._lock:
            self._failures.pop(key, None)
            self._ready[key] = self.clock() + delay_s

    def failed(self, key: object, throttled: bool) -> None:
        """Note a failure that may pass: wait twice as long each time, and after a throttle at least a second."""
        with self._lock:
            failures = self._failures.get(key, 0)
            self._failures[key] = failures + 1
            delay_s = FIRST_RETRY_S * 2.0 ** min(failures, 10) * self._jitter()
            delay_s = min(max(delay_s, TIP_S), LAST_THROTTLED_S) if throttled else min(delay_s, LAST_RETRY_S)
            self._ready[key] = self.clock() + delay_s


#: One limiter for the process: the limit of a shard does not grow with the number of bundles that read it.
RATE_LIMITER = RateLimiter()
