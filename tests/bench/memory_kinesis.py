"""Kinesis as pages in memory, to measure the job without a network. Not a faithful model of Kinesis."""
from __future__ import annotations

import bisect
from collections.abc import Iterable
from unittest import mock

import pipeline.kinesis.shared
from pipeline.kinesis.api import Page, ShardInfo, Summary
from pipeline.kinesis.shards import HASH_RANGE
from pipeline.source import RawRecord
from pipeline.windows import HOUR_MS

PAGE_RECORDS = 10_000
PAGE_BYTES = 10 << 20
#: All records arrived within the hour that begins here, long ago.
BEGAN_MS = 1_655_773_200_000  # 2022-06-21T01:00:00Z
NOW_MS = BEGAN_MS + 2 * HOUR_MS


class StubCalls:
    """Answer the calls of a reader from memory. Records are spread evenly over the shards and over `spread_ms`."""

    def __init__(self, records: Iterable[bytes], shards: int, spread_ms: int) -> None:
        datas = list(records)
        self._names = [f'shardId-{number:012d}' for number in range(shards)]
        self._shards: dict[str, list[RawRecord]] = {name: [] for name in self._names}
        for number, data in enumerate(datas):
            arrival_ms = BEGAN_MS + number * spread_ms // len(datas)
            sequence = str(49_590_000_000_000_000_000_000_000_000_000_000_000_000_000_000_000_000_000 + number)
            self._shards[self._names[number % shards]].append(RawRecord(sequence, arrival_ms, f'key-{number}', data))

    def summary(self, stream: str) -> Summary:
        return Summary(BEGAN_MS, 365 * 24 * HOUR_MS, NOW_MS)

    def list_shards(self, stream: str) -> tuple[list[ShardInfo], int]:
        bounds = [HASH_RANGE * number // len(self._names) for number in range(len(self._names) + 1)]
        return [ShardInfo(name, first, after - 1, True)
                for name, first, after in zip(self._names, bounds, bounds[1:], strict=False)], NOW_MS

    def iterator(self, stream: str, shard: str, sequence: str, since_ms: int) -> str:
        return str(bisect.bisect_right(self._shards[shard], int(sequence), key=lambda record: int(record.sequence))
                   if sequence else 0)

    def records(self, stream: str, shard: str, iterator: str) -> Page:
        begin = end = int(iterator)
        records, size = self._shards[shard], 0
        while end < len(records) and end - begin < PAGE_RECORDS and size < PAGE_BYTES:
            size += len(records[end].data)
            end += 1
        behind_ms = NOW_MS - records[end - 1].arrival_ms if end < len(records) else 0
        return Page(records[begin:end], str(end), behind_ms, NOW_MS)


def in_place_of_kinesis(calls: StubCalls) -> mock._patch[object]:
    """Let every reader of this process call the stub during a `with` block."""
    return mock.patch.object(pipeline.kinesis.shared, 'connect', lambda endpoint_url, region: calls)
