"""A reader on a scripted stream: exact sequences of what it asks, emits, closes and holds back."""
from __future__ import annotations

import dataclasses

import pytest

from pipeline.errors import Gap, ReadError
from pipeline.kinesis.api import Page, ShardInfo
from pipeline.kinesis.errors import PassingError, ShardGone
from pipeline.kinesis.positions import cursor_at, position_of
from tests.kinesis.driver import Driver, data_of
from tests.kinesis.fake import DAY_MS, START_MS, FakeKinesis

A, B, C = 'shardId-000000000000', 'shardId-000000000001', 'shardId-000000000002'
THROTTLED = 'ProvisionedThroughputExceededException'


def put(fake: FakeKinesis, *data: str, shard: str = A) -> None:
    for each in data:
        fake.put(shard, each.encode())


def test_a_record_is_emitted_at_once_and_its_window_closed_after_the_slack() -> None:
    fake = FakeKinesis()
    driver = Driver(fake)
    put(fake, 'a', 'b')

    first = driver.call()
    until_closed = driver.run(21)

    assert first.data == ['a', 'b']
    assert (first.reports, first.watermark_ms) == ([], START_MS)
    assert [report for outcome in until_closed for report in outcome.reports] == [{
        'row': 'reader', 'reader': 0, 'readers': 1,
        'shards': {f'events/{A}': {'records': 2, 'bytes': 2, 'first': '1', 'last': '2'}},
        'positions': {f'events/{A}': {'sequence': '2', 'since_ms': START_MS, 'arrival_ms': START_MS,
                                      'walked_ms': START_MS + 20_000, 'open': True}}}]
    assert until_closed[-1].watermark_ms == START_MS + 10_000
    # Window end + slack is at 20 s: nothing closes before an empty read and a listing of that second.
    assert fake.now_ms - START_MS >= 20_000


def test_the_watermark_is_seeded_by_the_first_call() -> None:
    driver = Driver(FakeKinesis())

    assert driver.call().watermark_ms == START_MS


def test_an_idle_reader_asks_for_two_seconds_and_a_busy_one_for_none() -> None:
    fake = FakeKinesis()
    driver = Driver(fake)
    put(fake, 'a')

    busy, idle = driver.call(), driver.call()

    assert busy.delay_s == 0
    assert idle.delay_s is not None and 1 < idle.delay_s <= 2


def test_a_call_returns_after_about_a_second_whatever_it_reads() -> None:
    fake = FakeKinesis()
    driver = Driver(fake)
    for _ in range(5):
        put(fake, 'a')
        before = fake.now_ms
        driver.call()

        assert fake.now_ms - before <= 1000


def test_a_shard_is_asked_once_a_second_at_the_tip_and_four_times_behind() -> None:
    fake = FakeKinesis()
    fake.page_records = 1
    put(fake, *map(str, range(12)))
    driver = Driver(fake)

    driver.run(3)
    behind = len(fake.calls('records'))
    driver.run(10)

    assert 11 <= behind <= 13
    assert 9 <= len(fake.calls('records')) - behind <= 11


def test_a_runner_that_ignores_delays_and_makes_readers_anew_does_not_ask_more_often() -> None:
    fake = FakeKinesis()
    driver = Driver(fake)
    for _ in range(20):
        driver.call()  # the fake refuses more than four a second

    assert len(fake.calls('records')) <= (fake.now_ms - START_MS) / 1000 + 1


def test_a_page_is_cut_at_the_window_and_its_rest_neither_asked_again_nor_emitted_early() -> None:
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


