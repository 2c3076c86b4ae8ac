"""A stub of Kinesis for measurements: it answers at once, makes up its records, and notes when it was asked.

It answers only the four calls that the job makes, as boto3 makes them.
"""
from __future__ import annotations

import base64
import contextlib
import functools
import json
import time
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from pipeline.local.servers import LOOPBACK
from pipeline.windows import align_down
from tests.http_server import running
from tests.integration.jobs import FLUSH_MS

HASH_RANGE = 1 << 128
PLACES = 10_000


class StubRecord(NamedTuple):
    """A record by its arrival in epoch ms."""

    arrival_ms: int
    data: bytes


class Asked(NamedTuple):
    """A call of GetRecords: its time, its shard, and the arrival of the last record in the answer (0: none)."""

    at: float
    shard: str
    last_ms: int


class Stub:
    """A stream of `shards` shards with `pages` pages each; `page(shard, index)` makes one up, from index 0 on.

    `delay_s(shard)` is how long an answer for that shard takes. `ahead_s` is how far its clock is ahead: if it
    is a day, all records from before have been dropped.
    """

    def __init__(self, shards: int, pages: int, page: Callable[[int, int], Sequence[StubRecord]], created_ms: int,
                 delay_s: Callable[[int], float] = lambda shard: 0.0) -> None:
        self.shards, self.pages, self.created_ms = shards, pages, created_ms
        self._page, self._delay_s = page, delay_s
        self.asked: list[Asked] = []
        self.ahead_s = 0

    def answer(self, operation: str, request: dict[str, Any]) -> bytes:
        """Answer a call."""
        if operation == 'GetRecords':
            return self._records(request['ShardIterator'])
        answers: dict[str, Callable[[dict[str, Any]], Any]] = {
            'DescribeStreamSummary': self._summary, 'ListShards': self._list, 'GetShardIterator': self._iterator}
        return json.dumps(answers[operation](request)).encode()

    def _summary(self, request: dict[str, Any]) -> dict[str, Any]:
        return {'StreamDescriptionSummary': {
            'StreamName': request['StreamName'], 'StreamCreationTimestamp': self.created_ms / 1000,
            'StreamStatus': 'ACTIVE', 'RetentionPeriodHours': 24, 'OpenShardCount': self.shards}}

    def _list(self, request: dict[str, Any]) -> dict[str, Any]:
        bounds = [HASH_RANGE * shard // self.shards for shard in range(self.shards + 1)]
        return {'Shards': [{
            'ShardId': f'shardId-{shard:012}', 'SequenceNumberRange': {'StartingSequenceNumber': '1'},
            'HashKeyRange': {'StartingHashKey': str(bounds[shard]), 'EndingHashKey': str(bounds[shard + 1] - 1)}}
            for shard in range(self.shards)]}

    def _iterator(self, request: dict[str, Any]) -> dict[str, Any]:
        # After a sequence number: its whole page again, of which the job skips what it has.
        return {'ShardIterator': f'{request["ShardId"]}:{int(request.get("StartingSequenceNumber", 0)) // PLACES}'}

    def _records(self, iterator: str) -> bytes:
        shard, place = iterator.split(':')
        records = self._page(int(shard[-12:]), int(place)) if int(place) < self.pages else []
        self.asked.append(Asked(time.monotonic(), shard, records[-1].arrival_ms if records else 0))
        time.sleep(self._delay_s(int(shard[-12:])))
        following = min(int(place) + 1, self.pages)
        rows = b','.join(_row(record, int(place) * PLACES + at) for at, record in enumerate(records, start=1))
        behind_ms = (self.pages - following) * 1000
        return b'{"Records":[%b],"NextShardIterator":"%b:%d","MillisBehindLatest":%d}' % (
            rows, shard.encode(), following, behind_ms)


def just_begun() -> Stub:
    """Return a stream whose first records arrived some seconds ago."""
    start_ms = align_down(time.time_ns() // 1_000_000 - 20_000, FLUSH_MS)
    return Stub(2, 3, lambda shard, place: [StubRecord(start_ms + place * FLUSH_MS, b'{"n":1}')], start_ms)


@contextlib.contextmanager
def serve(stub: Stub) -> Iterator[str]:
    """Listen until the block ends. Yield the endpoint."""
    class Handler(BaseHTTPRequestHandler):
        protocol_version = 'HTTP/1.1'

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers['Content-Length'])))
            body = stub.answer(self.headers['X-Amz-Target'].rpartition('.')[2], request)
            self.send_response(200)
            self.send_header('Content-Type', 'application/x-amz-json-1.1')
            self.send_header('Content-Length', str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def date_time_string(self, timestamp: float | None = None) -> str:
            return super().date_time_string(time.time() + stub.ahead_s)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with running(ThreadingHTTPServer((LOOPBACK, 0), Handler)) as server:
        yield f'http://{LOOPBACK}:{server.server_port}'


def _row(record: StubRecord, sequence: int) -> bytes:
    return b'{"SequenceNumber":"%d","PartitionKey":"k","ApproximateArrivalTimestamp":%.3f,"Data":"%b"}' % (
        sequence, record.arrival_ms / 1000, _encoded(record.data))


@functools.lru_cache(maxsize=8)
def _encoded(data: bytes) -> bytes:
    return base64.b64encode(data)
