"""A reader on a scripted stream: which records it emits, when it closes windows and moves the watermark."""
from __future__ import annotations

from pipeline.kinesis.errors import PassingError
from tests.kinesis.driver import Driver, data_of
from tests.kinesis.fake import START_MS, FakeKinesis, put_all

A, B = 'shardId-000000000000', 'shardId-000000000001'


def test_a_record_is_emitted_at_once_and_its_window_closed_after_the_slack() -> None:
    fake = FakeKinesis()
    driver = Driver(fake)
    put_all(fake, 'a', 'b')

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
    # Window end + slack is at 20 s, so no window closes before an empty read and a listing in that second.
    assert fake.now_ms - START_MS >= 20_000


def test_the_first_call_sets_the_watermark() -> None:
    driver = Driver(FakeKinesis())

    assert driver.call().watermark_ms == START_MS


def test_an_idle_reader_asks_for_two_seconds_and_a_busy_one_for_none() -> None:
    fake = FakeKinesis()
    driver = Driver(fake)
    put_all(fake, 'a')

    busy, idle = driver.call(), driver.call()

    assert busy.delay_s == 0
    assert idle.delay_s is not None and 1 < idle.delay_s <= 2


def test_a_call_returns_after_at_most_a_second() -> None:
    fake = FakeKinesis()
    driver = Driver(fake)
    for _ in range(5):
        put_all(fake, 'a')
        before = fake.now_ms
        driver.call()

        assert fake.now_ms - before <= 1000


def test_the_rest_of_a_page_belongs_to_its_own_windows_however_late_it_is_read() -> None:
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


def test_a_slow_shard_holds_the_other_shards_in_the_same_window() -> None:
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


def test_an_idle_shard_does_not_hold_the_watermark() -> None:
    fake = FakeKinesis(2)
    driver = Driver(fake)
    for _ in range(30):
        fake.put(A, b'a')
        driver.run(1)

    assert driver.watermarks[0].micros // 1000 == START_MS + 10_000
    assert not driver.states[0].cursors[1].sequence


def test_a_record_visible_later_than_the_slack_goes_to_the_open_window_and_is_counted() -> None:
    fake = FakeKinesis()
    driver = Driver(fake)
    fake.now_ms += 5000
    fake.put(A, b'late', delay_ms=60_000)

    outcomes = driver.run(90)

    (batch,) = [batch for outcome in outcomes for batch in outcome.batches]
    assert batch.window_ms > START_MS
    assert driver.monitor.counts['overtaken'] == 1


def test_a_bounded_run_ends_at_its_stop_and_reads_nothing_after_it() -> None:
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


def test_a_bounded_run_of_an_empty_stream_ends_with_a_report_for_each_window() -> None:
    fake = FakeKinesis()
    fake.now_ms += 3_600_000
    driver = Driver(fake, fake.settings(stop_ms=START_MS + 3_600_000 - 10_000))

    outcomes = driver.run(60)

    assert sum(len(outcome.reports) for outcome in outcomes) == 359
    assert max(len(outcome.reports) for outcome in outcomes) == 100
    assert driver.states[0].done


def test_a_reader_without_shards_reports_its_windows() -> None:
    fake = FakeKinesis()
    driver = Driver(fake, readers=2)
    outcomes = driver.run(25)
    idle = 1 - next(reader for reader in range(2) if driver.states[reader].cursors)

    reports = [report for outcome in outcomes for report in outcome.reports if report['reader'] == idle]
    assert reports[0] == {'row': 'reader', 'reader': idle, 'readers': 2, 'shards': {}, 'positions': {}}


def test_streams_are_listed_every_ten_seconds_if_no_window_waits_for_a_listing() -> None:
    fake = FakeKinesis()
    driver = Driver(fake, fake.settings(flush_ms=300_000))

    driver.run(100)

    assert 10 <= len(fake.calls('list_shards')) <= 11
