"""Puts: several puts of a bundle at a time, with a bound on their number and bytes, each done before the bundle is."""
from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Generic, TypeVar

_log = logging.getLogger(__name__)
T = TypeVar('T')

#: Puts of a bundle at a time: four bundles in one process fill the pool of connections of stores/s3.py.
AT_ONCE = 8
#: Bytes of a bundle that are being put. A larger object is put alone, before the next one is read.
BYTES_AT_ONCE = 32 << 20


class Puts(Generic[T]):
    """The puts of one bundle, each with the value that it stands for. Only the thread of the bundle calls the methods.
    """

    def __init__(self) -> None:
        self._threads: ThreadPoolExecutor | None = None
        self._running: dict[Future[None], tuple[int, T]] = {}
        self._done: list[T] = []

    def add(self, put: Callable[[], None], size: int, value: T) -> None:
        """Begin a put of so many bytes once there is room for it. Raise the first error of the puts so far.

        Whoever fails, by this or in any other way, has to call `end`.
        """
        while len(self._running) >= AT_ONCE or self._running and self._bytes + size > BYTES_AT_ONCE:
            self._take(FIRST_COMPLETED)
        self._threads = self._threads or ThreadPoolExecutor(AT_ONCE, 'put')
        self._running[self._threads.submit(put)] = size, value
        while self._bytes > BYTES_AT_ONCE:
            self._take(FIRST_COMPLETED)

    def finish(self) -> list[T]:
        """Wait for all puts and return their values. Raise the first error."""
        try:
            self._take(ALL_COMPLETED)
            return self._done
        finally:
            self.end()

    def end(self) -> None:
        """Wait until no put is running, and forget them all. Warn of the errors that nobody has been told of."""
        if self._threads:
            self._threads.shutdown()
        for put in self._running:
            error = put.exception()
            if error:
                _log.warning('another put failed as well: %s', error)
        self._threads, self._running, self._done = None, {}, []

    @property
    def _bytes(self) -> int:
        return sum(size for size, _ in self._running.values())

    def _take(self, when: str) -> None:
        """Wait until the first put or all puts have ended, and take the values of those that have."""
        ended = wait(self._running, return_when=when).done
        for put in [put for put in self._running if put in ended]:
            _, value = self._running.pop(put)
            put.result()
            self._done.append(value)
