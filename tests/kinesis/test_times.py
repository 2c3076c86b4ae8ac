from __future__ import annotations

import base64

import pytest

from pipeline.aws import RenewedClient
from pipeline.kinesis.calls import BotoKinesis
from pipeline.kinesis.client import _open_client, _time
from tests.kinesis.wire import Wire


def test_the_client_of_the_job_gives_arrivals_in_whole_milliseconds(monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_times_in_words_are_still_understood() -> None:
    assert _time('2022-06-21T01:00:00.123Z').timestamp() == 1_655_773_200.123