def test_the_rest_of_a_page_belongs_to_its_windows_however_late_it_is_read() -> None:
    fake = FakeKinesis()
    for window in range(3):
        for _ in range(2):
            fake.put(A, bytes(6), START_MS + 10_000 * window)
    fake.now_ms += 600_000
    driver = Driver(fake, fake.settings(flush_bytes=6))

    batches = [batch for outcome in driver.run(5) for batch in outcome.batches]

    assert [((batch.window_ms - START_MS) // 10_000, batch.part, len(batch.records)) for batch in batches] == [
        (window, part, 1) for window in range(3) for part in range(2)]
    assert driver.monitor.counts['overtaken'] == 0


def test_a_slow_shard_holds_the_others_within_its_window() -> None:
    fake = FakeKinesis(2)
    driver = Driver(fake)
    for second in range(0, 60, 5):
        fake.put(A, f'{second}'.encode(), START_MS + 1000 * second)
    fake.now_ms += 80_000
    fake.fail('records', *[PassingError('InternalFailure')] * 5, shard=B)

    held = driver.run(8)
    rest = driver.run(30)

    assert data_of(held) == ['0', '5']
    assert {outcome.watermark_ms for outcome in held} == {START_MS}
    assert data_of(rest) == [f'{second}' for second in range(10, 60, 5)]


def test_an_idle_shard_beside_a_busy_one_does_not_hold_the_watermark() -> None:
    fake = FakeKinesis(2)
    driver = Driver(fake)
    for _ in range(30):
        fake.put(A, b'a')
        driver.run(1)

    assert driver.watermarks[0].micros // 1000 == START_MS + 10_000
    assert not driver.states[0].cursors[1].sequence


def test_the_watermark_never_moves_by_a_clock_alone() -> None:
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
    put(fake, 'before')
    before = driver.run(5)
    fake.fail('records', *[PassingError('ReadTimeoutError')] * 8)
    fake.fail('list_shards', *[PassingError('ReadTimeoutError')] * 4)
    put(fake, 'during')
    during = driver.run(60)
    after = driver.run(60)

    assert [data_of(outcomes) for outcomes in (before, during, after)] == [['before'], [], ['during']]
    assert {outcome.watermark_ms for outcome in [*before, *during]} == {START_MS}
    assert after[-1].watermark_ms >= fake.now_ms - 10_000 - 10_000 - 12_000


def test_a_burst_of_throttles_is_backed_off_from_by_one_to_five_seconds() -> None:
    fake = FakeKinesis()
    fake.fail('records', *[PassingError(THROTTLED)] * 5)
    put(fake, 'a')
    driver = Driver(fake)

    outcomes = driver.run(30)

    times = [asked.now_ms - START_MS for asked in fake.asked if asked.call == 'records'][:6]
    assert [later - earlier for earlier, later in zip(times, times[1:], strict=False)] == pytest.approx(
        [1000, 1000, 2000, 4000, 5000], abs=1000)
    assert data_of(outcomes) == ['a']
    assert driver.monitor.counts['throttles'] == 5


def test_after_a_page_of_ten_mebibytes_kinesis_is_left_alone_for_five_seconds() -> None:
    fake = FakeKinesis()
    for _ in range(11):
        fake.put(A, bytes(1 << 20))
    driver = Driver(fake)

    driver.run(8)  # the fake refuses to be asked within these five seconds

    times = [asked.now_ms for asked in fake.asked if asked.call == 'records']
    assert times[1] - times[0] >= 5000
    assert driver.monitor.counts['records'] == 11
    assert driver.monitor.counts['throttles'] == 0


def test_hours_of_empty_pages_are_walked_through_by_one_iterator() -> None:
    fake = FakeKinesis()
    fake.put(A, b'first')
    fake.now_ms += 20 * 3_600_000
    fake.put(A, b'last')
    fake.now_ms += 2 * 3_600_000
    fake.walk_ms = 600_000  # 120 empty pages lie between
    driver = Driver(fake, fake.settings(flush_ms=3_600_000))

    outcomes = driver.run(90)

    assert data_of(outcomes) == ['first', 'last']
    assert driver.monitor.counts['overtaken'] == 0  # no window closes on an empty page that is not at the tip
    assert len(fake.calls('iterator')) == 1
    assert driver.monitor.counts['empty_pages'] >= 100


def test_a_long_stretch_without_records_is_walked_through_once_however_often_a_run_goes_on() -> None:
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
def test_what_turns_up_late_at_the_end_of_such_a_stretch_is_not_walked_past(late_h: float) -> None:
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


def test_an_iterator_that_is_known_to_be_old_is_not_used() -> None:
    fake = FakeKinesis()
    driver = Driver(fake)
    put(fake, 'a')
    driver.call()
    fake.now_ms += 280_000
    put(fake, 'b')

    assert data_of(driver.run(60)) == ['b']
    assert fake.calls('iterator') == [f'iterator {A} at {START_MS - 60_000}', f'iterator {A} after 1']
    assert driver.monitor.counts['expired_iterators'] == 0


@pytest.mark.parametrize('read_before', [True, False], ids=['with a sequence number', 'without one'])
def test_an_iterator_that_expired_unnoticed_is_renewed(read_before: bool) -> None:
    fake = FakeKinesis()
    driver = Driver(fake)
    if read_before:
        put(fake, 'a')
    driver.call()
    fake.now_ms += 310_000
    fake.local_offset_ms = -300_000  # the local clock was set back meanwhile
    put(fake, 'b')

    assert data_of(driver.run(60)) == ['b']
    assert driver.monitor.counts['expired_iterators'] == 1


def test_a_restore_in_another_process_much_later_loses_nothing_and_repeats_nothing() -> None:
    fake = FakeKinesis()
    driver = Driver(fake)
    put(fake, 'a')
    first = data_of(driver.run(3))
    fake.now_ms += 3_600_000
    driver.restart()
    put(fake, 'b')

    assert first + data_of(driver.run(20)) == ['a', 'b']


def test_a_page_read_again_after_a_lost_checkpoint_gives_the_same_batches() -> None:
    fake = FakeKinesis()
    driver = Driver(fake)
    put(fake, 'a', 'b')
    checkpoint = list(driver.states)
    first = driver.call()
    driver.states = checkpoint
    driver.restart()

    assert driver.call().batches == first.batches


def test_a_window_read_again_from_its_middle_gives_the_same_account() -> None:
    fake = FakeKinesis()
    fake.page_records = 1
    driver, twin = Driver(fake), Driver(fake)
    put(fake, 'a', 'b', 'c')
    fake.now_ms += 25_000
    whole = [report for outcome in driver.run(20) for report in outcome.reports]
    parts = []
    for _ in range(20):
        twin.restart()  # every page by another process
        parts += twin.call().reports

    for report in (*whole, *parts):  # how far a walk came depends on when it was taken
        del report['positions'][f'events/{A}']['walked_ms']
    assert parts[:len(whole)] == whole[:len(parts)]
    assert whole[0]['shards'][f'events/{A}']['records'] == 3


def test_a_runner_may_checkpoint_between_any_two_outputs() -> None:
    fake = FakeKinesis(2)
    driver = Driver(fake)
    emitted = []
    for number in range(6):
        put(fake, f'a{number}')
        put(fake, f'b{number}', shard=B)
        emitted += driver.call(stop_after=1).data
        driver.restart()
        fake.sleep(1)
    emitted += data_of(driver.run(20))

    assert sorted(emitted) == sorted([f'{shard}{number}' for shard in 'ab' for number in range(6)])


def test_a_closed_shard_with_a_backlog_is_read_out_and_its_children_from_their_beginning() -> None:
    fake = FakeKinesis()
    put(fake, 'a')
    fake.now_ms += 1000
    left, right = fake.split(A)
    put(fake, 'b', shard=left)
    put(fake, 'c', shard=right)
    driver = Driver(fake, fake.settings(since_ms=0))

    assert sorted(data_of(driver.run(5))) == ['a', 'b', 'c']
    assert [cursor.closed for cursor in driver.states[0].cursors] == [True, False, False]


def test_the_last_page_of_a_closed_shard_is_emitted_though_its_iterator_is_null() -> None:
    fake = FakeKinesis()
    driver = Driver(fake)
    driver.call()
    put(fake, 'last')
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


def test_children_of_a_split_and_a_merge_and_a_split_while_away_are_each_read_once() -> None:
    fake = FakeKinesis()
    driver = Driver(fake)
    put(fake, 'a')
    driver.run(3)
    left, right = fake.split(A)
    put(fake, 'b', shard=left)
    merged = fake.merge(left, right)
    put(fake, 'c', shard=merged)
    fake.now_ms += 600_000
    for child in fake.split(merged):
        put(fake, f'd{child[-1]}', shard=child)
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


def test_a_listing_in_the_middle_of_a_reshard_is_not_used() -> None:
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


def test_a_listing_whose_token_expires_is_made_anew() -> None:
    fake = FakeKinesis()
    fake.fail('list_shards', PassingError('ExpiredNextTokenException'))
    put(fake, 'a')
    driver = Driver(fake)

    assert data_of(driver.run(3)) == ['a']
    assert fake.calls('list_shards') == ['list_shards'] * 2


def test_an_empty_shard_that_closes_without_a_record_is_done() -> None:
    fake = FakeKinesis()
    driver = Driver(fake)
    driver.run(3)
    fake.split(A)

    driver.run(3)

    assert driver.states[0].cursors[0].closed


def test_a_shard_that_expired_while_away_is_closed_if_all_its_windows_were_read() -> None:
    fake = FakeKinesis()
    driver = Driver(fake)
    put(fake, 'a')
    driver.run(40)
    fake.split(A)
    driver.run(30)  # A is read out; forget that it was, as an older checkpoint would
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
def test_one_answer_that_an_open_shard_is_gone_closes_nothing(call: str) -> None:
    fake = FakeKinesis()
    put(fake, 'a', 'b')
    fake.fail(call, ShardGone(), shard=A)
    driver = Driver(fake)

    outcomes = driver.run(30)

    assert data_of(outcomes) == ['a', 'b']
    assert (driver.monitor.counts['gone_shards'], driver.monitor.counts['failed_calls']) == (0, 1)
    assert [report['shards'][f'events/{A}']['records'] for outcome in outcomes for report in outcome.reports] == [2]


def test_an_open_shard_whose_answer_lacks_an_iterator_is_read_on() -> None:
    class Odd(FakeKinesis):
        def records(self, stream: str, shard: str, iterator: str) -> Page:
            page = super().records(stream, shard, iterator)
            return page._replace(next_iterator=None) if self.now_ms < START_MS + 2000 else page

    fake = Odd()
    put(fake, 'a')
    driver = Driver(fake)
    first = driver.run(3)
    put(fake, 'b')

    assert data_of(first) + data_of(driver.run(40)) == ['a', 'b']
    assert driver.monitor.counts['overtaken'] == 0


def test_a_shard_that_expired_with_records_unread_is_a_gap() -> None:
    fake = FakeKinesis()
    driver = Driver(fake)
    driver.call()
    put(fake, 'lost')
    fake.hidden.update(fake.split(A))
    fake.now_ms += 2 * DAY_MS

    with pytest.raises(Gap, match=f'stream events keeps only what arrived since .*, and shard {A} was read up to '
                                  '2027-01-15T08:00:00Z: .*--on_gap=skip'):
        driver.call()


def test_a_retention_that_was_lowered_is_not_forgotten_when_an_outage_comes() -> None:
    fake = FakeKinesis()
    fake.retention_ms = 7 * DAY_MS
    driver = Driver(fake, fake.settings(flush_ms=3_600_000))
    fake.retention_ms = DAY_MS
    for _ in range(7):
        put(fake, 'read')
        fake.now_ms += 600_000
        driver.run(20)
    for _ in range(30):
        put(fake, 'lost in part')
        fake.now_ms += 3_600_000

    with pytest.raises(Gap, match='stream events keeps only what arrived since'):
        driver.run(60)


def test_a_retention_that_is_lowered_while_reading_is_behind_is_noticed() -> None:
    fake = FakeKinesis()
    fake.retention_ms = 7 * DAY_MS
    fake.page_records = 1
    for _ in range(60):
        put(fake, 'x')
        fake.now_ms += 3_600_000
    driver = Driver(fake, fake.settings(flush_ms=3_600_000))
    driver.run(1)
    fake.retention_ms = DAY_MS
    fake.now_ms += 400_000

    with pytest.raises(Gap):
        driver.run(60)


def test_a_closed_shard_is_behind_of_nothing() -> None:
    class Lagging(FakeKinesis):
        def records(self, stream: str, shard: str, iterator: str) -> Page:
            page = super().records(stream, shard, iterator)
            return page if page.next_iterator else page._replace(behind_ms=4_358_000)  # as AWS says of its end

    fake = Lagging()
    put(fake, 'a')
    driver = Driver(fake)
    driver.run(3)
    fake.split(A)

    driver.run(30)

    assert driver.monitor.behind_ms == {f'events/{shard}': 0 for shard in (A, B, C)}


def test_no_window_closes_before_a_listing_that_is_the_slack_past_its_end() -> None:
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
        put(fake, 'a')
        first = driver.run(split_s - 0.5)
        left, _ = fake.split(A)
        put(fake, 'b', shard=left)

        data = data_of(first) + data_of(driver.run(40))

        assert (data, driver.monitor.counts['overtaken']) == (['a', 'b'], 0)


def test_records_trimmed_from_an_open_shard_are_a_gap() -> None:
    fake = FakeKinesis()
    put(fake, 'a')
    driver = Driver(fake)
    driver.call()
    put(fake, 'lost')
    fake.now_ms += 2 * DAY_MS
    put(fake, 'kept')

    with pytest.raises(Gap, match=A):
        driver.run(5)


def test_retention_that_was_raised_meanwhile_is_asked_for_before_a_gap_is_declared() -> None:
    fake = FakeKinesis()
    driver = Driver(fake)
    driver.call()
    fake.retention_ms = 7 * DAY_MS
    put(fake, 'kept')
    fake.now_ms += 2 * DAY_MS

    assert data_of(driver.run(5)) == ['kept']


def test_retention_that_was_lowered_meanwhile_is_noticed() -> None:
    fake = FakeKinesis()
    fake.retention_ms = 7 * DAY_MS
    driver = Driver(fake)
    driver.call()
    fake.retention_ms = DAY_MS
    put(fake, 'lost')
    fake.now_ms += 2 * DAY_MS

    with pytest.raises(Gap, match=A):
        driver.run(5)


def test_an_idle_stream_older_than_its_retention_is_no_gap() -> None:
    fake = FakeKinesis()
    fake.now_ms += 30 * DAY_MS
    settings = fake.settings(start_ms=START_MS + 30 * DAY_MS - 60_000, since_ms=START_MS + 30 * DAY_MS - 60_000)
    driver = Driver(fake, settings)

    driver.run(60)

    assert driver.watermarks[0].micros // 1000 > START_MS + 30 * DAY_MS


def test_a_stream_deleted_and_made_again_ends_the_run() -> None:
    fake = FakeKinesis(2)
    driver = Driver(fake)
    driver.run(5)
    fake.now_ms += 600_000
    fake.make_again()

    with pytest.raises(ReadError, match='stream events was created at 2027-01-15T08:10:0.*Z, not 2027-01-15T08:00:00Z'):
        driver.run(5)


@pytest.mark.parametrize('call', ['records', 'iterator', 'list_shards', 'summary'])
def test_a_permanent_error_ends_the_run_at_once(call: str) -> None:
    fake = FakeKinesis()
    fake.fail(call, ReadError('grant it'))
    driver = Driver(fake)

    with pytest.raises(ReadError, match='grant it'):
        driver.call()
    assert fake.now_ms - START_MS < 60_000


def test_a_record_visible_later_than_the_slack_goes_to_the_open_window_and_is_counted() -> None:
    fake = FakeKinesis()
    driver = Driver(fake)
    fake.now_ms += 5000
    fake.put(A, b'late', delay_ms=60_000)

    outcomes = driver.run(90)

    (batch,) = [batch for outcome in outcomes for batch in outcome.batches]
    assert batch.window_ms > START_MS
    assert driver.monitor.counts['overtaken'] == 1


def test_a_local_clock_minutes_off_changes_nothing_but_a_count() -> None:
    fake = FakeKinesis()
    fake.local_offset_ms = 180_000
    driver = Driver(fake)
    put(fake, 'a')

    outcomes = driver.run(25)

    assert data_of(outcomes) == ['a']
    assert outcomes[-1].watermark_ms == START_MS + 10_000
    assert driver.monitor.counts['clock_skew'] >= 2


def test_a_bounded_run_ends_at_its_stop_and_reads_nothing_beyond() -> None:
    fake = FakeKinesis()
    fake.put(A, b'in', START_MS + 1)
    fake.put(A, b'out', START_MS + 20_000)
    fake.now_ms += 40_000
    driver = Driver(fake, fake.settings(stop_ms=START_MS + 20_000))

    outcomes = driver.run(60)

    assert data_of(outcomes) == ['in']
    assert driver.states[0].done
    assert outcomes[-1].watermark_ms == START_MS + 20_000
    assert [len(outcome.reports) for outcome in outcomes if outcome.reports] in ([1, 1], [2])


def test_an_empty_stream_ends_a_bounded_run_with_an_account_for_each_window() -> None:
    fake = FakeKinesis()
    fake.now_ms += 3_600_000
    driver = Driver(fake, fake.settings(stop_ms=START_MS + 3_600_000 - 10_000))

    outcomes = driver.run(60)

    assert sum(len(outcome.reports) for outcome in outcomes) == 359
    assert max(len(outcome.reports) for outcome in outcomes) == 100
    assert driver.states[0].done


def test_a_reader_without_shards_accounts_for_its_windows() -> None:
    fake = FakeKinesis()
    driver = Driver(fake, readers=2)
    outcomes = driver.run(25)
    idle = 1 - next(reader for reader in range(2) if driver.states[reader].cursors)

    reports = [report for outcome in outcomes for report in outcome.reports if report['reader'] == idle]
    assert reports[0] == {'row': 'reader', 'reader': idle, 'readers': 2, 'shards': {}, 'positions': {}}


def test_at_the_tip_streams_are_listed_every_ten_seconds_and_where_a_window_waits_for_it_every_second() -> None:
    fake = FakeKinesis()
    driver = Driver(fake, fake.settings(flush_ms=300_000))

    driver.run(100)

    assert 10 <= len(fake.calls('list_shards')) <= 11


def test_pages_of_many_shards_fly_only_a_few_ahead_and_stop_when_the_call_is_full() -> None:
    fake = FakeKinesis(40)
    for shard in fake.shards:
        for _ in range(9):
            fake.put(shard, bytes(1 << 20))
    driver = Driver(fake)

    driver.call()

    # Two pages of 9 MiB fill a call of 16 MiB; those in flight by then are worked on, the other shards left alone.
    assert len(fake.calls('records')) == 9
    assert driver.monitor.counts['bytes'] == 9 * 9 << 20


def test_who_has_waited_longest_is_served_first() -> None:
    fake = FakeKinesis(20)
    fake.page_records = 4
    for shard in fake.shards:
        for _ in range(12):
            fake.put(shard, bytes(1 << 20))
    driver = Driver(fake)

    driver.call()  # of 11 shards: four pages of 4 MiB fill a call, and seven more are in flight
    fake.sleep(3)  # now all of them may be asked
    driver.call()

    asked = fake.calls('records')
    assert len(asked) == 22
    assert set(asked[11:20]) == {f'records {shard}' for shard in list(fake.shards)[11:]}
