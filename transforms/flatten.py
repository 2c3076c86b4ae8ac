"""FlattenEvents: nested documents into flat ones, as npm `flat` with the delimiter `_` does."""
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import apache_beam as beam

from transforms.batching import Stage, convert, staged
from transforms.limits import Limits
from transforms.records import Document, Failure, Record

DELIMITER = '_'
_CONTAINERS = frozenset({dict, list})


def flatten_event(event: Document, limits: Limits | None = None) -> Document:
    """Flatten a document of any depth; a leaf is named by the keys and places on its way, in the order met.

    Empty containers stay as they are. Of two leaves with one name the last one wins, in the place of the first.
    With `limits`, raises MalformedRecord where one is passed.

    >>> flatten_event({'a': {'b': 1, 'c': [2, {'d': None}]}, 'e': {}})
    {'a_b': 1, 'a_c_0': 2, 'a_c_1_d': None, 'e': {}}
    """
    flat: Document = {}
    around: list[tuple[Any, str]] = []
    members, prefix = iter(event.items()), ''
    while True:
        for key, value in members:
            if type(value) in _CONTAINERS:
                if limits:
                    limits.enter(prefix + key, value, len(around) + 2)
                if value:
                    around.append((members, prefix))
                    members, prefix = iter(_members(value)), prefix + key + DELIMITER
                    break
            flat[prefix + key] = value
        else:
            if not around:
                return flat
            members, prefix = around.pop()


def _members(container: Document | list[Any]) -> Iterable[tuple[str, Any]]:
    if isinstance(container, dict):
        return container.items()
    return zip(map(str, range(len(container))), container, strict=True)


class _FlattenEvents(Stage):
    def work(self, record: Record, tally: Counter[str]) -> tuple[Record, Sequence[Failure]]:
        limits = Limits(len(record.data))
        done = convert(record, lambda event: limits.measure(event, flatten_event), self.name)
        tally['collisions'] += limits.collisions
        return done


class FlattenEvents(beam.PTransform):  # type: ignore[misc]
    """Flatten the documents of each record, within the limits.

    PCollection[Record] to `.records`, PCollection[Record], and `.malformed`, PCollection[Failure]: documents that are
    too deep, have a key too long, or make the lines of their record too large. Counts, in `flatten`: documents `in`,
    `out` and `malformed`, and `collisions`, leaves that another of the same name replaced.
    """

    def expand(self, records: beam.PCollection) -> Any:
        return staged(records, _FlattenEvents('flatten'))
