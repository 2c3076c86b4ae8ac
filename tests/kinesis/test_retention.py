"""Which records retention dropped before they were read, and which it only seems to have dropped."""
from __future__ import annotations

import pytest

from pipeline.errors import Gap, ReadError
from pipeline.kinesis.errors import PassingError
from pipeline.kinesis.positions import Cursor
from pipeline.kinesis.rate_limiter import RateLimiter
from pipeline.kinesis.retention import REFRESH_S, Retention
from tests.kinesis.fake import DAY_MS, START_MS, FakeKinesis

CURSOR = Cursor('events', 'shardId-000000000000', START_MS, '1')


def retention_of(fake: FakeKinesis) -> Retention:
    return Retention(fake.settings(), fake, RateLimiter(fake.clock), 'retention')


def test_a_stream_younger_than_its_retention_has_dropped_nothing() -> None:
    fake = FakeKinesis()
    fake.now_ms += DAY_MS

    retention_of(fake).check(CURSOR, START_MS - DAY_MS, int(fake.now_ms))

    assert fake.asked == []


@pytest.mark.parametrize('reached', [
    Cursor('events', 'a', arrival_ms=START_MS + 5000), Cursor('events', 'a', passed_ms=START_MS + 5000),
    Cursor('events', 'a', walked_ms=START_MS + 5000), Cursor('events', 'a', closed=True)],
    ids=['a record', 'an empty read at the tip', 'a walk through empty pages', 'closed'])
def test_a_shard_that_was_read_up_to_the_horizon_has_no_gap(reached: Cursor) -> None:
    fake = FakeKinesis()

    retention_of(fake).check(reached, START_MS, START_MS + 5000 + DAY_MS)

    assert fake.asked == []


def test_a_gap_is_raised_by_the_current_retention() -> None:
    fake = FakeKinesis()
    fake.now_ms += DAY_MS + 5001
    retention = retention_of(fake)

    with pytest.raises(Gap) as error:
        retention.check(CURSOR, START_MS, int(fake.now_ms))

    assert str(error.value) == (
        'stream events keeps only what arrived since 2027-01-15T08:00:05Z, and shard shardId-000000000000 was read up '
        'to 2027-01-15T08:00:00Z: what arrived between is lost, in part or whole; --on_gap=skip goes on after it')
    fake.retention_ms = 2 * DAY_MS
    retention.check(CURSOR, START_MS, int(fake.now_ms))


def test_a_raised_retention_is_remembered() -> None:
    fake = FakeKinesis()
    fake.retention_ms, fake.now_ms = 2 * DAY_MS, fake.now_ms + DAY_MS + 5000
    retention = Retention(FakeKinesis().settings(), fake, RateLimiter(fake.clock), 'retention')

    for _ in range(3):
        retention.check(CURSOR, START_MS, int(fake.now_ms))

    assert fake.calls('summary') == ['summary']


def test_the_stream_is_asked_if_a_shard_is_gone() -> None:
    fake = FakeKinesis()
    retention_of(fake).check(CURSOR, START_MS)
    fake.now_ms += 2 * DAY_MS

    with pytest.raises(Gap):
        retention_of(fake).check(CURSOR, START_MS)


def test_a_stream_that_was_created_again_is_refused() -> None:
    fake = FakeKinesis()
    retention = retention_of(fake)
    fake.now_ms += 1000
    fake.make_again()

    with pytest.raises(ReadError, match='stream events was created at 2027-01-15T08:00:01Z, not 2027-01-15T08:00:00Z: '
                                        'it was deleted and made again; start over with --start=earliest --start_over'):
        retention.check(CURSOR, START_MS)


def test_retention_is_refreshed_every_five_minutes_and_soon_after_a_failure() -> None:
    fake = FakeKinesis()
    retention = retention_of(fake)
    fake.fail('summary', PassingError('ThrottlingException'))
    for _ in range(2 * int(REFRESH_S)):
        retention.refresh_if_due()
        fake.sleep(1)

    times = [(asked.now_ms - START_MS) / 1000 for asked in fake.asked]
    assert times == [0, 1, 1 + REFRESH_S]
