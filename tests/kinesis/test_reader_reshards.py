"""A reader on a scripted stream whose shards are split, merged and closed."""
from __future__ import annotations

import dataclasses

import pytest

from pipeline.kinesis.api import Page, ShardInfo
from pipeline.kinesis.errors import PassingError, ShardGone
from tests.kinesis.driver import Driver, data_of
from tests.kinesis.fake import START_MS, FakeKinesis, put_all

A, B, C = 'shardId-000000000000', 'shardId-000000000001', 'shardId-000000000002'


def test_a_closed_shard_is_read_to_its_end_and_its_children_from_their_beginning() -> None:
    fake = FakeKinesis()
    put_all(fake, 'a')
    fake.now_ms += 1000
    left, right = fake.split(A)
    put_all(fake, 'b', shard=left)
    put_all(fake, 'c', shard=right)
    driver = Driver(fake, fake.settings(since_ms=0))

    assert sorted(data_of(driver.run(5))) == ['a', 'b', 'c']
    assert [cursor.closed for cursor in driver.states[0].cursors] == [True, False, False]


def test_the_last_page_of_a_closed_shard_is_emitted_although_it_has_no_iterator() -> None:
    fake = FakeKinesis()
    driver = Driver(fake)
    driver.call()
    put_all(fake, 'last')
    fake.split(A)

    assert data_of(driver.run(3)) == ['last']
    assert driver.states[0].cursors[0].closed


def test_a_closed_shard_whose_last_page_is_cut_is_closed_when_the_rest_is_emitted() -> None:
    fake = FakeKinesis()
    fake.put(A, b'a', START_MS + 1)
    fake.put(A, b'b', START_MS + 10_001)
    fake.now_ms += 11_000
    fake.split(A)
    driver = Driver(fake)

    assert data_of(driver.run(5)) == ['a']
    assert not driver.states[0].cursors[0].closed
    driver.restart()
    assert data_of(driver.run(20)) == ['b']
    assert driver.states[0].cursors[0].closed


def test_shards_of_reshards_during_a_pause_are_each_read_once() -> None:
    fake = FakeKinesis()
    driver = Driver(fake)
    put_all(fake, 'a')
    driver.run(3)
    left, right = fake.split(A)
    put_all(fake, 'b', shard=left)
    merged = fake.merge(left, right)
    put_all(fake, 'c', shard=merged)
    fake.now_ms += 600_000
    for child in fake.split(merged):
        put_all(fake, f'd{child[-1]}', shard=child)
    driver.restart()

    assert data_of(driver.run(60)) == ['b', 'c', 'd4', 'd5']


def test_no_window_closes_before_the_early_records_of_children() -> None:
    fake = FakeKinesis()
    driver = Driver(fake)
    driver.run(9)
    left, _ = fake.split(A)
    fake.put(left, b'early', START_MS + 9_000)
    outcomes = driver.run(20)

    closed = [report for outcome in outcomes for report in outcome.reports][0]
    assert closed['shards'][f'events/{left}']['records'] == 1
    assert driver.monitor.counts['overtaken'] == 0


def test_an_incomplete_listing_during_a_reshard_is_not_used() -> None:
    fake = FakeKinesis()
    driver = Driver(fake)
    driver.run(5)
    fake.hidden.update(fake.split(A))  # the parent is closed, and no child is listed yet

    held = driver.run(60)
    fake.hidden.clear()
    moved = driver.run(60)

    assert {outcome.watermark_ms for outcome in held} == {START_MS}
    assert moved[-1].watermark_ms > START_MS + 80_000
    assert driver.monitor.counts['unfinished_listings'] >= 3


def test_a_listing_whose_token_expires_is_repeated() -> None:
    fake = FakeKinesis()
    fake.fail('list_shards', PassingError('ExpiredNextTokenException'))
    put_all(fake, 'a')
    driver = Driver(fake)

    assert data_of(driver.run(3)) == ['a']
    assert fake.calls('list_shards') == ['list_shards'] * 2


