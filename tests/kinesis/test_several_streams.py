"""One reader of two streams, one named by its ARN. Their shards have the same names; the slower stream holds both."""
from __future__ import annotations

import dataclasses

import pytest
from botocore.exceptions import ClientError

from pipeline.errors import ReadError
from pipeline.kinesis.api import Page, ShardInfo, Summary
from pipeline.kinesis.deaggregate import deaggregate_batch
from pipeline.kinesis.errors import PassingError, ShardGone, error_of
from pipeline.kinesis.settings import ReadSettings
from tests.kinesis.driver import Driver, data_of
from tests.kinesis.fake import START_MS, FakeKinesis

A = 'shardId-000000000000'
ARN = 'arn:aws:kinesis:eu-west-1:123456789012:stream/droid'


class Two(FakeKinesis):
    """The stream `apple`, and beside it `droid`, which answers to its ARN only."""

    def __init__(self) -> None:
        super().__init__(name='apple')
        self.other = FakeKinesis(2, name=ARN)

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        self.other.sleep(seconds)

    def settings(self, **changes: object) -> ReadSettings:
        apple = dataclasses.replace(self.infos()[0], label='ios')
        droid = dataclasses.replace(self.other.infos()[0], name='droid', label='android')
        return super().settings(streams=(apple, droid), **changes)

    def summary(self, stream: str) -> Summary:
        return self.other.summary(stream) if stream == ARN else super().summary(stream)

    def list_shards(self, stream: str) -> tuple[list[ShardInfo], int]:
        return self.other.list_shards(stream) if stream == ARN else super().list_shards(stream)

    def iterator(self, stream: str, shard: str, sequence: str, since_ms: int) -> str:
        iterator = self.other.iterator if stream == ARN else super().iterator
        return iterator(stream, shard, sequence, since_ms)

    def records(self, stream: str, shard: str, iterator: str) -> Page:
        return (self.other.records if stream == ARN else super().records)(stream, shard, iterator)


def test_records_of_both_streams_have_their_name_and_label() -> None:
    fake = Two()
    fake.put(A, b'a')
    fake.other.put(A, b'd')
    driver = Driver(fake)
    labels = {stream.name: stream.label for stream in driver.settings.streams}

    records = [record for batch in driver.call().batches for record in deaggregate_batch(batch, labels).records]

    assert {(record.origin.stream, record.origin.shard, record.origin.label, record.data) for record in records} == {
        ('apple', A, 'ios', b'a'), ('droid', A, 'android', b'd')}


def test_a_report_covers_the_shards_of_both_streams() -> None:
    fake = Two()
    driver = Driver(fake)
    reports = [report for outcome in driver.run(25) for report in outcome.reports]

    assert sorted(reports[0]['positions']) == [f'apple/{A}', f'droid/{A}', 'droid/shardId-000000000001']


def test_a_stream_that_does_not_answer_holds_the_other_in_the_same_window() -> None:
    fake = Two()
    driver = Driver(fake)
    fake.other.fail('records', *[PassingError('ReadTimeoutError')] * 100)
    for _ in range(40):
        fake.put(A, b'a')
        driver.run(1)

    assert driver.watermarks[0].micros // 1000 == START_MS
    assert driver.states[0].cursors[0].arrival_ms < START_MS + 10_000


def test_a_stream_that_cannot_be_listed_holds_both() -> None:
    fake = Two()
    driver = Driver(fake)
    driver.run(3)
    fake.other.hidden.add(A)
    held = driver.run(40)
    fake.other.hidden.clear()
    moved = driver.run(60)

    assert {outcome.watermark_ms for outcome in held} == {START_MS}
    assert moved[-1].watermark_ms > START_MS


def test_three_readers_share_the_shards_of_both_streams() -> None:
    fake = Two()
    fake.put(A, b'a')
    fake.other.put(A, b'd')
    fake.other.put('shardId-000000000001', b'e')
    driver = Driver(fake, readers=3)

    assert sorted(data_of(driver.run(5))) == ['a', 'd', 'e']
    assert sum(len(state.cursors) for state in driver.states) == 3


@pytest.mark.parametrize('listed_late', [False, True])
def test_a_stream_that_is_deleted_meanwhile_ends_the_reader_with_the_options_that_go_on(listed_late: bool) -> None:
    fake = Two()
    fake.other.put(A, b'unread', START_MS + 25_000)
    driver = Driver(fake)
    driver.run(3)
    gone = ClientError({'Error': {'Code': 'ResourceNotFoundException'}}, 'any')
    for call in ('summary', *(() if listed_late else ('list_shards',))):
        fake.other.fail(call, *[error_of(gone, call, ARN, None) for _ in range(9)])
    fake.other.fail('records', *[ShardGone() for _ in range(9)])

    with pytest.raises(ReadError, match=f'if it was deleted, leave out --stream {ARN} and give --new_layout to go on'):
        driver.run(60)

    assert driver.states[0].window_ms == START_MS  # nothing was closed without its records
