"""How often a reader asks the shards of a scripted stream, in which order, and how far it reads in one call."""
from __future__ import annotations

import dataclasses

import pytest

from pipeline.kinesis.positions import cursor_at, position_of
from tests.kinesis.driver import Driver, data_of
from tests.kinesis.fake import DAY_MS, START_MS, FakeKinesis, put_all

A = 'shardId-000000000000'


def test_a_shard_is_asked_once_a_second_at_the_tip_and_four_times_a_second_behind_it() -> None:
    fake = FakeKinesis()
    fake.page_records = 1
    put_all(fake, *map(str, range(12)))
    driver = Driver(fake)

    driver.run(3)
    behind = len(fake.calls('records'))
    driver.run(10)

    assert 11 <= behind <= 13
    assert 9 <= len(fake.calls('records')) - behind <= 11


def test_a_runner_that_ignores_delays_does_not_make_a_reader_ask_more_often() -> None:
    fake = FakeKinesis()
    driver = Driver(fake)
    for _ in range(20):
        driver.call()  # the fake fails the test at more than four a second

    assert len(fake.calls('records')) <= (fake.now_ms - START_MS) / 1000 + 1


def test_after_a_page_of_ten_mebibytes_the_shard_is_not_asked_for_five_seconds() -> None:
    fake = FakeKinesis()
    for _ in range(11):
        fake.put(A, bytes(1 << 20))
    driver = Driver(fake)

    driver.run(8)  # the fake fails the test if it is asked within these five seconds

    times = [asked.now_ms for asked in fake.asked if asked.call == 'records']
    assert times[1] - times[0] >= 5000
    assert driver.monitor.counts['records'] == 11
    assert driver.monitor.counts['throttles'] == 0


def test_hours_of_empty_pages_are_read_with_one_iterator() -> None:
    fake = FakeKinesis()
    fake.put(A, b'first')
    fake.now_ms += 20 * 3_600_000
    fake.put(A, b'last')
    fake.now_ms += 2 * 3_600_000
    fake.walk_ms = 600_000  # 120 empty pages are between the records
    driver = Driver(fake, fake.settings(flush_ms=3_600_000))

    outcomes = driver.run(90)

    assert data_of(outcomes) == ['first', 'last']
    assert driver.monitor.counts['overtaken'] == 0  # no window closes on an empty page that is not at the tip
    assert len(fake.calls('iterator')) == 1
    assert driver.monitor.counts['empty_pages'] >= 100


def test_a_long_stretch_without_records_is_not_read_again_by_the_next_run() -> None:
    fake = FakeKinesis()
    fake.retention_ms = 7 * DAY_MS
    fake.put(A, b'first')
    fake.now_ms += 5 * DAY_MS
    fake.walk_ms = 600_000
    driver = Driver(fake, fake.settings(flush_ms=3_600_000, stop_ms=START_MS + 5 * DAY_MS - 7_200_000))
    driver.run(300)
    walked = driver.monitor.counts['empty_pages']
    positions = [cursor_at(cursor.key, position_of(cursor)) for cursor in driver.states[0].cursors]

    later = Driver(fake, fake.settings(flush_ms=3_600_000, start_ms=driver.states[0].window_ms, since_ms=0,
                                       cursors=tuple(positions)))
    fake.put(A, b'last')

    assert data_of(later.run(30)) == ['last']
    assert (walked > 500, later.monitor.counts['empty_pages'] < 60) == (True, True)


@pytest.mark.parametrize('late_h', [0.5, 0.9])
def test_a_late_record_at_the_end_of_a_stretch_without_records_is_read(late_h: float) -> None:
    fake = FakeKinesis()
    fake.put(A, b'first')
    driver = Driver(fake, fake.settings(flush_ms=3_600_000))
    fake.now_ms += 10 * 3_600_000
    driver.run(30)
    fake.put(A, b'late', arrival_ms=fake.now_ms - late_h * 3_600_000)
    driver.restart()
    driver.states = [dataclasses.replace(state, cursors=tuple(
        dataclasses.replace(cursor, iterator='') for cursor in state.cursors)) for state in driver.states]

    assert data_of(driver.run(5)) == ['late']


def test_the_rest_of_a_cut_page_is_not_fetched_again_and_not_emitted_early() -> None:
    fake = FakeKinesis(2)
    fake.put(A, b'early', START_MS + 1_000)
    fake.put(A, b'next', START_MS + 11_000)
    driver = Driver(fake)
    fake.now_ms += 11_000

    before = data_of(driver.run(5))
    asked = len(fake.calls('records'))
    after = data_of(driver.run(12))

    assert before == ['early']
    assert after == ['next']
    assert fake.calls('records')[:asked].count(f'records {A}') == 1


def test_a_few_pages_are_fetched_ahead_and_none_once_the_budget_is_spent() -> None:
    fake = FakeKinesis(40)
    for shard in fake.shards:
        for _ in range(9):
            fake.put(shard, bytes(1 << 20))
    driver = Driver(fake)

    driver.call()

    # Two pages of 9 MiB spend a budget of 16 MiB. Pages requested by then are used; no other shards are asked.
    assert len(fake.calls('records')) == 9
    assert driver.monitor.counts['bytes'] == 9 * 9 << 20


def test_the_shards_that_waited_longest_are_asked_first() -> None:
    fake = FakeKinesis(20)
    fake.page_records = 4
    for shard in fake.shards:
        for _ in range(12):
            fake.put(shard, bytes(1 << 20))
    driver = Driver(fake)

    driver.call()  # asks 11 shards: four pages of 4 MiB spend the budget, and seven more were requested by then
    fake.sleep(3)  # now all of them may be asked
    driver.call()

    asked = fake.calls('records')
    assert len(asked) == 22
    assert set(asked[11:20]) == {f'records {shard}' for shard in list(fake.shards)[11:]}
