"""Encode events, failures and raw records as JSON lines, each without its newline."""
from __future__ import annotations

import base64
import re
from typing import Any

import msgspec
import orjson

from transforms.records import Document, Failure, Origin

#: Half of a pair each: in a string of Python, a whole pair is one character outside of this range.
_SURROGATE = re.compile('[\ud800-\udfff]')


def encode_event(event: Document) -> bytes:
    """Encode a flattened event. Integers of any size stay exact.

    >>> encode_event({'a': None, 'b': 36893488147419103233})
    b'{"a":null,"b":36893488147419103233}'
    """
    return encode_value(event)


def encode_value(value: Any) -> bytes:
    """Encode any JSON value."""
    try:
        # A copy, because lines are kept: the bytes from orjson (3.13) hold 8 KiB of memory, however short they are.
        return b''.join((orjson.dumps(value), b''))
    except TypeError:  # an integer over 64 bits
        return msgspec.json.encode(value)


def encode_failure(failure: Failure) -> bytes:
    """Encode a failure with the fields, order and types of a Firehose error line, followed by where it was found.

    Nothing in it depends on the clock: both times are the record's arrival.
    """
    origin = failure.origin
    return encode_value({
        'attemptsMade': 1,
        'arrivalTimestamp': origin.arrival_ms,
        'errorCode': failure.code,
        'errorMessage': failure.message,
        'attemptEndingTimestamp': origin.arrival_ms,
        'rawData': _base64(failure.fragment),
        'lambdaArn': '',
        'stage': failure.stage,
        'fragmentIndex': failure.index,
        'fragmentOffset': failure.offset,
        'streamName': origin.stream,
        'shardId': origin.shard,
        'sequenceNumber': origin.sequence,
        'subSequenceNumber': origin.sub_sequence,
        'partitionKey': _partition_key(origin),
    })


def encode_raw(origin: Origin, data: bytes) -> bytes:
    """Encode an untouched record for the backup, with `data` in base64."""
    return encode_value({
        'streamName': origin.stream,
        'shardId': origin.shard,
        'sequenceNumber': origin.sequence,
        'approximateArrivalTimestamp': origin.arrival_ms,
        'partitionKey': _partition_key(origin),
        'data': _base64(data),
    })


def _partition_key(origin: Origin) -> str | None:
    """Return the key as text that UTF-8 can hold: half of a surrogate pair becomes U+FFFD, as in events."""
    key = origin.partition_key
    return key if key is None or key.isascii() else _SURROGATE.sub('\ufffd', key)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode('ascii')
