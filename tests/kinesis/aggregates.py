"""Make aggregates as the Kinesis Producer Library does (aggregation-format.md of its repository)."""
from __future__ import annotations

import hashlib

MAGIC = b'\xf3\x89\x9a\xc2'


def aggregate(*users: tuple[str, bytes], explicit_hash: str | None = None, tag: bool = False) -> bytes:
    """Return an aggregate of user records (partition key, data), with explicit hash keys and tags if asked for."""
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
    """Return a message with the magic bytes before it and its MD5 after it."""
    return MAGIC + message + hashlib.md5(message).digest()


def field(tag: int, data: bytes) -> bytes:
    """Encode a field that holds bytes."""
    return varint(tag << 3 | 2) + varint(len(data)) + data


def number(tag: int, value: int) -> bytes:
    """Encode a field that holds an integer."""
    return varint(tag << 3) + varint(value)


def varint(value: int) -> bytes:
    """Encode an integer with seven bits a byte, the lowest bits first."""
    parts = []
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])
