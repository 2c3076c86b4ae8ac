"""RenameFields: rename flattened fields by a mapping, and by the convention if the mapping has no name for them."""
import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import apache_beam as beam

from transforms.batching import Stage, staged
from transforms.encode import encode_value
from transforms.letters import lower
from transforms.records import Document, Failure, Record
from transforms.rules import CONVENTION, Rules


def rename_fields(event: Document, rules: Rules = CONVENTION) -> Document:
    """Return a flattened event with its fields renamed or dropped by `rules`, in their order.

    No value is lost if two fields get one name: equal values merge, and others get a number.

    >>> rename_fields({'App Version': '1', 'appVersion': '1', 'app.version': '2', 'app_version_2': '3'})
    {'app_version': '1', 'app_version_3': '2', 'app_version_2': '3'}
    """
    return _rename(_kept(event, rules), rules)[0]


def _kept(event: Document, rules: Rules) -> Document:
    if not rules.drops or rules.drops.isdisjoint(event):
        return event
    return {old: value for old, value in event.items() if old not in rules.drops}


def _dropped(event: Document, rules: Rules) -> Document:
    dropped: Document = {}
    for old in filter(rules.drops.__contains__, event):
        dropped.setdefault(rules.by_convention(old), event[old])
    return dropped


def _rename(event: Document, rules: Rules) -> tuple[Document, int]:
    """Return the renamed event, and how many of its new names another field has too."""
    renaming = rules.shapes[tuple(event)]
    if renaming is None:
        return event, 0
    names, collisions = renaming
    if collisions:
        return _numbered(names, event.values()), collisions
    return dict(zip(names, event.values(), strict=True)), 0


def _numbered(names: Sequence[str], values: Iterable[Any]) -> Document:
    """Merge equal values of one name, and number the others. Names that differ by case only count as one."""
    renamed: Document = {}
    taken, numbers, seen = {*map(lower, names)}, Counter[str](), set()
    used: set[str] = set()
    for name, value in zip(names, values, strict=True):
        assigned = lower(name)
        known = assigned, encode_value(value)
        if known in seen:
            continue
        seen.add(known)
        renamed[f'{name}_{_free(assigned, taken, numbers)}' if assigned in used else name] = value
        used.add(assigned)
    return renamed


def _free(name: str, taken: set[str], numbers: Counter[str]) -> int:
    """Return the next number from 2 on with which no other field has the name."""
    number = numbers[name] or 2
    while f'{name}_{number}' in taken:
        number += 1
    numbers[name] = number + 1
    return number


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

    PCollection[Record] to `.records`, PCollection[Record] with the dropped fields in `dropped`, and
    `.malformed`, which stays empty. Counters in `rename`: documents `in`, `out` and `malformed`, and `collisions`, the
    fields whose new name another field has too.
    """

    rules: Rules = CONVENTION

    def expand(self, records: beam.PCollection) -> Any:
        return staged(records, _RenameFields('rename', self.rules))
