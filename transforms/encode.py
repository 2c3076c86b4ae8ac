"""Events, failures and raw records as JSON lines, each without its newline."""
from __future__ import annotations

import base64
from typing import Any

import msgspec
import orjson

from transforms.records import Document, Failure, Origin


def encode_event(event: Document) -> bytes:
    """Encode a flattened event; integers of any size stay exact.

    >>> encode_event({'a': None, 'b': 36893488147419103233})
    b'{"a":null,"b":36893488147419103233}'
    """
    return encode_value(event)


def encode_value(value: Any) -> bytes:
    """Encode any JSON value."""
    try:
        # A copy: what orjson gives keeps 8 KiB of memory to itself, however short it is (3.13), and lines are kept.
        return b''.join((orjson.dumps(value), b''))
    except TypeError:  # an integer over 64 bits
        return msgspec.json.encode(value)


def encode_failure(failure: Failure) -> bytes:
    """Encode a failure in the fields, order and types of a Firehose error line, and after them where it was found.

    Nothing in it depends on the clock: both times are those of the record's arrival.
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
        'partitionKey': origin.partition_key,
    })


def encode_raw(origin: Origin, data: bytes) -> bytes:
    """Encode a record as it came, `data` in base64, for the backup."""
    return encode_value({
        'streamName': origin.stream,
        'shardId': origin.shard,
        'sequenceNumber': origin.sequence,
        'approximateArrivalTimestamp': origin.arrival_ms,
        'partitionKey': origin.partition_key,
        'data': _base64(data),
    })


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode('ascii')
