"""A memory of what follows from the names of an event, found once for all events with the same names."""
from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar('T')

#: How many characters of names a process remembers for each Shapes. Made-up keys must not fill the memory.
MAX_SHAPE_CHARACTERS = 1 << 22


class Shapes(dict[tuple[str, ...], T]):
    """The result of `find` by the names of an event, found on first access. It is emptied when it is full.

    One look-up per event instead of one per field halves the time of renaming; if nothing is renamed, a sixth is left.
    """

    def __init__(self, find: Callable[[tuple[str, ...]], T]) -> None:
        super().__init__()
        self._find = find
        self._characters = 0

    def __missing__(self, names: tuple[str, ...]) -> T:
        found = self._find(names)
        self._characters += sum(map(len, names)) + len(names)
        if self._characters > MAX_SHAPE_CHARACTERS:
            self.clear()
            self._characters = 0
        else:
            self[names] = found
        return found
