"""KPL aggregates, made as the Kinesis Producer Library makes them (aggregation-format.md of its repository)."""
from __future__ import annotations

import hashlib

MAGIC = b'\xf3\x89\x9a\xc2'


def aggregate(*users: tuple[str, bytes], explicit_hash: str | None = None, tag: bool = False) -> bytes:
    """Aggregate user records of (partition key, data); each may carry an explicit hash key and a tag."""
    keys = sorted({key for key, _ in users})
    message = b''.join(field(1, key.encode()) for key in keys)
    if explicit_hash is not None:
        message += field(2, explicit_hash.encode())
    for key, data in users:
        record = number(1, keys.index(key))
        if explicit_hash is not None:
            record += number(2, 0)
        record += field(3, data)
        if tag:
            record += field(4, field(1, b'name') + field(2, b'value'))
        message += field(3, record)
    return sealed(message)


def sealed(message: bytes) -> bytes:
    """Put the magic before a message and its MD5 behind."""
    return MAGIC + message + hashlib.md5(message).digest()


def field(place: int, data: bytes) -> bytes:
    """Encode a field of bytes."""
    return varint(place << 3 | 2) + varint(len(data)) + data


def number(place: int, value: int) -> bytes:
    """Encode a field of an integer."""
    return varint(place << 3) + varint(value)


def varint(value: int) -> bytes:
    """Encode an integer, seven bits a byte, the lowest first."""
    parts = []
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])
