"""The envelope that travels the whole road, and what becomes of a document that cannot go on.

MalformedRecord
└── (no subclasses: every reason is handled alike, `code` tells them apart)
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

Document = dict[str, Any]

#: Closed list: also `errorCode` in an error line and the folder below `errors/`.
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
    """Say why a document cannot go on: `code` out of ERROR_CODES, a message without any payload."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Origin(NamedTuple):
    """Where a record came from, and in which flush window and part the reader put it.

    `arrival_ms` is the record's own ApproximateArrivalTimestamp in epoch milliseconds; `window_ms` the start of the
    flush window of its *effective* arrival; `label` the platform of events of that stream that carry none.
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
    """One Kinesis record: its origin, its bytes as they came, and the documents found in it so far.

    `indices[i]` is the place of `documents[i]` among the `found` documents of the record (malformed ones leave gaps);
    `broken` says that the record ended in a malformed fragment; `dropped[i]`, where there is any, holds the fields that
    renaming dropped from `documents[i]`, by the name they would have had.
    """

    origin: Origin
    data: bytes
    documents: list[Document] = []  # noqa: RUF012 - never changed: each stage replaces it
    indices: Sequence[int] = ()
    found: int = 0
    broken: bool = False
    dropped: Sequence[Document] = ()


class Failure(NamedTuple):
    """One malformed fragment: `fragment` holds its exact bytes, found at byte `offset` of its record.

    `index` is its place among the documents of the record, `code` out of ERROR_CODES, `message` free of payload.
    """

    origin: Origin
    stage: str
    code: str
    message: str
    fragment: bytes
    index: int  # type: ignore[assignment]  # hides the method of tuples
    offset: int
