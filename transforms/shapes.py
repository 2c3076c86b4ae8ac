"""What the names of an event decide, found once for all events that have the same names."""
from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar('T')

#: Remembered by a process, for each Shapes; the keys of events that make up names must not grow it for ever.
MAX_SHAPE_CHARACTERS = 1 << 22


class Shapes(dict[tuple[str, ...], T]):
    """The answer of `find` by the names of an event. Bounded: starts anew when full.

    One look-up an event instead of one a field halves the renaming, and makes it a sixth where nothing is renamed.
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
