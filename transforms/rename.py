"""RenameFields: the names of flattened fields by a mapping, and by the convention where it says nothing."""
import dataclasses
import functools
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import apache_beam as beam

from transforms.batching import Stage, staged
from transforms.convention import snake_case
from transforms.encode import encode_value
from transforms.records import Document, Failure, Record

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
    def names(self) -> 'Names':
        """New names of the fields met so far."""
        return Names(self)

    @functools.cached_property
    def shapes(self) -> 'Shapes':
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


def rename_fields(event: Document, rules: Rules = CONVENTION) -> Document:
    """Rename the fields of a flattened event, in their order.

    Where two get one name nothing is lost: equal values merge, others are numbered.

    >>> rename_fields({'App Version': '1', 'appVersion': '1', 'app.version': '2', 'app_version_2': '3'})
    {'app_version': '1', 'app_version_3': '2', 'app_version_2': '3'}
    """
    return _rename(_kept(event, rules), rules)[0]


def _kept(event: Document, rules: Rules) -> Document:
    if rules.drops.isdisjoint(event):
        return event
    return {old: value for old, value in event.items() if old not in rules.drops}


def _dropped(event: Document, rules: Rules) -> Document:
    dropped: Document = {}
    for old in filter(rules.drops.__contains__, event):
        dropped.setdefault(rules.by_convention(old), event[old])
    return dropped


def _rename(event: Document, rules: Rules) -> tuple[Document, int]:
    """Give the renamed event, and how many of its names met another."""
    news = rules.shapes[tuple(event)]
    if news is None:
        return event, 0
    renamed = dict(zip(news, event.values(), strict=True))
    collisions = len(event) - len(renamed)
    return _numbered(news, event.values()) if collisions else renamed, collisions


def _numbered(names: Sequence[str], values: Iterable[Any]) -> Document:
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
        rules, events = self._rules, record.documents
        dropped: Sequence[Document] = ()
        if rules.drops:
            dropped = [_dropped(event, rules) for event in events]
            events = [_kept(event, rules) for event in events]
        renamed = [_rename(event, rules) for event in events]
        tally['collisions'] += sum(collisions for _, collisions in renamed)
        return Record(record.origin, record.data, [event for event, _ in renamed], record.indices, record.found,
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
