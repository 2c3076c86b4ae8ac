"""FlattenEvents: nested documents into flat ones, as npm `flat` does, and no empty containers."""
import functools
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam

from transforms.batching import Stage, convert, staged
from transforms.limits import MAX_KEY_BYTES, MAX_LEVELS, MEMBER_BYTES, Limits, utf8_bytes
from transforms.records import Document, Failure, Record

DELIMITER = '_'
_CONTAINERS = frozenset({dict, list})


def flatten_event(event: Document, limits: Limits | None = None) -> Document:
    """Flatten a document of any depth; a leaf is named by the keys and places on its way, in the order met.

    An empty container becomes None: `{}` in a column of texts makes Hive's JsonSerDe lose the columns behind it, or
    fail the query. Of two leaves with one name the last one wins, in the place of the first. With `limits`, raise
    MalformedRecord if one is passed.

    >>> flatten_event({'a': {'b': 1, 'c': [2, {'d': None}]}, 'e': {}})
    {'a_b': 1, 'a_c_0': 2, 'a_c_1_d': None, 'e': None}
    """
    flat: Document = {}
    around: list[tuple[Any, str]] = []
    members, prefix = iter(event.items()), ''
    # Charged in here: a call of `limits` for each container took a third of the time.
    leaves, left = len(event), limits.left if limits else 0
    if limits and left < 0:
        raise limits.refusal('output-too-large', event)
    while True:
        for key, value in members:
            if type(value) in _CONTAINERS:
                if limits and len(around) > MAX_LEVELS - 2:
                    raise limits.refusal('too-deep', event)
                if value:
                    around.append((members, prefix))
                    prefix += key + DELIMITER
                    members = iter(value.items()) if type(value) is dict else _numbered(value)
                    if limits:
                        size, width = len(value), len(prefix) if prefix.isascii() else utf8_bytes(prefix)
                        leaves, left = leaves + size - 1, left - size * (width + MEMBER_BYTES)
                        if left < 0 or width > MAX_KEY_BYTES:
                            raise limits.refusal('key-too-long' if width > MAX_KEY_BYTES else 'output-too-large', event)
                    break
                value = None
            flat[prefix + key] = value
        else:
            if not around:
                break
            members, prefix = around.pop()
    if limits:
        limits.settle(event, flat, leaves, left)
    return flat


def _numbered(items: list[Any]) -> Iterator[tuple[str, Any]]:
    return zip(map(str, range(len(items))), items, strict=False)


class _FlattenEvents(Stage):
    def work(self, record: Record, tally: Counter[str]) -> tuple[Record, Sequence[Failure]]:
        limits = Limits(len(record.data))
        done = convert(record, functools.partial(flatten_event, limits=limits), self.name)
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
