"""ParseEvents: the JSON text that an event carries in `event_value` into the value it stands for."""
from collections import Counter
from collections.abc import Sequence
from typing import Any

import apache_beam as beam
import msgspec

from transforms.batching import Stage, convert, staged
from transforms.limits import MAX_LEVELS, decode_deep, malformed
from transforms.records import Document, Failure, Record
from transforms.scan import value_at

FIELD = 'event_value'
#: event_value is a member of the top object: level 2.
_LEVEL = 2
_CONTAINER = msgspec.json.Decoder(dict[str, Any] | list[Any])


def parse_event(event: Document) -> Document:
    """Parse the top-level `event_value` once, where it is JSON text of an object or an array.

    Any other value stays as it is, and the event with it. Raises MalformedRecord (too-deep).

    >>> parse_event({'event_value': '{"k": [1]}', 'n': 1})
    {'event_value': {'k': [1]}, 'n': 1}
    >>> parse_event({'event_value': 'plain text'})
    {'event_value': 'plain text'}
    """
    text = event.get(FIELD)
    if not isinstance(text, str) or not text:
        return event
    try:
        value = _CONTAINER.decode(text)
    except (ValueError, RecursionError):
        value = _nested(text)
    return event if value is None else {**event, FIELD: value}


def _nested(text: str) -> Any:
    """Tell what the parser could not nest from what is no JSON (None)."""
    data = text.encode('utf-8', 'surrogatepass').strip(b' \t\r\n')
    span = value_at(data, 0, MAX_LEVELS + 1 - _LEVEL)
    if span is None or span.end < len(data) or span.depth + _LEVEL - 1 <= MAX_LEVELS:
        return None
    value = decode_deep(data, span, _LEVEL)
    if value is None:
        raise malformed('too-deep')
    return value


def _is_text(event: Document) -> bool:
    value = event.get(FIELD)
    return isinstance(value, str) and value != ''


class _ParseEvents(Stage):
    def work(self, record: Record, tally: Counter[str]) -> tuple[Record, Sequence[Failure]]:
        done = convert(record, parse_event, self.name)
        tally['kept_as_text'] += sum(map(_is_text, done[0].documents))
        return done


class ParseEvents(beam.PTransform):  # type: ignore[misc]
    """Parse the `event_value` of each document.

    PCollection[Record] to `.records`, PCollection[Record], and `.malformed`, PCollection[Failure]: documents that
    `event_value` makes too deep. Counts, in `parse`: documents `in`, `out` and `malformed`, and `kept_as_text`, those
    whose `event_value` is a string, not empty, that is no JSON object or array.
    """

    def expand(self, records: beam.PCollection) -> Any:
        return staged(records, _ParseEvents('parse'))
