"""SplitRecords: a record's bytes into the JSON documents that stand in them, one after the other."""
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import apache_beam as beam
import msgspec

from transforms.batching import Stage, failure, staged
from transforms.decode import REFUSED, LenientDecoder
from transforms.limits import MAX_LEVELS, MESSAGES, decode_deep
from transforms.reasons import reason_of
from transforms.records import Document, Failure, Record
from transforms.scan import BOM, Span, is_container, shallow_run, skip_between, skip_white, value_at

_OBJECT = msgspec.json.Decoder(dict[str, Any])
#: A record of so many bytes that is a quarter closing braces may hold half a million documents.
_DENSE_BYTES = 64 << 10
_BRACE = ord('{')


class Malformed(NamedTuple):
    """A fragment that is no document: its exact bytes, from byte `offset` on, in the place of document `index`."""

    code: str
    message: str
    fragment: bytes
    index: int  # type: ignore[assignment]
    offset: int


class Split(NamedTuple):
    """The documents of a record, and what is malformed in it.

    `rest` is a malformed end of the record. `skipped` are fragments with documents behind them: documents that are too
    deep for the parser, or one that is malformed.
    """

    documents: list[Document]
    rest: Malformed | None
    skipped: tuple[Malformed, ...] = ()


class _Stretch(NamedTuple):
    """Documents up to `end`, and the span of the object or array there; None if there is none."""

    documents: list[Document]
    skipped: list[Malformed]
    end: int
    span: Span | None
    mended: Counter[str]

    @property
    def found(self) -> int:
        return len(self.documents) + len(self.skipped)


def split_record(data: bytes, mended: Counter[str] | None = None) -> Split:
    """Split concatenated JSON objects, with white space between them or not. Raise nothing, whatever the bytes.

    A malformed object or array is a fragment of its own if everything behind it parses as documents. If not, it and all
    that follows are one fragment: there is no guess where the next document starts. `mended` is where byte order marks
    (`boms`), `lone_surrogates` and `huge_numbers` are counted.

    >>> split_record(b'{"a":1}{"b":"}{"}')
    Split(documents=[{'a': 1}, {'b': '}{'}], rest=None, skipped=())
    >>> split_record(b'{"a":1}{"b":2,}{"c":3}').skipped[0][2:]
    (b'{"b":2,}', 1, 7)
    >>> split_record(b'{"a":1}x{"b":2}').rest[2:]
    (b'x{"b":2}', 1, 7)
    """
    # What was cut off cannot be parsed whole; and what would take long is not parsed in vain.
    if not _is_dense(data) and (data.endswith(b'}') or skip_white(data, data.rfind(b'}') + 1) == len(data)):
        try:
            return Split(_OBJECT.decode_lines(data), None)
        except REFUSED:
            pass
    return _split_exactly(data, Counter() if mended is None else mended)


def _is_dense(data: bytes) -> bool:
    return len(data) > _DENSE_BYTES and data.count(b'}') * 4 > len(data)


def _split_exactly(data: bytes, mended: Counter[str]) -> Split:
    head = _read_documents(data)
    mended.update(head.mended)
    if head.end == len(data):
        return Split(head.documents, None, tuple(head.skipped))
    code, message = reason_of(data, head.end, head.span)
    if head.span:
        tail = _read_documents(data, head.span.end, head.found + 1)
        if tail.documents and tail.end == len(data) and not tail.skipped:
            mended.update(tail.mended)
            fragment = data[head.end:head.span.end]
            malformed = Malformed(code, message, fragment, head.found, head.end)
            return Split(head.documents + tail.documents, None, (*head.skipped, malformed))
    return Split(head.documents, Malformed(code, message, data[head.end:], head.found, head.end), tuple(head.skipped))


def _read_documents(data: bytes, at: int = 0, first: int = 0) -> _Stretch:
    """Read documents from `at` on, up to the first thing that is none; `first` is the index of the first one."""
    documents: list[Document] = []
    skipped: list[Malformed] = []
    decoder, boms = LenientDecoder(), 0
    end = one_by_one = at
    while True:
        run = shallow_run(data, end) if end >= one_by_one else end
        if run > end:
            try:
                documents += decoder.decode_lines(data[end:run])
                end = run
            except REFUSED:
                one_by_one = run
            continue
        start = skip_between(data, end)
        boms += data.count(BOM, end, start)
        span = value_at(data, start) if is_container(data, start) else None
        if span is None or data[start] != _BRACE:
            break
        piece = data[start:span.end]
        try:
            read = decoder.decode_lines(piece) if span.depth <= MAX_LEVELS else _read_deep(data, span)
        except REFUSED:
            break
        if read is None:
            index = first + len(documents) + len(skipped)
            skipped.append(Malformed('too-deep', MESSAGES['too-deep'], piece, index, start))
        else:
            documents += read
        end = span.end
    decoder.mended.update({'boms': boms} if boms else {})
    return _Stretch(documents, skipped, start, span, decoder.mended)


def _read_deep(data: bytes, span: Span) -> list[Document] | None:
    document = decode_deep(data, span)
    return None if document is None else [document]


def indices_of(split: Split) -> Sequence[int]:
    """Return the place of each document of a split among all that was found in the record."""
    gaps = {malformed.index for malformed in split.skipped}
    places = range(len(split.documents) + len(gaps))
    return [index for index in places if index not in gaps] if gaps else places


class _SplitRecords(Stage):
    def arriving(self, batch: list[Record]) -> int:
        return len(batch)

    def work(self, record: Record, tally: Counter[str]) -> tuple[Record, Sequence[Failure]]:
        split = split_record(record.data, tally)
        refused = (*split.skipped, split.rest) if split.rest else split.skipped
        too_deep = sum(malformed.code == 'too-deep' for malformed in refused)
        return (Record(record.origin, record.data, split.documents, indices_of(split), len(split.documents) + too_deep,
                       len(refused) > too_deep),
                [failure(record.origin, self.name, *malformed) for malformed in refused])


class SplitRecords(beam.PTransform):  # type: ignore[misc]
    """Find the JSON documents in each record.

    PCollection[Record] to `.records`, PCollection[Record], and `.malformed`, PCollection[Failure]: what is malformed,
    and documents that are too deep for the parser. Counts, in `split`: records `in`, documents `out`, failures
    `malformed`; and what was read although the strict parser refuses it: `boms` (byte order marks), `lone_surrogates`
    (now U+FFFD), `huge_numbers` (beyond a double, now null).
    """

    def expand(self, records: beam.PCollection) -> Any:
        return staged(records, _SplitRecords('split'))
