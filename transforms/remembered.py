"""A memory of what follows from names, bounded by bytes: made-up names must not fill the memory of a process."""
from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

K = TypeVar('K')
V = TypeVar('V')

#: How many bytes one memory may hold.
MAX_BYTES = 2 << 20
#: A longer text, or a longer row of names, is not worth remembering.
MAX_LENGTH = 1024
#: What a place in a dict takes while it grows.
_ENTRY_BYTES = 150


class Remembered(dict[K, V]):
    """The result of `find` by its argument, a text or a tuple of names, found on first access.

    It is emptied when it is full: it then costs no more than finding everything anew, and ordinary names come back.
    """

    def __init__(self, find: Callable[[K], V]) -> None:
        super().__init__()
        self._find = find
        self._bytes = 0

    def __missing__(self, key: K) -> V:
        found = self._find(key)
        if len(key) <= MAX_LENGTH:  # type: ignore[arg-type]
            self._remember(key, found)
        return found

    def _remember(self, key: K, found: V) -> None:
        size = _bytes_of(key) + _bytes_of(found) + _ENTRY_BYTES
        if size > MAX_BYTES // 8:
            return
        if self._bytes + size > MAX_BYTES:
            self.clear()
            self._bytes = 0
        self._bytes += size
        self[key] = found


def _bytes_of(value: Any) -> int:
    """Return the bytes of a value and of what it holds. What two values share counts twice."""
    return sys.getsizeof(value) + (sum(map(_bytes_of, value)) if isinstance(value, tuple) else 0)
