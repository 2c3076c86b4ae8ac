"""Rows of a ledger that balances, and settings, to start from in tests."""
from __future__ import annotations

from collections.abc import Mapping

import msgspec

from pipeline.commit.ledger import StoredObject, object_row, placed_row
from pipeline.commit.manifests import Content, Placement, Settings
from pipeline.source import ReaderReport, ShardCounts, ShardPosition

SHARD = 'app/shardId-000000000000'
HOUR = 'year=2026/month=11/day=23/hour=10'
NAME = '20261123T101500Z-p00000-00000-of-00001.json.gz'
EVENTS = f'events/{HOUR}/platform=ios/{NAME}'
ERRORS = f'errors/too-deep/{HOUR}/{NAME}'
BACKUP = f'backup/{HOUR}/{NAME}'
PLACEMENT = Placement(
    layout=1, flush_interval_s=300, flush_size_mb=64, output_shards=1, compression='gzip', partition_time='event',
    platform_field='platform', time_field='event_time', streams={})
SETTINGS = Settings(PLACEMENT, Content(2, 'x', ('event_value',)))
OTHER = Settings(PLACEMENT, Content(2, 'y', ('event_value',)))


def report_row(reader: int, readers: int, shards: Mapping[str, ShardCounts],
               positions: Mapping[str, ShardPosition] | None = None) -> bytes:
    """Encode the report of a reader."""
    return msgspec.json.encode(ReaderReport(reader, readers, dict(shards), dict(positions or {})))


def report(reader: int = 0, readers: int = 1, **shards: int) -> bytes:
    """Make a reader's report: `report(a=3)` has read 3 records of 10 bytes in shard `a`."""
    return report_row(
        reader, readers,
        {f'app/{shard}': ShardCounts(count, 10 * count, '1', str(count)) for shard, count in shards.items()},
        {f'app/{shard}': position(str(count)) for shard, count in shards.items()})


def position(sequence: str | None, since_ms: int = 0, arrival_ms: int = 5) -> ShardPosition:
    """Make the position of an open shard."""
    return ShardPosition(sequence=sequence, since_ms=since_ms, arrival_ms=arrival_ms, open=True)


def written(path: str, lines: int, sha256: str = 'aa') -> bytes:
    """Make the row of an object."""
    return object_row(StoredObject(path, lines, 20 * lines, sha256))


def balanced(sha256: str = 'aa') -> list[bytes]:
    """Make the rows of a window of 5 records: 3 with 4 documents, one of them too deep, one malformed, one empty."""
    return [
        report(a=5),
        placed_row({'records': 5, 'user_records': 5, 'with_documents': 3, 'malformed': 1, 'empty': 1, 'documents': 4,
                    'lines': 3, 'fragments': 1, 'hours_of_arrival': 2, 'unreadable_times': 1}),
        placed_row({'error too-deep': 1, 'document_errors': 1, 'error invalid-json': 1}), placed_row({'backup': 5}),
        written(EVENTS, 3, sha256), written(ERRORS, 1), written(ERRORS.replace('too-deep', 'invalid-json'), 1),
        written(BACKUP, 5)]
