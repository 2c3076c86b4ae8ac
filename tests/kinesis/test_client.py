"""Pages that the job parses by itself are equal to those that botocore parses."""
from __future__ import annotations

import base64
import http.server
import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from pipeline.aws import RenewedClient
from pipeline.kinesis.api import Page
from pipeline.kinesis.calls import BotoKinesis
from pipeline.kinesis.client import _open_client, _time
from pipeline.kinesis.errors import ExpiredIterator, PassingError
from pipeline.local.servers import LOOPBACK, demo_environment
from tests.http_server import running
from tests.kinesis.wire import Wire

RECORD = {'SequenceNumber': '49', 'ApproximateArrivalTimestamp': 1795429025.117, 'PartitionKey': 'ключ',
          'Data': base64.b64encode(b'{"a":"\xff"}').decode()}


class Server(http.server.ThreadingHTTPServer):
    answer: tuple[int, bytes] = 200, b''


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server that answers every request with `answer`."""
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
    with running(Server((LOOPBACK, 0), Handler)) as found:
        yield found


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
def test_a_page_is_equal_to_that_of_botocore(server: Server, answer: dict[str, Any]) -> None:
    server.answer = 200, json.dumps(answer).encode()

    ours, theirs = page_of(server, ours=True), page_of(server, ours=False)

    assert ours._replace(now_ms=0) == theirs._replace(now_ms=0)
    assert len(ours.records) == len(answer['Records'])


@pytest.mark.parametrize(('status', 'body', 'error'), [
    (200, b'{"NextShardIterator":"next"}', PassingError), (200, b'<html>', PassingError), (200, b'{}', PassingError),
    (200, b'{"Records":[]}', PassingError), (500, b'{"__type":"InternalFailure"}', PassingError),
    (400, b'{"__type":"ExpiredIteratorException"}', ExpiredIterator)])
def test_an_answer_that_is_not_a_page_is_left_to_botocore(
        server: Server, status: int, body: bytes, error: type[Exception]) -> None:
    server.answer = status, body

    for ours in (True, False):
        with pytest.raises(error):
            page_of(server, ours)


def test_arrivals_are_in_whole_milliseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('AWS_ACCESS_KEY_ID', 'key')
    monkeypatch.setenv('AWS_SECRET_ACCESS_KEY', 'secret')
    times = {2: 2000, 1.001: 1001, 1_655_773_200.123: 1_655_773_200_123, 1_655_773_200.9996: 1_655_773_201_000}
    wire = Wire().answer(NextShardIterator='next', MillisBehindLatest=0, Records=[
        {'SequenceNumber': '1', 'ApproximateArrivalTimestamp': time, 'PartitionKey': 'k',
         'Data': base64.b64encode(b'a').decode()} for time in times])
    client = _open_client('http://127.0.0.1:9', 'eu-west-1')
    client.meta.events.register('before-send.kinesis', wire._send)

    page = BotoKinesis(RenewedClient(lambda: client)).records('events', 'shardId-0', 'it')

    assert [record.arrival_ms for record in page.records] == list(times.values())


def test_a_time_that_is_text_is_parsed() -> None:
    assert _time('2022-06-21T01:00:00.123Z').timestamp() == 1_655_773_200.123
