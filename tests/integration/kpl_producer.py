"""Aggregate records as the Kinesis Producer Library does (see its aggregation-format.md)."""
from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

MAGIC = b'\xf3\x89\x9a\xc2'


class User(NamedTuple):
    """A record of a producer. `hash_key`, if any, selects the shard instead of the MD5 of the partition key."""

    partition_key: str
    data: bytes
    hash_key: str | None = None


def aggregate(users: Sequence[User]) -> bytes:
    """Return one Kinesis record that holds all of them."""
    return sealed(message(users))


def sealed(body: bytes) -> bytes:
    """Return a message between the magic and its MD5."""
    return MAGIC + body + hashlib.md5(body).digest()


def message(users: Sequence[User]) -> bytes:
    """Encode the AggregatedRecord, with each key once in a table."""
    keys = list(dict.fromkeys(user.partition_key for user in users))
    hashes = list(dict.fromkeys(user.hash_key for user in users if user.hash_key is not None))
    table = [_field(1, key.encode()) for key in keys] + [_field(2, key.encode()) for key in hashes]
    records = [_number(1, keys.index(user.partition_key))
               + (_number(2, hashes.index(user.hash_key)) if user.hash_key is not None else b'')
               + _field(3, user.data) for user in users]
    return b''.join([*table, *(_field(3, record) for record in records)])


def _field(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _varint(value: int) -> bytes:
    low = bytes([value & 0x7F | (0x80 if value > 0x7F else 0)])
    return low + (_varint(value >> 7) if value > 0x7F else b'')
