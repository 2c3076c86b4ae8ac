"""Rules: which names the fields of events get, and the names that were found so far."""
from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from transforms.convention import snake_case

#: Remembered by a process, for each Rules; the keys of events that make up names must not grow it for ever.
MAX_NAMES = 65_536
MAX_SHAPE_CHARACTERS = 1 << 22
_MAX_REMEMBERED = 256


@dataclasses.dataclass(frozen=True)
class Rules:
    """How fields are renamed: `mapping` from flattened name to new name, or to None to drop the field.

    The mapping is exact and its new names are taken verbatim; other names follow the convention, unless it is off.
    Raises ValueError where two fields would get one name, or a new name is empty or no text.
    """

    mapping: Mapping[str, str | None] = dataclasses.field(default_factory=dict, hash=False)
    convention: bool = True

    def __post_init__(self) -> None:
        _check(self.mapping)
        object.__setattr__(self, 'mapping', dict(self.mapping))

    def __reduce__(self) -> tuple[Any, ...]:
        return Rules, (self.mapping, self.convention)

    @functools.cached_property
    def names(self) -> Names:
        """New names of the fields met so far."""
        return Names(self)

    @functools.cached_property
    def shapes(self) -> Shapes:
        """New names of the events met so far."""
        return Shapes(self.names)

    @functools.cached_property
    def drops(self) -> frozenset[str]:
        """The fields to drop."""
        return frozenset(old for old, new in self.mapping.items() if new is None)

    def digest(self) -> str:
        """Give a short text that is equal for equal rules, in every process."""
        rules = json.dumps([self.convention, sorted(self.mapping.items())])
        return hashlib.blake2b(rules.encode(), digest_size=16).hexdigest()

    def by_convention(self, name: str) -> str:
        """Name a field as if the mapping did not say anything."""
        return snake_case(name) if self.convention else name


def _check(mapping: Mapping[str, str | None]) -> None:
    olds: dict[str, str] = {}
    for old, new in mapping.items():
        if new is None:
            continue
        if not isinstance(new, str) or not new:
            raise ValueError(f'the new name of {old!r} is neither a text nor null')
        if new in olds:
            raise ValueError(f'{olds[new]!r} and {old!r} are both renamed to {new!r}')
        olds[new] = old


class Names(dict[str, str]):
    """New names by old ones, found when first asked for. Bounded: starts anew when full."""

    def __init__(self, rules: Rules) -> None:
        super().__init__()
        self._rules = rules

    def __missing__(self, old: str) -> str:
        new = self._rules.mapping.get(old) or self._rules.by_convention(old)
        if len(old) <= _MAX_REMEMBERED:
            if len(self) >= MAX_NAMES:
                self.clear()
            self[old] = new
        return new


class Shapes(dict[tuple[str, ...], tuple[str, ...] | None]):
    """New names of a whole event by its old ones, None where all stay as they are. Bounded: starts anew when full.

    One look-up an event instead of one a field halves the renaming, and makes it a sixth where nothing is renamed.
    """

    def __init__(self, names: Names) -> None:
        super().__init__()
        self._names = names
        self._characters = 0

    def __missing__(self, olds: tuple[str, ...]) -> tuple[str, ...] | None:
        news = tuple(map(self._names.__getitem__, olds))
        self._characters += sum(map(len, olds)) + len(olds)
        if self._characters > MAX_SHAPE_CHARACTERS:
            self.clear()
            self._characters = 0
        else:
            self[olds] = None if news == olds else news
        return news


CONVENTION = Rules()
