"""SplitRecords: split the bytes of a record into the JSON documents that are concatenated in it."""
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
#: A larger record, if a quarter of its bytes are closing brackets, may hold half a million documents or containers.
_DENSE_BYTES = 64 << 10
_BRACE = ord('{')


class Malformed(NamedTuple):
    """A fragment that is no document: its exact bytes, found at byte `offset`, where document `index` should be."""

    code: str
    message: str
    fragment: bytes
    index: int  # type: ignore[assignment]
    offset: int


class Split(NamedTuple):
    """The documents of a record, and what is malformed in it.

    `rest` is the end of the record from the first malformed byte on. `skipped` are fragments with documents after
    them: documents that are too deep for the parser, and at most one that is malformed.
    """

    documents: list[Document]
    rest: Malformed | None
    skipped: tuple[Malformed, ...] = ()


class _Run(NamedTuple):
    """Documents that follow one another, up to the first byte that is malformed or to the end of the data.

    `skipped` are those that are too deep. `end` is where the run ends, and `span` is the malformed object or array
    there, or None if there is none.
    """

    documents: list[Document]
    skipped: list[Malformed]
    end: int
    span: Span | None
    mended: Counter[str]

    @property
    def found(self) -> int:
        return len(self.documents) + len(self.skipped)


def split_record(data: bytes, mended: Counter[str] | None = None) -> Split:
    """Split concatenated JSON objects, with or without white space between them. Raise nothing, whatever the bytes.

    A malformed object or array is a fragment of its own if everything after it parses as documents. If not, it and all
    that follows are one fragment, because any start of the next document would be a guess. `mended` counts byte order
    marks (`boms`), `lone_surrogates` and `huge_numbers`.

    >>> split_record(b'{"a":1}{"b":"}{"}')
    Split(documents=[{'a': 1}, {'b': '}{'}], rest=None, skipped=())
    >>> split_record(b'{"a":1}{"b":2,}{"c":3}').skipped[0][2:]
    (b'{"b":2,}', 1, 7)
    >>> split_record(b'{"a":1}x{"b":2}').rest[2:]
    (b'x{"b":2}', 1, 7)
    """
    documents = _decode_at_once(data)
    if documents is not None:
        return Split(documents, None)
    return _split_exactly(data, Counter() if mended is None else mended)


def is_malformed(data: bytes) -> bool:
    """Return whether anything in a record is malformed, without looking for the reason.

    >>> is_malformed(b'{"a":1} {}'), is_malformed(b'{"a":1}{')
    (False, True)
    """
    if _decode_at_once(data) is not None:
        return False
    run = _read_documents(data)
    return run.end < len(data) or bool(run.skipped)


def _decode_at_once(data: bytes) -> list[Document] | None:
    """Decode all documents of a record by one call: the fast way, for nearly all records. Return None if it fails.

    It would be wasted on a record that was cut off, and slow on a dense one.
    """
    if not _is_dense(data) and _ends_in_object(data):
        try:
            return _OBJECT.decode_lines(data)
        except REFUSED:
            pass
    return None


def _ends_in_object(data: bytes) -> bool:
    return data.endswith(b'}') or skip_white(data, data.rfind(b'}') + 1) == len(data)


def _is_dense(data: bytes) -> bool:
    return len(data) > _DENSE_BYTES and (data.count(b'}') + data.count(b']')) * 4 > len(data)


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
            malformed = Malformed(code, message, data[head.end:head.span.end], head.found, head.end)
            return Split(head.documents + tail.documents, None, (*head.skipped, malformed))
    rest = Malformed(code, message, data[head.end:], head.found, head.end)
    return Split(head.documents, rest, tuple(head.skipped))


def _read_documents(data: bytes, at: int = 0, first: int = 0) -> _Run:
    """Read documents from byte `at` on; `first` is the index of the first one.

    Up to a thousand documents are decoded in one call. If that call is refused, they are decoded one by one.
    """
    documents: list[Document] = []
    skipped: list[Malformed] = []
    decoder, boms = LenientDecoder(), 0
    end = one_by_one_until = at
    while True:
        many = shallow_run(data, end) if end >= one_by_one_until else end
        if many > end:
            try:
                documents += decoder.decode_lines(data[end:many])
                end = many
            except REFUSED:
                one_by_one_until = many
            continue
        start = skip_between(data, end)
        boms += data.count(BOM, end, start)
        span = value_at(data, start) if is_container(data, start) else None
        if span is None or data[start] != _BRACE:
            break
        try:
            document = _read_document(decoder, data, span)
        except REFUSED:
            break
        if document is None:
            index = first + len(documents) + len(skipped)
            skipped.append(Malformed('too-deep', MESSAGES['too-deep'], data[start:span.end], index, start))
        else:
            documents.append(document)
        end = span.end
    decoder.mended.update({'boms': boms} if boms else {})
    return _Run(documents, skipped, start, span, decoder.mended)


def _read_document(decoder: LenientDecoder, data: bytes, span: Span) -> Document | None:
    """Decode the object at `span`. Return None if it is too deep; raise one of REFUSED if it is malformed."""
    if span.depth <= MAX_LEVELS:
        return decoder.decode_lines(data[span.start:span.end])[0]
    document: Document | None = decode_deep(data, span)
    return document


def indices_of(split: Split) -> Sequence[int]:
    """Return the index of each document of a split among all that was found in the record, malformed ones too."""
    gaps = {malformed.index for malformed in split.skipped}
    indices = range(len(split.documents) + len(gaps))
    return [index for index in indices if index not in gaps] if gaps else indices


class _SplitRecords(Stage):
    def arriving(self, batch: list[Record]) -> int:
        return len(batch)

    def work(self, record: Record, tally: Counter[str]) -> tuple[Record, Sequence[Failure]]:
        split = split_record(record.data, tally)
        if not (split.rest or split.skipped):
            found = len(split.documents)
            return Record(record.origin, record.data, split.documents, range(found), found), ()
        refused = (*split.skipped, split.rest) if split.rest else split.skipped
        too_deep = sum(malformed.code == 'too-deep' for malformed in refused)
        done = Record(record.origin, record.data, split.documents, indices_of(split),
                      found=len(split.documents) + too_deep, broken=len(refused) > too_deep)
        return done, [failure(record.origin, self.name, *malformed) for malformed in refused]


class SplitRecords(beam.PTransform):  # type: ignore[misc]
    """Find the JSON documents in each record.

    PCollection[Record] to `.records`, PCollection[Record], and `.malformed`, PCollection[Failure]: malformed fragments,
    and documents that are too deep for the parser. Counters in `split`: records `in`, documents `out`, failures
    `malformed`; and what was read although the strict parser refuses it: `boms` (byte order marks), `lone_surrogates`
    (now U+FFFD) and `huge_numbers` (beyond a double, now null).
    """

    def expand(self, records: beam.PCollection) -> Any:
        return staged(records, _SplitRecords('split'))
