"""A record that was overtaken stays in its window when windows are written again, and is neither lost nor doubled."""
from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import pytest

from pipeline.commit.committed import CommittedWindows
from pipeline.commit.manifests import read_manifest
from pipeline.errors import ReadError
from pipeline.paths import manifest_path
from pipeline.stores.base import MemoryStore
from tests.kinesis.commits import again, commit, records_of, reports_of
from tests.kinesis.driver import Driver, Outcome
from tests.kinesis.fake import START_MS, FakeKinesis

A = 'shardId-000000000000'
DAY_MS = 86_400_000
FLUSH_MS = 10_000


def window(number: int) -> int:
    """Return the start of a window of ten seconds."""
    return START_MS + FLUSH_MS * number


class Job:
    """A job that has read and committed what there is: records 1 and 2 arrived in window 0, 3 in window 4.

    Record 2 was overtaken, because readers saw it 25 s after its arrival: it is in window 2.
    """

    def __init__(self, fake: FakeKinesis | None = None, late_ms: int = 25_000, without: tuple[int, ...] = ()) -> None:
        self.fake = fake or FakeKinesis()
        live = Driver(self.fake)
        outcomes = live.run(5)
        self.fake.put(A, b'early')
        outcomes += live.run(3)
        self.fake.put(A, b'late', delay_ms=late_ms)
        outcomes += live.run(late_ms / 1000 + 7)
        self.fake.put(A, b'next')
        outcomes += live.run(40)
        assert live.monitor.counts['overtaken'] == 1
        self.settings, self.outcomes = live.settings, outcomes
        self.windows = {int(record.sequence): (record.window_ms - START_MS) // FLUSH_MS
                        for record in records_of(outcomes)}
        self.store = commit(MemoryStore(), self.settings, outcomes, without=[window(number) for number in without])

    def read_again(self, first: int, end: int | None, readers: int = 1, **changes: Any) -> list[Outcome]:
        """Read the windows again from `first` up to `end`, in a new process."""
        self.fake.sleep(1)
        how = again(self.store, self.settings, window(first), None if end is None else window(end)) | changes
        return Driver(self.fake, self.fake.settings(**how), readers).run(60)


