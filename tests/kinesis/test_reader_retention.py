"""A reader on a scripted stream whose retention drops records, or only seems to."""
from __future__ import annotations

import pytest

from pipeline.errors import Gap, ReadError
from tests.kinesis.driver import Driver, data_of
from tests.kinesis.fake import DAY_MS, START_MS, FakeKinesis, put_all

A = 'shardId-000000000000'


def test_a_shard_that_expired_with_unread_records_is_a_gap() -> None:
    fake = FakeKinesis()
    driver = Driver(fake)
    driver.call()
    put_all(fake, 'lost')
    fake.hidden.update(fake.split(A))
    fake.now_ms += 2 * DAY_MS

    with pytest.raises(Gap, match=f'stream events keeps only what arrived since .*, and shard {A} was read up to '
                                  '2027-01-15T08:00:00Z: .*--on_gap=skip'):
        driver.call()


def test_a_lowered_retention_is_remembered_during_an_outage() -> None:
    fake = FakeKinesis()
    fake.retention_ms = 7 * DAY_MS
    driver = Driver(fake, fake.settings(flush_ms=3_600_000))
    fake.retention_ms = DAY_MS
    for _ in range(7):
        put_all(fake, 'read')
        fake.now_ms += 600_000
        driver.run(20)
    for _ in range(30):
        put_all(fake, 'lost in part')
        fake.now_ms += 3_600_000

    with pytest.raises(Gap, match='stream events keeps only what arrived since'):
        driver.run(60)


def test_a_retention_that_is_lowered_while_a_reader_is_behind_is_a_gap() -> None:
    fake = FakeKinesis()
    fake.retention_ms = 7 * DAY_MS
    fake.page_records = 1
    for _ in range(60):
        put_all(fake, 'x')
        fake.now_ms += 3_600_000
    driver = Driver(fake, fake.settings(flush_ms=3_600_000))
    driver.run(1)
    fake.retention_ms = DAY_MS
    fake.now_ms += 400_000

    with pytest.raises(Gap):
        driver.run(60)


def test_unread_records_that_an_open_shard_dropped_are_a_gap() -> None:
    fake = FakeKinesis()
    put_all(fake, 'a')
    driver = Driver(fake)
    driver.call()
    put_all(fake, 'lost')
    fake.now_ms += 2 * DAY_MS
    put_all(fake, 'kept')

    with pytest.raises(Gap, match=A):
        driver.run(5)


def test_a_retention_that_was_raised_during_the_run_prevents_a_gap() -> None:
    fake = FakeKinesis()
    driver = Driver(fake)
    driver.call()
    fake.retention_ms = 7 * DAY_MS
    put_all(fake, 'kept')
    fake.now_ms += 2 * DAY_MS

    assert data_of(driver.run(5)) == ['kept']


def test_a_retention_that_was_lowered_during_the_run_is_a_gap() -> None:
    fake = FakeKinesis()
    fake.retention_ms = 7 * DAY_MS
    driver = Driver(fake)
    driver.call()
    fake.retention_ms = DAY_MS
    put_all(fake, 'lost')
    fake.now_ms += 2 * DAY_MS

    with pytest.raises(Gap, match=A):
        driver.run(5)


def test_an_idle_stream_older_than_its_retention_has_no_gap() -> None:
    fake = FakeKinesis()
    fake.now_ms += 30 * DAY_MS
    settings = fake.settings(start_ms=START_MS + 30 * DAY_MS - 60_000, since_ms=START_MS + 30 * DAY_MS - 60_000)
    driver = Driver(fake, settings)

    driver.run(60)

    assert driver.watermarks[0].micros // 1000 > START_MS + 30 * DAY_MS


def test_a_stream_that_was_deleted_and_created_again_ends_the_run() -> None:
    fake = FakeKinesis(2)
    driver = Driver(fake)
    driver.run(5)
    fake.now_ms += 600_000
    fake.make_again()

    with pytest.raises(ReadError, match='stream events was created at 2027-01-15T08:10:0.*Z, not 2027-01-15T08:00:00Z'):
        driver.run(5)
