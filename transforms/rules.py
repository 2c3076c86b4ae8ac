"""Rules: the new names of the fields of events, and a memory of the names found so far."""
from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from transforms.convention import snake_case
from transforms.letters import lower
from transforms.remembered import Remembered


class Renaming(NamedTuple):
    """The new names of an event, and how many of them another field has too, exactly or but for case."""

    names: tuple[str, ...]
    collisions: int


@dataclasses.dataclass(frozen=True)
class Rules:
    """How fields are renamed: `mapping` from flattened name to new name, or to None to drop the field.

    A field is in the mapping only if its name is exactly the same, and new names are used as they are. Other fields
    follow the convention, or keep their names if `convention` is false. Raise ValueError if the mapping gives two
    fields one name, or names that differ by case only, or if a new name is empty or no text.
    """

    mapping: Mapping[str, str | None] = dataclasses.field(default_factory=dict, hash=False)
    convention: bool = True

    def __post_init__(self) -> None:
        _check(self.mapping)
        object.__setattr__(self, 'mapping', dict(self.mapping))

    def __reduce__(self) -> tuple[Any, ...]:
        return Rules, (self.mapping, self.convention)

    @functools.cached_property
    def names(self) -> Remembered[str, str]:
        """Return the new names of fields, found once."""
        return Remembered(self._new_name if self.mapping or not self.convention else snake_case)

    @functools.cached_property
    def shapes(self) -> Remembered[tuple[str, ...], Renaming | None]:
        """Return the renaming of events by their names, found once; None if all names stay."""
        return Remembered(self._renaming)

    @functools.cached_property
    def drops(self) -> frozenset[str]:
        """Return the fields to drop, by their flattened names."""
        return frozenset(old for old, new in self.mapping.items() if new is None)

    def _renaming(self, olds: tuple[str, ...]) -> Renaming | None:
        news = tuple(map(self.names.__getitem__, olds))
        # A mapping can make names that differ by case only, which Athena and Spark refuse.
        different = len({*map(lower, news)} if self.convention and self.mapping else {*news})
        return Renaming(news, len(news) - different) if news != olds or different < len(news) else None

    def digest(self) -> str:
        """Return 32 hexadecimal digits that are equal for equal rules, in every process."""
        rules = json.dumps([self.convention, sorted(self.mapping.items())])
        return hashlib.blake2b(rules.encode(), digest_size=16).hexdigest()

    def _new_name(self, old: str) -> str:
        return self.mapping.get(old) or self.by_convention(old)

    def by_convention(self, name: str) -> str:
        """Return the new name of a field that is not in the mapping."""
        return snake_case(name) if self.convention else name


def _check(mapping: Mapping[str, str | None]) -> None:
    olds: dict[str, tuple[str, str]] = {}
    for old, new in mapping.items():
        if new is None:
            continue
        if not isinstance(new, str) or not new:
            raise ValueError(f'the new name of {old!r} is neither a text nor null')
        first, known = olds.setdefault(lower(new), (old, new))
        if first != old:
            raise ValueError(f'{first!r} and {old!r} are both renamed to {new!r}' if known == new else
                             f'{first!r} is renamed to {known!r} and {old!r} to {new!r}, which differ by case only: '
                             'query engines take them for one column')


CONVENTION = Rules()
