"""ParseEvents: the JSON text in the `event_value` of an event becomes an object or array."""
import dataclasses
import functools
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import apache_beam as beam
import msgspec

from transforms.batching import Stage, convert, staged
from transforms.convention import snake_case
from transforms.decode import REFUSED, LenientDecoder
from transforms.letters import lower
from transforms.limits import MAX_KEY_BYTES, MAX_LEVELS, decode_deep, malformed
from transforms.records import Document, Failure, Record
from transforms.remembered import Remembered
from transforms.scan import value_at

#: A top-level field is a member of the top object: level 2.
_LEVEL = 2
_NO_LETTERS = re.compile('[^a-z0-9]+')
_CONTAINER = msgspec.json.Decoder(dict[str, Any] | list[Any])


@dataclasses.dataclass(frozen=True)
class JsonFields:
    """The top-level fields that hold JSON text. A field matches if the convention gives it one of the `names`.

    `eventValue` and `Event Value` match `event_value`.
    """

    names: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, 'names', tuple(sorted({*map(snake_case, self.names)})))

    def __reduce__(self) -> tuple[Any, ...]:
        return JsonFields, (self.names,)

    def texts_in(self, event: Document) -> list[str]:
        """Return the keys of the matching fields of an event that hold a text, if it is not empty."""
        return [key for key in self._shapes[tuple(event)] if isinstance(event[key], str) and event[key]]

    @functools.cached_property
    def _shapes(self) -> Remembered[tuple[str, ...], tuple[str, ...]]:
        return Remembered(self._find)

    @functools.cached_property
    def _letters(self) -> frozenset[str]:
        return frozenset(map(_letters, self.names))

    def _find(self, keys: tuple[str, ...]) -> tuple[str, ...]:
        # Keys of any length come here, and the convention looks at each letter: apply it only to keys that may match.
        return tuple(key for key in keys if len(key) <= MAX_KEY_BYTES and _letters(key) in self._letters
                     and snake_case(key) in self.names)


def _letters(name: str) -> str:
    return _NO_LETTERS.sub('', lower(name))


EVENT_VALUE = JsonFields(('event_value',))


def parse_event(event: Document, fields: JsonFields = EVENT_VALUE, mended: Counter[str] | None = None) -> Document:
    """Return the event with its JSON texts parsed: those in `fields` that are the text of an object or an array.

    Any other value stays as it is, and what is parsed is not parsed again. `mended` counts `lone_surrogates` and
    `huge_numbers`. Raise MalformedRecord (too-deep) if the event becomes too deep.

    >>> parse_event({'eventValue': '{"k": [1]}', 'n': 1})
    {'eventValue': {'k': [1]}, 'n': 1}
    >>> parse_event({'event_value': 'plain text'})
    {'event_value': 'plain text'}
    """
    parsed = {}
    for key in fields.texts_in(event):
        value = _container_in(event[key], mended)
        if value is not None:
            parsed[key] = value
    return {**event, **parsed} if parsed else event


def _container_in(text: str, mended: Counter[str] | None) -> Any:
    """Return the object or array that a text encodes, or None if it encodes neither."""
    try:
        return _CONTAINER.decode(text)
    except REFUSED:
        pass
    decoder = LenientDecoder()
    try:
        value = decoder.decode_container(text.encode())
    except REFUSED:
        return _nested(text)
    if mended is not None:
        mended += decoder.mended
    return value


def _nested(text: str) -> Any:
    """Decode a text that the parser refused, in case it was nested too deeply for it. Return None if it is no JSON."""
    data = text.encode('utf-8', 'surrogatepass').strip(b' \t\r\n')
    span = value_at(data, 0, MAX_LEVELS + 1 - _LEVEL)
    if span is None or span.end < len(data) or span.depth + _LEVEL - 1 <= MAX_LEVELS:
        return None
    value = decode_deep(data, span, _LEVEL)
    if value is None:
        raise malformed('too-deep')
    return value


class _ParseEvents(Stage):
    def __init__(self, name: str, fields: JsonFields) -> None:
        super().__init__(name)
        self._fields = fields

    def work(self, record: Record, tally: Counter[str]) -> tuple[Record, Sequence[Failure]]:
        done = convert(record, functools.partial(parse_event, fields=self._fields, mended=tally), self.name)
        tally['kept_as_text'] += sum(len(self._fields.texts_in(event)) for event in done[0].documents)
        return done


@dataclasses.dataclass
class ParseEvents(beam.PTransform):  # type: ignore[misc]
    """Parse the fields of each document that hold JSON text.

    PCollection[Record] to `.records`, PCollection[Record], and `.malformed`, PCollection[Failure]: documents that this
    makes too deep. Counters in `parse`: documents `in`, `out` and `malformed`; `kept_as_text`, the fields with a text
    that is not empty and not a JSON object or array; `lone_surrogates` and `huge_numbers`, as in SplitRecords.
    """

    fields: JsonFields = EVENT_VALUE

    def expand(self, records: beam.PCollection) -> Any:
        return staged(records, _ParseEvents('parse', self.fields))
