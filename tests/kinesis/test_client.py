"""Clients of Kinesis: pages that are parsed in place of botocore are what botocore makes of them."""
from __future__ import annotations

import base64
import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from pipeline.aws import RenewedClient
from pipeline.kinesis.api import Page
from pipeline.kinesis.calls import BotoKinesis
from pipeline.kinesis.client import _open_client
from pipeline.kinesis.errors import ExpiredIterator, PassingError
from pipeline.local.servers import LOOPBACK, demo_environment

RECORD = {'SequenceNumber': '49', 'ApproximateArrivalTimestamp': 1795429025.117, 'PartitionKey': 'ключ',
          'Data': base64.b64encode(b'{"a":"\xff"}').decode()}


class Server(http.server.ThreadingHTTPServer):
    answer: tuple[int, bytes] = 200, b''


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server that gives `answer` to whatever it is asked."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            status, body = found.answer
            self.send_response(status)
            self.send_header('Content-Type', 'application/x-amz-json-1.1')
            self.send_header('Content-Length', str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    for name, value in demo_environment().items():
        monkeypatch.setenv(name, value)
    with Server((LOOPBACK, 0), Handler) as found:
        threading.Thread(target=found.serve_forever, daemon=True).start()
        yield found
        found.shutdown()


def page_of(server: Server, ours: bool) -> Page:
    endpoint = f'http://{LOOPBACK}:{server.server_port}'
    plain = boto3.session.Session().client
    opened = _open_client(endpoint, 'us-east-1') if ours else plain('kinesis', endpoint_url=endpoint)
    return BotoKinesis(RenewedClient(lambda: opened)).records('events', 'shardId-0', 'it')


@pytest.mark.parametrize('answer', [
    {'Records': [RECORD], 'NextShardIterator': 'next', 'MillisBehindLatest': 7},
    {'Records': [RECORD, {**RECORD, 'SequenceNumber': '50', 'EncryptionType': 'KMS', 'Data': ''}],
     'NextShardIterator': None, 'MillisBehindLatest': 0, 'ChildShards': [{'ShardId': 'x', 'ParentShards': []}]},
    {'Records': [{name: value for name, value in RECORD.items() if name != 'PartitionKey'}], 'MillisBehindLatest': 0},
    {'Records': [{**RECORD, 'ApproximateArrivalTimestamp': 1795429025}], 'MillisBehindLatest': 3},
    {'Records': [{**RECORD, 'ApproximateArrivalTimestamp': '2026-11-23T10:17:05Z'}], 'MillisBehindLatest': 3},
    {'Records': [], 'NextShardIterator': 'next', 'MillisBehindLatest': 0}])
def test_a_page_is_what_botocore_makes_of_it(server: Server, answer: dict[str, Any]) -> None:
    server.answer = 200, json.dumps(answer).encode()

    ours, theirs = page_of(server, ours=True), page_of(server, ours=False)

    assert ours._replace(now_ms=0) == theirs._replace(now_ms=0)
    assert len(ours.records) == len(answer['Records'])


@pytest.mark.parametrize(('status', 'body', 'error'), [
    (200, b'{"NextShardIterator":"next"}', PassingError), (200, b'<html>', PassingError), (200, b'{}', PassingError),
    (200, b'{"Records":[]}', PassingError), (500, b'{"__type":"InternalFailure"}', PassingError),
    (400, b'{"__type":"ExpiredIteratorException"}', ExpiredIterator)])
def test_what_is_no_page_is_left_to_botocore(server: Server, status: int, body: bytes, error: type[Exception]) -> None:
    server.answer = status, body

    for ours in (True, False):
        with pytest.raises(error):
            page_of(server, ours)
