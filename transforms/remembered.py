"""A memory of what follows from names, bounded by bytes: made-up names must not fill the memory of a process."""
from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

K = TypeVar('K', bound='str | tuple[str, ...]')
V = TypeVar('V')

#: How many bytes one memory may hold.
MAX_BYTES = 2 << 20
#: At most so much of it for one argument. What is longer is not worth remembering.
MAX_ENTRY = MAX_BYTES // 8


class Remembered(dict[K, V]):
    """The result of `find` by its argument, a text or a tuple of names, found on first access.

    A result is a text or names about as long as the argument. The memory is emptied when it is full: it then costs no
    more than finding everything anew, and ordinary names come back.
    """

    def __init__(self, find: Callable[[K], V]) -> None:
        super().__init__()
        self._find = find
        self._bytes = 0

    def __missing__(self, key: K) -> V:
        found = self._find(key)
        size = bytes_of(key)
        if size <= MAX_ENTRY:
            self._bytes += size
            if self._bytes > MAX_BYTES:
                self.clear()
                self._bytes = size
            self[key] = found
        return found


def bytes_of(key: str | tuple[str, ...]) -> int:
    """Return how many bytes an argument and its result take at most: objects, four a character, and a place in a dict.

    Asking Python for the size of each object would take longer than finding most results.
    """
    if isinstance(key, str):
        return 350 + 8 * len(key)
    return 350 + 200 * len(key) + 8 * sum(map(len, key))
