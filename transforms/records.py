"""The envelope of a record from the source to the writer, and what a malformed document becomes.

MalformedRecord
└── (no subclasses: every reason is handled alike, `code` tells them apart)
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

Document = dict[str, Any]

#: All codes there are. Each is also the `errorCode` of an error line, and a folder below `errors/`.
ERROR_CODES = (
    'invalid-json',
    'invalid-utf8',
    'not-an-object',
    'too-deep',
    'key-too-long',
    'output-too-large',
    'invalid-kpl',
)


class MalformedRecord(Exception):
    """A document is malformed. `code` is one of ERROR_CODES; `message` says why, without any payload."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Origin(NamedTuple):
    """Where a record came from, and the flush window and part to which the reader assigned it.

    `arrival_ms` is the record's own ApproximateArrivalTimestamp in epoch milliseconds. `window_ms` is the start of the
    flush window of its *effective* arrival. `label` is the platform for events of the stream that have none.
    """

    stream: str
    shard: str
    sequence: str
    sub_sequence: int = 0
    partition_key: str | None = None
    arrival_ms: int = 0
    label: str = ''
    window_ms: int = 0
    part: int = 0


class Record(NamedTuple):
    """One record: its origin, its original bytes, and its documents as the stages so far have made them.

    `indices[i]` is the index of `documents[i]` among the `found` documents of the record; malformed ones leave gaps.
    `broken` is whether the record has malformed fragments, not counting documents that are too deep. `dropped` is
    empty, or `dropped[i]` holds the fields that renaming dropped from `documents[i]`, by the names they would have had.
    """

    origin: Origin
    data: bytes
    documents: list[Document] = []  # noqa: RUF012 - never changed: each stage makes a new list
    indices: Sequence[int] = ()
    found: int = 0
    broken: bool = False
    dropped: Sequence[Document] = ()


class Failure(NamedTuple):
    """One malformed fragment: its exact bytes, found at byte `offset` of its record.

    `index` is its index among the documents of the record, `code` is one of ERROR_CODES, and `message` says what is
    wrong without any payload. One failure may stand for several refused `documents`: its fragment is all of them, one
    after another, and `index` and `offset` are those of the first.
    """

    origin: Origin
    stage: str
    code: str
    message: str
    fragment: bytes
    index: int  # type: ignore[assignment]  # hides a method of tuple
    offset: int
    documents: int = 1
