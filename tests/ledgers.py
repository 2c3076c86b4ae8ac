"""Rows of a ledger that balances, to start from in tests."""
from __future__ import annotations

from typing import Any

import orjson

SHARD = 'app/shardId-000000000000'
HOUR = 'year=2026/month=11/day=23/hour=10'
NAME = '20261123T101500Z-p00000-00000-of-00001.json.gz'
EVENTS = f'events/{HOUR}/platform=ios/{NAME}'
ERRORS = f'errors/too-deep/{HOUR}/{NAME}'
BACKUP = f'backup/{HOUR}/{NAME}'


def row(kind: str, value: Any) -> bytes:
    """Encode a row of the ledger."""
    return orjson.dumps({kind: value})


def account(reader: int = 0, readers: int = 1, **shards: int) -> bytes:
    """Make a reader's account: `account(a=3)` has read 3 records of 10 bytes in shard `a`."""
    return row('account', {
        'reader': reader, 'readers': readers,
        'shards': {f'app/{shard}': {'records': count, 'bytes': 10 * count, 'first': '1', 'last': str(count)}
                   for shard, count in shards.items()},
        'positions': {f'app/{shard}': {'sequence': str(count), 'since_ms': 0, 'arrival_ms': 5, 'open': True}
                      for shard, count in shards.items()}})


def written(path: str, lines: int, sha256: str = 'aa') -> bytes:
    """Make the row of an object."""
    return row('object', {'path': path, 'lines': lines, 'bytes': 20 * lines, 'sha256': sha256})


def balanced(sha256: str = 'aa') -> list[bytes]:
    """Rows of a window of 5 records: 3 with 4 documents, one of them too deep, one malformed, one empty."""
    return [
        account(a=5),
        row('bucketed', {'records': 5, 'user_records': 5, 'with_documents': 3, 'malformed': 1, 'empty': 1,
                         'documents': 4, 'lines': 3, 'fragments': 1, 'hours_of_arrival': 2, 'unreadable_times': 1}),
        row('bucketed', {'error too-deep': 1, 'error invalid-json': 1}), row('bucketed', {'backup': 5}),
        written(EVENTS, 3, sha256), written(ERRORS, 1), written(ERRORS.replace('too-deep', 'invalid-json'), 1),
        written(BACKUP, 5)]