def windows_of(outcomes: list[Outcome], flush_ms: int = FLUSH_MS) -> dict[int, int]:
    """Return the window of each record of shard A, by its sequence number."""
    return {int(record.sequence): (record.window_ms - START_MS) // flush_ms for record in records_of(outcomes)}


def test_the_window_that_an_overtaken_record_went_to_holds_it_when_it_is_written_again() -> None:
    job = Job()
    assert job.windows == {1: 0, 2: 2, 3: 4}

    assert windows_of(job.read_again(2, 3)) == {2: 2}
    assert windows_of(job.read_again(1, 5)) == {2: 2, 3: 4}


def test_the_window_that_it_arrived_in_does_not_get_it() -> None:
    assert windows_of(Job().read_again(0, 1)) == {1: 0}


def test_accounts_and_positions_of_windows_that_are_written_again_are_those_of_the_first_time() -> None:
    job = Job()
    first = reports_of(START_MS, FLUSH_MS, job.outcomes)
    fields = ('sequence', 'arrival_ms')

    second = reports_of(window(1), FLUSH_MS, job.read_again(1, 5))

    assert list(second) == [window(number) for number in (1, 2, 3, 4)]
    for window_ms, (report,) in second.items():
        (before,) = first[window_ms]
        assert report['shards'] == before['shards']
        for key, position in before['positions'].items():
            assert [report['positions'][key][field] for field in fields] == [position[field] for field in fields]


def test_a_window_without_a_manifest_leaves_the_next_one_what_it_holds() -> None:
    job = Job(without=(0,))

    assert windows_of(job.read_again(0, 1)) == {1: 0}
    assert windows_of(job.read_again(0, 5)) == job.windows


def test_several_windows_without_a_manifest_leave_those_after_them_what_they_hold() -> None:
    job = Job(late_ms=45_000, without=(0, 1))
    assert job.windows == {1: 0, 2: 4, 3: 6}

    assert windows_of(job.read_again(0, 2)) == {1: 0}
    assert windows_of(job.read_again(0, 7)) == job.windows


def test_a_run_that_goes_on_behind_a_window_that_lost_its_manifest_reads_what_comes_next_in_its_place() -> None:
    job = Job(without=(0,))

    assert windows_of(job.read_again(0, None)) == job.windows


def test_a_longer_window_holds_what_the_windows_in_it_held() -> None:
    job = Job(late_ms=45_000)
    assert job.windows == {1: 0, 2: 4, 3: 6}

    assert windows_of(job.read_again(0, 2, flush_ms=20_000), 20_000) == {1: 0}
    assert windows_of(job.read_again(4, 6, flush_ms=20_000), 20_000) == {2: 2}
    assert windows_of(job.read_again(0, 8, flush_ms=20_000), 20_000) == {1: 0, 2: 2, 3: 3}


def test_shorter_windows_hold_no_more_than_the_longer_one_held() -> None:
    job = Job(FakeKinesis(), late_ms=45_000)
    long = job.read_again(0, 8, flush_ms=20_000)
    job.store = commit(MemoryStore(), job.fake.settings(flush_ms=20_000), long)

    assert windows_of(job.read_again(0, 2)) == {1: 0}
    assert windows_of(job.read_again(2, 4)) == {}
    assert windows_of(job.read_again(4, 6)) == {2: 4}
    assert windows_of(job.read_again(0, 8)) == {1: 0, 2: 4, 3: 6}


def test_shorter_windows_that_were_written_in_part_go_on_as_they_began() -> None:
    job = Job(FakeKinesis(), late_ms=45_000)
    settings = job.fake.settings(flush_ms=20_000)
    long = job.read_again(0, 8, flush_ms=20_000)
    job.store = commit(MemoryStore(), settings, long)
    commit(job.store, job.settings, job.read_again(0, 1))  # in the place of the manifest of the longer window

    assert windows_of(job.read_again(1, 2)) == {}
    assert windows_of(job.read_again(0, 8)) == {1: 0, 2: 4, 3: 6}


def test_manifests_of_a_stream_that_was_made_again_say_nothing_of_this_one() -> None:
    job = Job()
    (stream,) = job.settings.streams
    former = dataclasses.replace(job.settings, streams=(dataclasses.replace(stream, created_ms=5),))
    commit(job.store, former, job.outcomes)

    assert windows_of(job.read_again(0, 5)) == {1: 0, 2: 0, 3: 4}


def test_a_record_that_the_positions_do_not_lead_to_is_still_read_if_it_is_within_the_margin() -> None:
    job = Job(late_ms=45_000, without=(3,))
    assert job.windows == {1: 0, 2: 4, 3: 6}

    assert windows_of(job.read_again(4, 5)) == {2: 4}


def test_a_run_that_begins_after_what_the_window_held_fails_before_the_window_is_written() -> None:
    job = Job(late_ms=100_000, without=(8,))
    assert job.windows == {1: 0, 2: 9, 3: 11}

    with pytest.raises(ReadError) as error:
        job.read_again(9, 10)
    assert str(error.value) == (
        'window 2027-01-15T08:01:30Z is committed with record 2 of events/shardId-000000000000, which this run cannot '
        'read: the stream has dropped it, or it is before the start of this run; begin at an earlier window that is '
        'committed, or leave this one as it is with --start=2027-01-15T08:01:40Z (and --start_over without --stop)')
    assert windows_of(job.read_again(8, 12)) == {2: 9, 3: 11}


@pytest.mark.parametrize('more', [False, True])
def test_a_window_is_not_written_without_a_record_that_retention_dropped_meanwhile(more: bool) -> None:
    job = Job(late_ms=300_000)
    assert job.windows == {1: 0, 2: 29, 3: 31}
    commit(job.store, job.settings, job.outcomes)
    if not more:
        job.fake.shards[A].records.pop()
    job.fake.now_ms = window(10) + DAY_MS  # the record is gone, its window is not

    with pytest.raises(ReadError, match='is committed with record 2 of'):
        job.read_again(29, 32)
    assert windows_of(job.read_again(30, 31)) == {}


def test_a_window_is_not_written_with_its_later_records_alone() -> None:
    fake = FakeKinesis()
    live = Driver(fake)
    outcomes = live.run(5)
    fake.put(A, b'late', delay_ms=305_000)
    outcomes += live.run(306)
    fake.put(A, b'in time')
    outcomes += live.run(40)
    assert windows_of(outcomes) == {1: 29, 2: 31}
    store = commit(MemoryStore(), live.settings, outcomes)
    long = {**again(store, live.settings, window(28), window(32)), 'flush_ms': 40_000}
    assert windows_of(Driver(fake, fake.settings(**long)).run(60), 40_000) == {1: 7, 2: 7}
    fake.now_ms = window(10) + DAY_MS

    with pytest.raises(ReadError, match='is committed with record 1 of'):
        Driver(fake, fake.settings(**long)).run(60)


def test_readers_keep_several_overtaken_records_in_their_windows_through_restores_and_small_pages() -> None:
    fake = FakeKinesis(3)
    live = Driver(fake, readers=2)
    outcomes = []
    for number, shard in itertools.product(range(2), sorted(fake.shards)):
        fake.put(shard, bytes(8), delay_ms=22_000 + 12_000 * number)
        fake.put(shard, bytes(5), delay_ms=50_000)
        outcomes += live.run(53)
        fake.put(shard, bytes(2))
    outcomes += live.run(40)
    assert live.monitor.counts['overtaken'] == 12
    expected = records_of(outcomes)
    first = reports_of(START_MS, FLUSH_MS, outcomes)
    store = commit(MemoryStore(), live.settings, outcomes)
    fake.page_records = 1

    for readers, begin in itertools.product((1, 3), (0, 3, 5, 6)):
        driver = Driver(fake, fake.settings(**again(store, live.settings, window(begin), window(34))), readers)
        found, calls = [], 0
        while not all(state.done for state in driver.states):
            calls += 1
            if calls % 3 == 0:
                driver.restart()
            for reader, state in enumerate(driver.states):
                if not state.done:
                    found.append(driver.call(reader, stop_after=1 + calls % 2))
            fake.sleep(1)
        assert records_of(found) == [record for record in expected if window(begin) <= record.window_ms < window(34)]
        for window_ms, reports in reports_of(window(begin), FLUSH_MS, found).items():
            assert shards_of(reports) == shards_of(first[window_ms])


def shards_of(reports: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the accounts of all readers."""
    return {key: counts for report in reports for key, counts in report['shards'].items()}


def test_a_checkpoint_that_is_older_than_manifests_gives_the_windows_of_the_manifests() -> None:
    job = Job()
    driver = Driver(job.fake, job.fake.settings(committed=CommittedWindows(job.store)))  # its state is at the start

    assert windows_of(driver.run(30)) == job.windows


class CountingStore(MemoryStore):
    """A store that notes what is read."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[str] = []

    def get(self, path: str, default: Any = None) -> Any:
        self.read.append(path)
        return super().get(path, default)

    def list(self, prefix: str) -> Any:
        self.read.append(prefix)
        return super().list(prefix)


def test_a_reader_at_the_tip_lists_the_manifests_of_a_day_once_and_reads_none_per_window() -> None:
    fake = FakeKinesis()
    live = Driver(fake)
    store = commit(CountingStore(), live.settings, live.run(30))
    driver = Driver(fake, fake.settings(**again(store, live.settings, window(1), None)))
    driver.dofn._settings = dataclasses.replace(driver.settings, committed=CommittedWindows(store))
    store.read.clear()

    driver.run(300)

    assert store.read == ['manifests/year=2027/month=01/day=15/', manifest_path(window(0)),
                          'manifests/year=2027/month=01/day=16/']


def test_a_window_that_is_written_again_costs_one_read_of_its_manifest() -> None:
    job = Job()
    store = CountingStore()
    store.update(job.store)
    driver = Driver(job.fake, job.fake.settings(stop_ms=window(3)))
    driver.dofn._settings = dataclasses.replace(driver.settings, committed=CommittedWindows(store))

    driver.run(30)

    assert len(store.read) == 4
    assert all(read_manifest(job.store, window(number)) for number in range(3))
