"""RenameFields: the names of flattened fields by a mapping, and by the convention where it says nothing."""
import dataclasses
import functools
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import apache_beam as beam

from transforms.batching import Stage, staged
from transforms.convention import snake_case
from transforms.encode import encode_value
from transforms.records import Document, Failure, Record

#: Names remembered by a process, for each Rules; the keys of events that make up names must not grow it for ever.
MAX_NAMES = 65_536
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
    def names(self) -> 'Names':
        """New names of the fields met so far."""
        return Names(self)

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


CONVENTION = Rules()


class Renamed(NamedTuple):
    """A renamed event; the fields that were dropped, by the name they would have had; how many names met another."""

    event: Document
    dropped: Document
    collisions: int


def rename_fields(event: Document, rules: Rules = CONVENTION) -> Document:
    """Rename the fields of a flattened event, in their order.

    Where two get one name nothing is lost: equal values merge, others are numbered.

    >>> rename_fields({'App Version': '1', 'appVersion': '1', 'app.version': '2', 'app_version_2': '3'})
    {'app_version': '1', 'app_version_3': '2', 'app_version_2': '3'}
    """
    return _rename(event, rules).event


def _rename(event: Document, rules: Rules) -> Renamed:
    dropped: Document = {}
    if rules.drops and not rules.drops.isdisjoint(event):
        for old in filter(rules.drops.__contains__, event):
            dropped.setdefault(rules.by_convention(old), event[old])
        event = {old: value for old, value in event.items() if old not in rules.drops}
    # Two dozen look-ups an event: a dict with __missing__ under map() keeps them out of the interpreter.
    renamed = dict(zip(map(rules.names.__getitem__, event), event.values(), strict=True))
    collisions = len(event) - len(renamed)
    if collisions:
        renamed = _numbered([rules.names[old] for old in event], event.values())
    return Renamed(renamed, dropped, collisions)


def _numbered(names: list[str], values: Iterable[Any]) -> Document:
    renamed: Document = {}
    taken, numbers, seen = set(names), Counter[str](), set()
    for name, value in zip(names, values, strict=True):
        known = name, encode_value(value)
        if known in seen:
            continue
        seen.add(known)
        renamed[_free(name, taken, numbers) if name in renamed else name] = value
    return renamed


def _free(name: str, taken: set[str], numbers: Counter[str]) -> str:
    numbers[name] = number = numbers[name] or 2
    while f'{name}_{number}' in taken:
        number += 1
    numbers[name] = number + 1
    return f'{name}_{number}'


class _RenameFields(Stage):
    def __init__(self, name: str, rules: Rules) -> None:
        super().__init__(name)
        self._rules = rules

    def work(self, record: Record, tally: Counter[str]) -> tuple[Record, Sequence[Failure]]:
        renamed = [_rename(event, self._rules) for event in record.documents]
        tally['collisions'] += sum(one.collisions for one in renamed)
        dropped = [one.dropped for one in renamed] if self._rules.drops else ()
        return Record(record.origin, record.data, [one.event for one in renamed], record.indices, record.found,
                      record.broken, dropped), ()


@dataclasses.dataclass
class RenameFields(beam.PTransform):  # type: ignore[misc]
    """Rename the fields of each document by `rules`.

    PCollection[Record] to `.records`, PCollection[Record] with the dropped fields beside the documents, and
    `.malformed`, which stays empty. Counts, in `rename`: documents `in`, `out` and `malformed`, and `collisions`,
    fields whose new name another one had.
    """

    rules: Rules = CONVENTION

    def expand(self, records: beam.PCollection) -> Any:
        return staged(records, _RenameFields('rename', self.rules))
