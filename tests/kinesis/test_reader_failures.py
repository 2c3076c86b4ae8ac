"""A reader on a scripted stream through outages, throttles, expired iterators, restores and wrong clocks."""
from __future__ import annotations

import pytest

from pipeline.errors import ReadError
from pipeline.kinesis.errors import PassingError
from tests.kinesis.driver import Driver, data_of
from tests.kinesis.fake import START_MS, FakeKinesis, put_all

A, B = 'shardId-000000000000', 'shardId-000000000001'
THROTTLED = 'ProvisionedThroughputExceededException'


def test_the_watermark_does_not_move_during_an_outage() -> None:
    fake = FakeKinesis()
    driver = Driver(fake)
    driver.call()
    fake.fail('records', *[PassingError('ConnectTimeoutError')] * 500)

    outcomes = driver.run(300)

    assert {outcome.watermark_ms for outcome in outcomes} == {START_MS}
    assert not any(outcome.reports for outcome in outcomes)
    assert driver.monitor.counts['failed_calls'] >= 300 / 20


def test_an_outage_delays_windows_and_loses_nothing() -> None:
    fake = FakeKinesis()
    driver = Driver(fake)
    put_all(fake, 'before')
    before = driver.run(5)
    fake.fail('records', *[PassingError('ReadTimeoutError')] * 8)
    fake.fail('list_shards', *[PassingError('ReadTimeoutError')] * 4)
    put_all(fake, 'during')
    during = driver.run(60)
    after = driver.run(60)

    assert [data_of(outcomes) for outcomes in (before, during, after)] == [['before'], [], ['during']]
    assert {outcome.watermark_ms for outcome in [*before, *during]} == {START_MS}
    assert after[-1].watermark_ms >= fake.now_ms - 10_000 - 10_000 - 12_000


def test_throttles_in_a_row_are_followed_by_waits_of_one_to_five_seconds() -> None:
    fake = FakeKinesis()
    fake.fail('records', *[PassingError(THROTTLED)] * 5)
    put_all(fake, 'a')
    driver = Driver(fake)

    outcomes = driver.run(30)

    times = [asked.now_ms - START_MS for asked in fake.asked if asked.call == 'records'][:6]
    assert [later - earlier for earlier, later in zip(times, times[1:], strict=False)] == pytest.approx(
        [1000, 1000, 2000, 4000, 5000], abs=1000)
    assert data_of(outcomes) == ['a']
    assert driver.monitor.counts['throttles'] == 5


def test_an_iterator_that_is_known_to_be_old_is_renewed_first() -> None:
    fake = FakeKinesis()
    driver = Driver(fake)
    put_all(fake, 'a')
    driver.call()
    fake.now_ms += 280_000
    put_all(fake, 'b')

    assert data_of(driver.run(60)) == ['b']
    assert fake.calls('iterator') == [f'iterator {A} at {START_MS - 60_000}', f'iterator {A} after 1']
    assert driver.monitor.counts['expired_iterators'] == 0


@pytest.mark.parametrize('read_before', [True, False], ids=['with a sequence number', 'without one'])
def test_an_iterator_that_kinesis_refuses_as_expired_is_renewed(read_before: bool) -> None:
    fake = FakeKinesis()
    driver = Driver(fake)
    if read_before:
        put_all(fake, 'a')
    driver.call()
    fake.now_ms += 310_000
    fake.local_offset_ms = -300_000  # the local clock was set back
    put_all(fake, 'b')

    assert data_of(driver.run(60)) == ['b']
    assert driver.monitor.counts['expired_iterators'] == 1


def test_a_restore_in_another_process_an_hour_later_loses_and_repeats_nothing() -> None:
    fake = FakeKinesis()
    driver = Driver(fake)
    put_all(fake, 'a')
    first = data_of(driver.run(3))
    fake.now_ms += 3_600_000
    driver.restart()
    put_all(fake, 'b')

    assert first + data_of(driver.run(20)) == ['a', 'b']


def test_a_page_read_again_after_a_lost_checkpoint_gives_the_same_batches() -> None:
    fake = FakeKinesis()
    driver = Driver(fake)
    put_all(fake, 'a', 'b')
    checkpoint = list(driver.states)
    first = driver.call()
    driver.states = checkpoint
    driver.restart()

    assert driver.call().batches == first.batches


def test_a_window_read_by_several_processes_has_the_same_report() -> None:
    fake = FakeKinesis()
    fake.page_records = 1
    driver, twin = Driver(fake), Driver(fake)
    put_all(fake, 'a', 'b', 'c')
    fake.now_ms += 25_000
    whole = [report for outcome in driver.run(20) for report in outcome.reports]
    parts = []
    for _ in range(20):
        twin.restart()  # each call runs in another process
        parts += twin.call().reports

    for report in (*whole, *parts):  # walked_ms depends on the time of the read
        del report['positions'][f'events/{A}']['walked_ms']
    assert parts[:len(whole)] == whole[:len(parts)]
    assert whole[0]['shards'][f'events/{A}']['records'] == 3


def test_a_runner_may_checkpoint_between_any_two_outputs() -> None:
    fake = FakeKinesis(2)
    driver = Driver(fake)
    emitted = []
    for number in range(6):
        put_all(fake, f'a{number}')
        put_all(fake, f'b{number}', shard=B)
        emitted += driver.call(stop_after=1).data
        driver.restart()
        fake.sleep(1)
    emitted += data_of(driver.run(20))

    assert sorted(emitted) == sorted([f'{shard}{number}' for shard in 'ab' for number in range(6)])


@pytest.mark.parametrize('call', ['records', 'iterator', 'list_shards', 'summary'])
def test_a_permanent_error_ends_the_run_at_once(call: str) -> None:
    fake = FakeKinesis()
    fake.fail(call, ReadError('grant it'))
    driver = Driver(fake)

    with pytest.raises(ReadError, match='grant it'):
        driver.call()
    assert fake.now_ms - START_MS < 60_000


def test_a_local_clock_minutes_off_changes_only_a_counter() -> None:
    fake = FakeKinesis()
    fake.local_offset_ms = 180_000
    driver = Driver(fake)
    put_all(fake, 'a')

    outcomes = driver.run(25)

    assert data_of(outcomes) == ['a']
    assert outcomes[-1].watermark_ms == START_MS + 10_000
    assert driver.monitor.counts['clock_skew'] >= 2
