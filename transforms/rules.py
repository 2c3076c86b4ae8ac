"""Rules: which names the fields of events get, and the names that were found so far."""
from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from transforms.convention import snake_case
from transforms.shapes import Shapes

#: Remembered by a process, for each Rules; the keys of events that make up names must not grow it for ever.
MAX_NAMES = 65_536
_MAX_REMEMBERED = 256


class Renaming(NamedTuple):
    """The new names of an event, and how many of them another one of it has as well, by case or exactly."""

    names: tuple[str, ...]
    collisions: int


@dataclasses.dataclass(frozen=True)
class Rules:
    """How fields are renamed: `mapping` from flattened name to new name, or to None to drop the field.

    The mapping is exact and its new names are taken verbatim; other names follow the convention, unless it is off.
    Raise ValueError if two fields would get one name, or names that differ by case only, and if a new name is empty or
    no text.
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
    def shapes(self) -> Shapes[Renaming | None]:
        """How the events met so far are renamed, None if all of their names stay."""
        return Shapes(self._renaming)

    @functools.cached_property
    def drops(self) -> frozenset[str]:
        """The fields to drop."""
        return frozenset(old for old, new in self.mapping.items() if new is None)

    def _renaming(self, olds: tuple[str, ...]) -> Renaming | None:
        news = tuple(map(self.names.__getitem__, olds))
        # Athena and Spark refuse two names that differ by case only, which a mapping can make.
        different = len({name.lower() for name in news} if self.convention else {*news})
        return Renaming(news, len(news) - different) if news != olds or different < len(news) else None

    def digest(self) -> str:
        """Give a short text that is equal for equal rules, in every process."""
        rules = json.dumps([self.convention, sorted(self.mapping.items())])
        return hashlib.blake2b(rules.encode(), digest_size=16).hexdigest()

    def by_convention(self, name: str) -> str:
        """Name a field as if the mapping did not say anything."""
        return snake_case(name) if self.convention else name


def _check(mapping: Mapping[str, str | None]) -> None:
    olds: dict[str, tuple[str, str]] = {}
    for old, new in mapping.items():
        if new is None:
            continue
        if not isinstance(new, str) or not new:
            raise ValueError(f'the new name of {old!r} is neither a text nor null')
        first, known = olds.setdefault(new.lower(), (old, new))
        if first != old:
            raise ValueError(f'{first!r} and {old!r} are both renamed to {new!r}' if known == new else
                             f'{first!r} is renamed to {known!r} and {old!r} to {new!r}, which differ by case only: '
                             'query engines take them for one column')


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


CONVENTION = Rules()
