"""A stream on a Kinesis written by others: put records, split and merge shards, and know what was put."""
from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

from pipeline.local.servers import Put, put_records
from tests.waiting import wait_until

HASH_RANGE = 1 << 128
BATCH = 20


class Stream:
    """One stream and what was put. Each record holds two documents, numbered through."""

    def __init__(self, kinesis: Any, name: str, shards: int) -> None:
        self.kinesis, self.name = kinesis, name
        self.puts: list[Put] = []
        self._lock = threading.Lock()
        self._number = 0
        kinesis.create_stream(StreamName=name, ShardCount=shards)
        self.wait_active()

    def put(self, count: int = BATCH) -> None:
        """Put that many records, spread over the shards."""
        with self._lock:
            records = [self._record() for _ in range(count)]
            self.puts += put_records(self.kinesis, self.name, records)

    def put_to_all(self) -> None:
        """Put until every open shard has a record."""
        def each_has_one() -> bool:
            if {shard['ShardId'] for shard in self.open_shards()} <= {put.shard for put in self.puts}:
                return True
            self.put()
            return False
        wait_until(each_has_one, f'a record in every open shard of {self.name}', every_s=0)

    @contextlib.contextmanager
    def producer(self, every_s: float = 0.2) -> Iterator[None]:
        """Put a batch every `every_s` seconds until the block ends."""
        ended = threading.Event()
        failed: list[BaseException] = []

        def produce() -> None:
            try:
                while not ended.wait(every_s):
                    self.put()
            except BaseException as error:
                failed.append(error)

        thread = threading.Thread(target=produce)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
        assert not failed, failed

    def put_for(self, windows: int) -> None:
        """Put a batch in each of the next seconds."""
        for _ in range(windows):
            self.put()
            time.sleep(1)

    def open_shards(self) -> list[dict[str, Any]]:
        """Return the open shards, sorted by hash range."""
        answer = self.kinesis.list_shards(StreamName=self.name)
        shards = list(answer['Shards'])
        while answer.get('NextToken'):
            answer = self.kinesis.list_shards(NextToken=answer['NextToken'])
            shards += answer['Shards']
        return sorted((shard for shard in shards if not shard['SequenceNumberRange'].get('EndingSequenceNumber')),
                      key=lambda shard: int(shard['HashKeyRange']['StartingHashKey']))

    def split(self, index: int, empty: bool = False) -> None:
        """Split the open shard of that index in two, then put a record into each unless `empty`."""
        shard = self.open_shards()[index]
        first, last = (int(shard['HashKeyRange'][name]) for name in ('StartingHashKey', 'EndingHashKey'))
        self.kinesis.split_shard(StreamName=self.name, ShardToSplit=shard['ShardId'],
                                 NewStartingHashKey=str((first + last) // 2))
        self.wait_active()
        if not empty:
            self.put_to_all()

    def merge(self, index: int) -> None:
        """Merge the open shard of that index with the next one, then put a record into the new shard."""
        one, two = self.open_shards()[index:index + 2]
        self.kinesis.merge_shards(StreamName=self.name, ShardToMerge=one['ShardId'],
                                  AdjacentShardToMerge=two['ShardId'])
        self.wait_active()
        self.put_to_all()

    def scale(self, shards: int) -> None:
        """Let Kinesis split and merge shards until that many of equal size are open."""
        self.kinesis.update_shard_count(StreamName=self.name, TargetShardCount=shards,
                                        ScalingType='UNIFORM_SCALING')
        self.wait_active()
        assert len(self.open_shards()) == shards

    def wait_active(self) -> None:
        """Wait until the stream is neither being created nor changed."""
        wait_until(lambda: self.status() == 'ACTIVE', f'stream {self.name} to be active', every_s=0.05)

    def status(self) -> str:
        """Return the status of the stream."""
        summary = self.kinesis.describe_stream_summary(StreamName=self.name)['StreamDescriptionSummary']
        return str(summary['StreamStatus'])

    @property
    def numbers(self) -> list[str]:
        """Return the numbers of all documents, sorted."""
        return sorted(f'{number}.{place}' for number in range(self._number) for place in range(2))

    def backup(self) -> dict[tuple[str, str], bytes]:
        """Return what a backup of the whole stream must hold."""
        return {(put.shard, put.sequence): put.data for put in self.puts}

    def _record(self) -> tuple[str, bytes]:
        number, self._number = self._number, self._number + 1
        data = b''.join(json.dumps({'eventName': 'Install', 'number': f'{number}.{place}'}).encode()
                        for place in range(2))
        return f'key-{number}', data
