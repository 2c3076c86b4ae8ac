"""ReadKinesis on a runner, over a scripted stream: outputs, timestamps, metrics, failures."""
from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to

from pipeline.errors import Gap, ReadError
from pipeline.kinesis import read as read_module
from pipeline.kinesis.api import Page
from pipeline.kinesis.positions import ReaderState
from pipeline.kinesis.read import ReadKinesis
from pipeline.kinesis.settings import ReadSettings
from pipeline.kinesis.shared import share
from pipeline.kinesis.tracker import ReaderTracker
from tests.kinesis.aggregates import sealed
from tests.kinesis.driver import Driver, shared_of
from tests.kinesis.fake import DAY_MS, START_MS, FakeKinesis

A = 'shardId-000000000000'


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeKinesis]:
    """A stream of two shards with records in three windows, an hour ago."""
    fake = FakeKinesis(2)
    shared = shared_of(fake)
    monkeypatch.setattr(read_module, 'share', lambda *_: shared)
    for number in range(6):
        fake.put(f'shardId-{number % 2:012d}', f'{number}'.encode(), START_MS + 5000 * number)
    fake.put(A, sealed(b'\x1a\x7f'), START_MS + 29_000)
    fake.now_ms += 3_600_000
    yield fake


def settings_of(fake: FakeKinesis) -> ReadSettings:
    infos = tuple(dataclasses.replace(info, label='ios') for info in fake.infos())
    return fake.settings(stop_ms=START_MS + 30_000, streams=infos)


@pytest.mark.parametrize('readers', [1, 3])
def test_a_bounded_read_outputs_records_raw_batches_broken_aggregates_and_a_report_per_reader_and_window(
        fake: FakeKinesis, readers: int) -> None:
    with beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions([])) as pipeline:
        kinesis = pipeline | ReadKinesis(settings_of(fake), readers)
        records = kinesis.records | 'r' >> beam.Map(
            lambda record, at=beam.DoFn.TimestampParam: (record.data, record.origin.label, at.micros // 1000))
        counts = kinesis.accounts | beam.combiners.Count.Globally()
        raw = kinesis.batches | 'b' >> beam.FlatMap(lambda batch: [record.data for record in batch.records])
        broken = kinesis.malformed | 'm' >> beam.Map(lambda failure: (failure.code, failure.fragment))
        assert_that(records, equal_to([(b'%d' % number, 'ios', START_MS + 10_000 * (number // 2))
                                       for number in range(6)]), 'records')
        assert_that(raw, equal_to([*(b'%d' % number for number in range(6)), sealed(b'\x1a\x7f')]), 'raw')
        assert_that(broken, equal_to([('invalid-kpl', sealed(b'\x1a\x7f'))]), 'broken')
        assert_that(counts, equal_to([3 * readers]), 'reports')


def test_metrics_count_records_bytes_pages_and_trouble_and_show_millis_behind_by_shard(fake: FakeKinesis) -> None:
    pipeline = beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions([]))
    pipeline | ReadKinesis(settings_of(fake), 1)
    fake.local_offset_ms = 120_000
    metrics = pipeline.run().metrics().query()

    counters = {found.key.metric.name: found.committed for found in metrics['counters']
                if found.key.metric.namespace == 'kinesis'}
    assert counters == {'records': 7, 'bytes': 6 + len(sealed(b'\x1a\x7f')), 'pages': 4, 'empty_pages': 2,
                        'windows': 3, 'clock_skew': counters['clock_skew']}
    assert counters['clock_skew'] >= 1
    gauges = {found.key.metric.name for found in metrics['gauges']}
    assert gauges == {f'millis_behind events/shardId-{number:012d}' for number in range(2)}


def test_a_gap_ends_the_pipeline_with_a_gap_error(fake: FakeKinesis) -> None:
    fake.now_ms += 2 * DAY_MS
    pipeline = beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions([]))
    pipeline | ReadKinesis(settings_of(fake), 1)

    with pytest.raises(Gap, match='--on_gap=skip goes on after it'):
        pipeline.run()


def test_a_drain_leaves_nothing_to_read() -> None:
    driver = Driver(FakeKinesis())

    assert driver.dofn.truncate((0, 1), driver.states[0]) is None


def test_the_initial_restriction_has_the_cursors_of_its_reader() -> None:
    fake = FakeKinesis(4)
    driver = Driver(fake)
    driver.run(2)
    cursors = tuple(reversed(driver.states[0].cursors))
    readers = [Driver(fake, fake.settings(cursors=cursors), 2).dofn.initial_restriction((reader, 2))
               for reader in range(2)]

    owned = [[cursor.key for cursor in state.cursors] for state in readers]
    assert sorted(owned[0] + owned[1]) == [cursor.key for cursor in driver.states[0].cursors]
    assert owned == [sorted(keys) for keys in owned]


def test_the_restriction_size_is_0_at_the_tip_and_grows_with_the_time_behind() -> None:
    fake = FakeKinesis()
    driver = Driver(fake)
    for _ in range(30):
        fake.put(A, bytes(100))
        driver.run(1)
    state = driver.states[0]
    sizes = [driver.dofn.restriction_size((0, 1), dataclasses.replace(state, listed_ms=state.window_ms + ms))
             for ms in (0, 20_000, 30_000, 120_000)]

    assert driver.dofn.restriction_size((0, 1), state) == 0
    assert state.window_bytes == 1000
    assert sizes == [0, 0, 1000, 10_000]
    assert driver.dofn.restriction_size((0, 1), dataclasses.replace(state, done=True)) == 0


def test_readers_of_one_process_share_pages_and_limits() -> None:
    infos = FakeKinesis().infos()

    assert share(infos, 'http://127.0.0.1:1', 'eu-west-1') is share(infos, 'http://127.0.0.1:1', 'eu-west-1')


class Concurrent(FakeKinesis):
    """Answer GetRecords only when eight calls are waiting at once."""

    def __init__(self) -> None:
        super().__init__(16)
        self._barrier, self._lock = threading.Barrier(8), threading.Lock()

    def records(self, stream: str, shard: str, iterator: str) -> Page:
        self._barrier.wait(timeout=30)
        with self._lock:
            return super().records(stream, shard, iterator)


def test_pages_of_busy_shards_are_fetched_eight_at_a_time() -> None:
    fake = Concurrent()
    for shard in fake.shards:
        fake.put(shard, shard.encode())
    driver = Driver(fake)
    with ThreadPoolExecutor(8) as threads:
        driver.dofn._shared = dataclasses.replace(driver.dofn._shared, threads=threads)
        outcome = driver.call()

    assert sorted(outcome.data) == sorted(fake.shards)


def test_a_reader_of_a_savepoint_that_an_earlier_generation_made_is_refused(fake: FakeKinesis) -> None:
    reads = read_module._ReadBounded(dataclasses.replace(settings_of(fake), generation=2))
    saved = ReaderState(START_MS, START_MS + 30_000, generation=1)

    with pytest.raises(ReadError, match='^the savepoint was made before another run .*--start=resume without --savep'):
        next(reads._read((0, 1), ReaderTracker(saved), None))

    assert reads.initial_restriction((0, 1)).generation == 2
