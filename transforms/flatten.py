"""FlattenEvents: nested documents into flat ones, as npm `flat` does, without empty containers."""
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
    """Return the document with one level: each leaf is named by the keys and array indices that lead to it.

    Leaves stay in the order of the document, which may have any depth. If two leaves get one name, the last one wins
    and takes the place of the first. An empty container becomes None: `{}` in a column of texts makes Hive's JsonSerDe
    lose the columns after it, or fail the query. If `limits` are given and the document exceeds one of them, raise
    MalformedRecord.

    >>> flatten_event({'a': {'b': 1, 'c': [2, {'d': None}]}, 'e': {}})
    {'a_b': 1, 'a_c_0': 2, 'a_c_1_d': None, 'e': None}
    """
    # A walk with a stack instead of recursion. `members` is what is left of the current container, `prefix` begins the
    # names of its leaves, and `stack` holds both for each container around it. For {'a': {'b': 1}, 'c': 2}:
    #
    #   stack                 prefix   next member     step
    #   []                    ''       a: {'b': 1}     enter it: push the rest of the event and ''
    #   [(rest of it, '')]    'a_'     b: 1            flat['a_b'] = 1
    #   [(rest of it, '')]    'a_'     none            leave it: pop
    #   []                    ''       c: 2            flat['c'] = 2
    #   []                    ''       none            done
    flat: Document = {}
    stack: list[tuple[Any, str]] = []
    members, prefix = iter(event.items()), ''
    # The budget is charged here: calling a method of `limits` for each container took a third of the time.
    leaves, left = len(event), limits.left if limits else 0
    if limits and left < 0:
        raise limits.refusal('output-too-large', event)
    while True:
        for key, value in members:
            if type(value) in _CONTAINERS:
                if limits and len(stack) + 2 > MAX_LEVELS:  # the level of `value`: the event itself is level 1
                    raise limits.refusal('too-deep', event)
                if value:
                    stack.append((members, prefix))
                    prefix += key + DELIMITER
                    members = iter(value.items()) if type(value) is dict else _numbered(value)
                    if limits:
                        size, width = len(value), len(prefix) if prefix.isascii() else utf8_bytes(prefix)
                        leaves, left = leaves + size - 1, left - (size - 1) * (width + MEMBER_BYTES)
                        if left < 0 or width > MAX_KEY_BYTES:
                            raise limits.refusal('key-too-long' if width > MAX_KEY_BYTES else 'output-too-large', event)
                    break
                value = None
            flat[prefix + key] = value
        else:
            if not stack:
                break
            members, prefix = stack.pop()
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
    too deep, have too long a key, or make the lines of their record too large. Counters in `flatten`: documents `in`,
    `out` and `malformed`, and `collisions`, the leaves that another leaf of the same name replaced.
    """

    def expand(self, records: beam.PCollection) -> Any:
        return staged(records, _FlattenEvents('flatten'))
