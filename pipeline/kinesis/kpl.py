"""Take apart the records that the Kinesis Producer Library (KPL) aggregated.

An aggregate consists of the magic bytes F3 89 9A C2, a protobuf message AggregatedRecord, and the MD5 of that message
(awslabs/amazon-kinesis-producer, aggregation-format.md).
"""
from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

from transforms import MalformedRecord

MAGIC = b'\xf3\x89\x9a\xc2'
DIGEST_BYTES = 16
#: Kinesis takes no longer partition key, in characters. Each error line of a user record repeats its key.
MAX_KEY_CHARACTERS = 256
#: User records of an aggregate take at least so many bytes each, with the six or more that their fields take, but for a
#: few. A JSON event takes hundreds. A hundred thousand empty ones would cost seconds.
MIN_USER_RECORD_BYTES = 24
FREE_USER_RECORDS = 32
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class UserRecord(NamedTuple):
    """A record that a producer put: its partition key and its bytes."""

    partition_key: str | None
    data: bytes


def deaggregate_record(partition_key: str | None, data: bytes) -> list[UserRecord]:
    """Return the user records of a Kinesis record: those of an aggregate, or the record itself, unchanged.

    User records are returned whatever their hash key is. If the MD5 is wrong, the record is not an aggregate. Raise
    MalformedRecord (invalid-kpl) if the MD5 is right but the message does not have the format, or has a partition key
    that Kinesis would refuse, or more user records than events fit in.
    """
    body = data[len(MAGIC):-DIGEST_BYTES]
    if data[:4] != MAGIC or not body or hashlib.md5(body, usedforsecurity=False).digest() != data[-DIGEST_BYTES:]:
        return [UserRecord(partition_key, data)]
    try:
        return _user_records(body)
    except (IndexError, ValueError):
        raise MalformedRecord('invalid-kpl', 'not a KPL aggregate, although its MD5 is right') from None


def _user_records(message: bytes) -> list[UserRecord]:
    keys, records = [], []
    most = FREE_USER_RECORDS + len(message) // MIN_USER_RECORD_BYTES
    for field, value in _fields(message):
        if field == 1 and isinstance(value, bytes):
            keys.append(_key(value))
        elif field == 3 and isinstance(value, bytes):
            records.append(_user_record(value))
            if len(records) > most:
                raise MalformedRecord('invalid-kpl',
                                      f'its user records take less than {MIN_USER_RECORD_BYTES} bytes each')
    return [UserRecord(keys[key], data) for key, data in records] or [UserRecord(None, b'')]


def _key(encoded: bytes) -> str:
    key = encoded.decode()
    if len(key) > MAX_KEY_CHARACTERS:
        raise ValueError('a partition key is too long')
    return key


def _user_record(message: bytes) -> tuple[int, bytes]:
    """Return the index of the partition key of a user record, and its data."""
    # The usual short record: a key of one byte, and data that its one byte of length measures. An aggregate may hold
    # 43,000 of them.
    if 4 <= len(message) < 0x84 and message[0] == 0x08 and message[2] == 0x1A and message[3] == len(message) - 4:
        if message[1] < 0x80:
            return message[1], message[4:]
    fields = dict(_fields(message))
    key, data = fields.get(1), fields.get(3)
    if not isinstance(key, int) or not isinstance(data, bytes):
        raise ValueError('a required field is missing')
    return key, data


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield (field number, value) of a protobuf message. Raise IndexError or ValueError if it is not one."""
    offset = 0
    while offset < len(message):
        tag = message[offset]
        offset += 1
        if tag >= 0x80:
            tag, offset = _varint(message, offset - 1)
        kind = tag & 7
        if kind == _VARINT:
            number, offset = _varint(message, offset)
            yield tag >> 3, number
            continue
        if kind == _BYTES:
            size = message[offset]
            offset += 1
            if size >= 0x80:
                size, offset = _varint(message, offset - 1)
        elif kind in (_FIXED64, _FIXED32):
            size = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError('unknown wire type')
        if offset + size > len(message):
            raise ValueError('a field reaches past the end')
        yield tag >> 3, message[offset:offset + size]
        offset += size


def _varint(message: bytes, offset: int) -> tuple[int, int]:
    """Return the number that is encoded at `offset`, and the offset after it."""
    number = shift = 0
    while shift < 70:
        byte = message[offset]
        number |= (byte & 0x7F) << shift
        offset, shift = offset + 1, shift + 7
        if byte < 0x80:
            return number, offset
    raise ValueError('a number is too long')
