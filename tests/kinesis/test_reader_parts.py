"""The parts of a shard are as large as its share of the hash range, whenever and from whatever a reader goes on."""
from __future__ import annotations

import pytest

from pipeline.kinesis.errors import PassingError
from pipeline.kinesis.positions import cursor_at, position_of
from pipeline.kinesis.shards import HASH_RANGE
from tests.kinesis.driver import Driver, Outcome, data_of
from tests.kinesis.fake import START_MS, FakeKinesis

A, B = 'shardId-000000000000', 'shardId-000000000001'
MIB = 1 << 20


def narrow(mib: int) -> FakeKinesis:
    """Return a stream whose shard A may gather so many MiB; B has the rest of the hash range."""
    fake = FakeKinesis(2)
    fake.shards[A].last_hash = HASH_RANGE * mib // 2048 - 1
    fake.shards[B].first_hash = HASH_RANGE * mib // 2048
    return fake


def put(fake: FakeKinesis, count: int, shard: str = A) -> None:
    for _ in range(count):
        fake.put(shard, bytes(MIB))


def parts(outcomes: list[Outcome], shard: str = A) -> list[int]:
    """Return the part of each record of a shard."""
    return [batch.part for outcome in outcomes for batch in outcome.batches if batch.shard == shard
            for _ in batch.records]


def test_a_narrow_shard_has_small_parts_and_a_wide_one_those_of_the_options() -> None:
    fake = narrow(2)
    for shard in (A, B):
        put(fake, 5, shard)

    outcomes = Driver(fake).run(3)

    assert (parts(outcomes), parts(outcomes, B)) == ([0, 0, 1, 1, 2], [0] * 5)


def test_parts_go_on_in_a_new_process_that_cannot_list_the_shards() -> None:
    fake = narrow(2)
    put(fake, 3)
    driver = Driver(fake)
    before = driver.run(3)
    put(fake, 3)
    driver.restart()
    fake.fail('list_shards', *[PassingError('LimitExceededException')] * 50)

    assert parts(before + driver.run(5)) == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize('closed', [False, True])
def test_a_run_that_resumes_reads_nothing_before_a_listing_has_shown_the_parts(closed: bool) -> None:
    fake = narrow(2)
    put(fake, 1)
    first = Driver(fake)
    first.run(3)
    positions = [cursor_at(cursor.key, position_of(cursor)) for cursor in first.states[0].cursors]
    put(fake, 4)
    if closed:
        fake.split(A)
    fake.fail('list_shards', *[PassingError('LimitExceededException')] * 3)
    asked = len(fake.calls('records'))

    driver = Driver(fake, fake.settings(start_ms=START_MS, since_ms=0, cursors=tuple(positions)))
    outcomes = [driver.call()]
    assert len(fake.calls('records')) == asked
    outcomes += driver.run(15)

    assert parts(outcomes) == [0, 0, 1, 1]
    assert driver.monitor.counts['throttles'] == 3


def test_records_of_a_shard_that_listings_do_not_show_wait_for_one_that_does() -> None:
    fake = narrow(2)
    put(fake, 1)
    first = Driver(fake)
    first.run(3)
    positions = [cursor_at(cursor.key, position_of(cursor)) for cursor in first.states[0].cursors]
    put(fake, 4)
    fake.split(A)
    fake.hidden.add(A)

    driver = Driver(fake, fake.settings(start_ms=START_MS, since_ms=0, cursors=tuple(positions)))
    hidden = driver.run(60)
    fake.hidden.clear()

    assert (data_of(hidden), {outcome.watermark_ms for outcome in hidden}) == ([], {START_MS})
    assert driver.monitor.counts['failed_calls'] > 10
    assert parts(driver.run(15)) == [0, 0, 1, 1]


def test_a_shard_that_listings_do_not_show_and_that_is_read_to_its_end_holds_nothing_up() -> None:
    fake = narrow(2)
    put(fake, 1)
    first = Driver(fake)
    first.run(3)
    positions = [cursor_at(cursor.key, position_of(cursor)) for cursor in first.states[0].cursors]
    fake.split(A)
    fake.hidden.add(A)

    driver = Driver(fake, fake.settings(start_ms=START_MS, since_ms=0, cursors=tuple(positions)))
    outcomes = driver.run(60)

    assert (data_of(outcomes), driver.monitor.counts['failed_calls']) == ([], 0)
    assert outcomes[-1].watermark_ms > START_MS
