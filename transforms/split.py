"""SplitRecords: a record's bytes into the JSON documents that stand in them, one after the other."""
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import apache_beam as beam
import msgspec

from transforms.batching import Stage, failure, staged
from transforms.limits import MAX_LEVELS, MESSAGES, decode_deep
from transforms.records import Document, Failure, Record
from transforms.scan import Span, prune, shallow_run, skip_white, value_at

_OBJECT = msgspec.json.Decoder(dict[str, Any])
#: What the parser raises; beside its own errors a ValueError for bytes that are not UTF-8.
_REFUSED = (ValueError, RecursionError)
#: A record of so many bytes that is a quarter closing braces may hold half a million documents.
_DENSE_BYTES = 64 << 10

_MESSAGES = {
    'invalid-json': 'no valid JSON document starts here',
    'invalid-utf8': 'no valid JSON document starts here, and the bytes are not UTF-8',
    'not-an-object': 'a JSON value that is not an object',
    'too-deep': MESSAGES['too-deep'],
}


class Malformed(NamedTuple):
    """A fragment that is no document: its exact bytes, from byte `offset` on, in the place of document `index`."""

    code: str
    message: str
    fragment: bytes
    index: int  # type: ignore[assignment]
    offset: int


class Split(NamedTuple):
    """The documents of a record, and `rest`, what is malformed and ends it."""

    documents: list[Document]
    rest: Malformed | None

    @property
    def skipped(self) -> tuple[Malformed, ...]:
        """The documents that are too deep for the parser; they are not among the others."""
        return ()


class _SplitWithSkipped(Split):
    skipped: tuple[Malformed, ...] = ()  # a value here


def split_record(data: bytes) -> Split:
    """Split concatenated JSON objects, with white space between them or not. Raises nothing, whatever the bytes.

    What is malformed ends the record, one fragment to its end: no guess is made where the next document starts.

    >>> split_record(b'{"a":1}{"b":"}{"}')
    Split(documents=[{'a': 1}, {'b': '}{'}], rest=None)
    >>> split_record(b'{"a":1}[2]{"c":3}').rest[2:]
    (b'[2]{"c":3}', 1, 7)
    """
    # What was cut off cannot be parsed whole; and what would take long is not parsed in vain.
    if not _is_dense(data) and (data.endswith(b'}') or skip_white(data, data.rfind(b'}') + 1) == len(data)):
        try:
            return Split(_OBJECT.decode_lines(data), None)
        except _REFUSED:
            pass
    return _split_exactly(data)


def _is_dense(data: bytes) -> bool:
    return len(data) > _DENSE_BYTES and data.count(b'}') * 4 > len(data)


def _split_exactly(data: bytes) -> Split:
    documents: list[Document] = []
    skipped: list[Malformed] = []
    end = one_by_one = 0
    while True:
        run = shallow_run(data, end) if end >= one_by_one else end
        if run > end:
            try:
                documents += _OBJECT.decode_lines(data[end:run])
                end = run
            except _REFUSED:
                one_by_one = run
            continue
        start = skip_white(data, end)
        span = value_at(data, start) if data.startswith(b'{', start) else None
        if span is None:
            break
        stop = span.end
        try:
            document = _OBJECT.decode(data[start:stop]) if span.depth <= MAX_LEVELS else decode_deep(data, span)
        except _REFUSED:
            break
        if document is None:
            skipped.append(_malformed('too-deep', data[start:stop], len(documents) + len(skipped), start))
        else:
            documents.append(document)
        end = stop
    split = _SplitWithSkipped(documents, _rest(data, start, span, len(documents) + len(skipped)))
    split.skipped = tuple(skipped)
    return split


def _rest(data: bytes, offset: int, span: Span | None, index: int) -> Malformed | None:
    """Give what ends a record; `span` is that of the object there, None where there is none or it is not closed."""
    return _malformed(_reason(data, offset, span), data[offset:], index, offset) if offset < len(data) else None


def _reason(data: bytes, offset: int, span: Span | None) -> str:
    if not data.startswith(b'{', offset):
        span = value_at(data, offset)
        if span and _is_json(data, span):
            return 'not-an-object'
    failing = data[offset:span.end] if span else data[offset:]
    return 'invalid-json' if _is_utf8(failing) else 'invalid-utf8'


def _is_json(data: bytes, span: Span) -> bool:
    try:
        msgspec.json.decode(prune(data, span))
    except _REFUSED:
        return False
    return True


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _malformed(code: str, fragment: bytes, index: int, offset: int) -> Malformed:
    return Malformed(code, _MESSAGES[code], fragment, index, offset)


class _SplitRecords(Stage):
    def arriving(self, batch: list[Record]) -> int:
        return len(batch)

    def work(self, record: Record, tally: Counter[str]) -> tuple[Record, Sequence[Failure]]:
        split = split_record(record.data)
        documents, rest, skipped = split.documents, split.rest, split.skipped
        found = len(documents) + len(skipped)
        gaps = {malformed.index for malformed in skipped}
        indices = [index for index in range(found) if index not in gaps] if gaps else range(found)
        refused = (*skipped, rest) if rest else skipped
        return (Record(record.origin, record.data, documents, indices, found, rest is not None),
                [failure(record.origin, self.name, *malformed) for malformed in refused])


class SplitRecords(beam.PTransform):  # type: ignore[misc]
    """Find the JSON documents in each record.

    PCollection[Record] to `.records`, PCollection[Record], and `.malformed`, PCollection[Failure]: what ended a record
    before its end, and documents too deep for the parser. Counts, in `split`: records `in`, documents `out`, failures
    `malformed`.
    """

    def expand(self, records: beam.PCollection) -> Any:
        return staged(records, _SplitRecords('split'))