def test_a_shard_that_closes_without_a_record_is_closed() -> None:
    fake = FakeKinesis()
    driver = Driver(fake)
    driver.run(3)
    fake.split(A)

    driver.run(3)

    assert driver.states[0].cursors[0].closed


def test_a_shard_that_expired_during_a_pause_is_closed_if_all_its_windows_were_read() -> None:
    fake = FakeKinesis()
    driver = Driver(fake)
    put_all(fake, 'a')
    driver.run(40)
    fake.split(A)
    driver.run(30)  # A is read to its end; the state below does not know it yet
    fake.shards.pop(A)
    state = driver.states[0]
    cursors = tuple(c if c.shard != A else type(c)(c.stream, c.shard, c.since_ms, c.sequence, c.arrival_ms)
                    for c in state.cursors)
    driver.states[0] = dataclasses.replace(state, listed_ms=0, cursors=cursors)
    driver.restart()

    driver.run(5)

    assert driver.states[0].cursors[0].closed
    assert driver.monitor.counts['gone_shards'] == 1


@pytest.mark.parametrize('call', ['iterator', 'records'])
def test_a_single_answer_that_an_open_shard_is_gone_does_not_close_it(call: str) -> None:
    fake = FakeKinesis()
    put_all(fake, 'a', 'b')
    fake.fail(call, ShardGone(), shard=A)
    driver = Driver(fake)

    outcomes = driver.run(30)

    assert data_of(outcomes) == ['a', 'b']
    assert (driver.monitor.counts['gone_shards'], driver.monitor.counts['failed_calls']) == (0, 1)
    assert [report['shards'][f'events/{A}']['records'] for outcome in outcomes for report in outcome.reports] == [2]


def test_an_open_shard_is_read_on_after_an_answer_without_an_iterator() -> None:
    class Odd(FakeKinesis):
        def records(self, stream: str, shard: str, iterator: str) -> Page:
            page = super().records(stream, shard, iterator)
            return page._replace(next_iterator=None) if self.now_ms < START_MS + 2000 else page

    fake = Odd()
    put_all(fake, 'a')
    driver = Driver(fake)
    first = driver.run(3)
    put_all(fake, 'b')

    assert data_of(first) + data_of(driver.run(40)) == ['a', 'b']
    assert driver.monitor.counts['overtaken'] == 0


def test_a_closed_shard_is_not_behind() -> None:
    class Lagging(FakeKinesis):
        def records(self, stream: str, shard: str, iterator: str) -> Page:
            page = super().records(stream, shard, iterator)
            return page if page.next_iterator else page._replace(behind_ms=4_358_000)  # as AWS answers at its end

    fake = Lagging()
    put_all(fake, 'a')
    driver = Driver(fake)
    driver.run(3)
    fake.split(A)

    driver.run(30)

    assert driver.monitor.behind_ms == {f'events/{shard}': 0 for shard in (A, B, C)}


def test_no_window_closes_before_a_listing_made_the_slack_after_its_end() -> None:
    class Stale(FakeKinesis):
        """Lists what was there five seconds ago, with the time of now."""

        def list_shards(self, stream: str) -> tuple[list[ShardInfo], int]:
            found, listed_ms = super().list_shards(stream)
            made = {shard.shard for shard in self.shards.values() if shard.created_ms > self.now_ms - 5000}
            ended = {shard.shard for shard in self.shards.values() if (shard.closed_ms or 0) > self.now_ms - 5000}
            return [shard._replace(is_open=shard.is_open or shard.shard in ended) for shard in found
                    if shard.shard not in made], listed_ms

    for split_s in range(8, 14):
        fake = Stale()
        driver = Driver(fake)
        put_all(fake, 'a')
        first = driver.run(split_s - 0.5)
        left, _ = fake.split(A)
        put_all(fake, 'b', shard=left)

        data = data_of(first) + data_of(driver.run(40))

        assert (data, driver.monitor.counts['overtaken']) == (['a', 'b'], 0)
