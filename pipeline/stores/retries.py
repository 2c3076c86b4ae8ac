"""The calls of stores that were made again: noted in any thread, counted in that of a bundle."""
from __future__ import annotations

import threading


class _Noted:
    """A number that threads add to, and that one of them takes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0

    def add(self) -> None:
        with self._lock:
            self._count += 1

    def take(self) -> int:
        with self._lock:
            count, self._count = self._count, 0
        return count


_noted = _Noted()


def note_retry() -> None:
    """Note that a call is made again. Beam's own counters take nothing from a thread that belongs to no bundle."""
    _noted.add()


def count_retries() -> None:
    """Add what was noted in this process since the last time to Beam's counter. To be called at the end of a bundle."""
    from apache_beam.metrics import Metrics  # takes a second, and stores do without Beam
    count = _noted.take()
    if count:
        Metrics.counter('s3', 'retries').inc(count)
