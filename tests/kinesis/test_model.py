"""Whatever the stream, the runner and the clocks do, each record is read once, in the window that its log implies.

Whoever reads windows again finds in each the records that it had, by the manifests of the first time.

`MODEL_HISTORIES` is the number of histories to try; CI tries 300, the fast tests 75.
"""
from __future__ import annotations

import collections
import os
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from pipeline.kinesis.errors import ExpiredIterator, PassingError
from pipeline.stores.base import MemoryStore
from pipeline.windows import align_down
from tests.kinesis.commits import again, commit, records_of, reports_of
from tests.kinesis.driver import Driver, Outcome
from tests.kinesis.fake import START_MS, FakeKinesis

HISTORIES = int(os.environ.get('MODEL_HISTORIES', 3 * settings().max_examples))
FLUSH_MS, SLACK_MS, FLUSH_BYTES = 10_000, 10_000, 20
ERRORS = {
    'throttle': lambda: PassingError('ProvisionedThroughputExceededException'),
    'failure': lambda: PassingError('InternalFailure'),
    'reset': lambda: PassingError('ConnectionClosedError'),
    'token': lambda: PassingError('ExpiredNextTokenException'),
    'iterator': ExpiredIterator}
FAULTS = [('records', 'throttle'), ('records', 'failure'), ('records', 'iterator'), ('records', 'reset'),
          ('iterator', 'throttle'), ('list_shards', 'token'), ('list_shards', 'failure'), ('summary', 'throttle')]

_pick = st.integers(0, 7)
_put = st.tuples(st.just('put'), _pick, st.integers(0, SLACK_MS), st.integers(0, SLACK_MS), st.integers(0, 15))
_call = st.tuples(st.just('call'), _pick, st.sampled_from([None, None, 1, 2, 5]), st.sampled_from([False, False, True]))
_wait = st.tuples(st.just('wait'), st.sampled_from([10, 500, 1000, 3000, 11_000]))
ACTIONS = st.one_of(
    _put, _put, _put, _put, _call, _call, _call, _call, _wait, _wait,
    st.tuples(st.just('jump'), st.integers(60_000, 900_000)),
    st.tuples(st.just('late'), _pick, st.integers(SLACK_MS + 1000, 60_000)),
    st.tuples(st.just('split'), _pick),
    st.tuples(st.just('merge'), _pick),
    st.tuples(st.just('list_late')),
    st.tuples(st.just('save'), _pick),
    st.tuples(st.just('restore'), _pick),
    st.tuples(st.just('fault'), st.sampled_from(FAULTS), st.integers(1, 4)),
    st.tuples(st.just('clock'), st.integers(-240_000, 240_000)))

#: A second read: a window with records and how many from it on, readers, the one without a manifest, outputs per call.
SECOND = st.tuples(st.integers(0, 40), st.sampled_from([1, 1, 2, 5, 40]), st.sampled_from([1, 2]), st.integers(0, 40),
                   st.sampled_from([None, 1, 2, 5]))


class History:
    """A stream, its readers, and the output of theirs that survives restores."""

    def __init__(self, readers: int, shards: int, walk_ms: int | None, start: int, page_records: int) -> None:
        self.fake = FakeKinesis(shards)
        self.fake.walk_ms, self.fake.page_records = walk_ms, page_records
        self.fake.first_sequence = 8  # soon they have two digits, and must be compared as numbers
        self.start_ms = START_MS + start * FLUSH_MS
        self.driver = Driver(self.fake, self.fake.settings(
            start_ms=self.start_ms, since_ms=self.start_ms, flush_bytes=FLUSH_BYTES), readers)
        self.outcomes: list[list[Outcome]] = [[] for _ in range(readers)]
        self.saved = [(state, None, 0) for state in self.driver.states]
        self.late, self.counted = False, collections.Counter[str]()

    def do(self, name: str, *how: Any) -> None:
        """Perform one action."""
        getattr(self, f'do_{name}')(*how)

    def do_put(self, pick: int, back_ms: int, delay_ms: int, size: int) -> None:
        arrival_ms = max(self.fake.now_ms - back_ms, self._shard(pick).created_ms, START_MS)
        latest_ms = int(arrival_ms) + SLACK_MS - int(self.fake.now_ms)  # visible within the slack after its arrival
        self.fake.put(self._shard(pick).shard, bytes(size), arrival_ms, min(delay_ms, latest_ms))

    def do_late(self, pick: int, delay_ms: int) -> None:
        """Put a record that becomes visible later than the slack; usually its window is closed by then."""
        self.late = True
        self.fake.put(self._shard(pick).shard, b'late', None, delay_ms)
        for wait_ms in (delay_ms - 1000, 2000):
            self.fake.now_ms += wait_ms
            for reader in range(self.driver.readers):
                self.do_call(reader, None, restart=False)

    def do_split(self, pick: int) -> None:
        if len(self.fake.shards) < 12:
            self.fake.hidden = set()  # a hidden shard is listed before it has children
            self.fake.split(self._shard(pick).shard)

    def do_merge(self, pick: int) -> None:
        shards = sorted(self._open(), key=lambda shard: shard.first_hash)
        if len(shards) > 1 and len(self.fake.shards) < 12:
            self.fake.hidden = set()
            index = pick % (len(shards) - 1)
            self.fake.merge(shards[index].shard, shards[index + 1].shard)

    def do_list_late(self) -> None:
        """Hide the newest shard from listings, or show it again."""
        self.fake.hidden = {max(self.fake.shards)} if not self.fake.hidden else set()

    def do_wait(self, ms: int) -> None:
        self.fake.now_ms += ms

    do_jump = do_wait

    def do_clock(self, offset_ms: int) -> None:
        self.fake.local_offset_ms = offset_ms

    def do_fault(self, fault: tuple[str, str], times: int) -> None:
        self.fake.fail(fault[0], *[ERRORS[fault[1]]() for _ in range(times)])

    def counts(self) -> collections.Counter[str]:
        """Return what was counted, including the counts of calls whose output did not survive."""
        return self.counted + self.driver.monitor.counts

    def restart(self) -> None:
        self.counted = self.counts()
        self.driver.restart()
        self.fake.sleep(1)  # a process takes at least a second to start

    def do_save(self, pick: int) -> None:
        reader = pick % self.driver.readers
        self.saved[reader] = (self.driver.states[reader], self.driver.watermarks[reader], len(self.outcomes[reader]))

    def do_restore(self, pick: int) -> None:
        reader = pick % self.driver.readers
        self.driver.states[reader], self.driver.watermarks[reader], kept = self.saved[reader]
        del self.outcomes[reader][kept:]

    def do_call(self, pick: int, stop_after: int | None, restart: bool) -> None:
        if restart:
            self.restart()
        reader = pick % self.driver.readers
        before = self.driver.watermarks[reader]
        outcome = self.driver.call(reader, stop_after)
        self.outcomes[reader].append(outcome)
        assert before is None or outcome.watermark_ms >= before.micros // 1000
        self.check_watermark(reader, outcome.watermark_ms)

    def check_watermark(self, reader: int, watermark_ms: int) -> None:
        """Check that no undelivered record that keeps the slack has an effective arrival before the watermark."""
        delivered = {(batch.shard, record.sequence) for outcome in self.outcomes[reader] for batch in outcome.batches
                     for record in batch.records}
        mine = {cursor.shard for cursor in self.driver.states[reader].cursors}
        for shard, sequence, effective_ms, broken in self.log():
            if shard in mine and not broken and effective_ms >= self.start_ms and (shard, sequence) not in delivered:
                assert effective_ms >= watermark_ms

    def log(self) -> list[tuple[str, str, int, bool]]:
        """Return each record's effective arrival, and whether a record up to it became visible later than the slack."""
        found = []
        for shard in self.fake.shards.values():
            effective_ms, broken = 0, False
            for record in shard.records:
                effective_ms = max(effective_ms, record.arrival_ms)
                broken = broken or record.visible_ms > record.arrival_ms + SLACK_MS
                found.append((shard.shard, str(record.sequence), effective_ms, broken))
        return found

    def finish(self) -> None:
        """End all faults, and read until the windows of all records are closed."""
        self.fake.hidden, self.fake._faults = set(), {}
        last_ms = max([self.start_ms, *(effective_ms for _, _, effective_ms, _ in self.log())])
        self.fake.now_ms = max(self.fake.now_ms, last_ms) + 61_000
        until_ms = align_down(int(self.fake.now_ms), FLUSH_MS)
        for _ in range(2000):
            waiting = [reader for reader, state in enumerate(self.driver.states) if state.window_ms < until_ms]
            if not waiting:
                return
            for reader in waiting:
                self.do_call(reader, None, restart=False)
        raise AssertionError('the readers do not close all windows')

    def _open(self) -> list[Any]:
        return [shard for shard in self.fake.shards.values() if shard.closed_ms is None]

    def _shard(self, pick: int) -> Any:
        return self._open()[pick % len(self._open())]


@pytest.mark.timeout(max(300, HISTORIES))
@settings(max_examples=HISTORIES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(readers=st.sampled_from([1, 3]), shards=st.integers(1, 3), walk_ms=st.sampled_from([None, 60_000]),
       start=st.sampled_from([0, 0, 1, 3]), page_records=st.sampled_from([2, 5, 100]),
       actions=st.lists(ACTIONS, min_size=10, max_size=80), second=SECOND)
def test_each_record_is_read_once_in_the_window_of_its_log(
        readers: int, shards: int, walk_ms: int | None, start: int, page_records: int,
        actions: list[tuple[Any, ...]], second: tuple[Any, ...]) -> None:
    history = History(readers, shards, walk_ms, start, page_records)
    for action in actions:
        history.do(*action)
    history.finish()

    check_records(history)
    for reader in range(readers):
        check_reports(history, reader)
    check_second_read(history, *second)


def check_records(history: History) -> None:
    """Check that each record came once and in order, in the window and part of the log unless it was overtaken."""
    emitted: dict[str, list[tuple[str, int, int]]] = collections.defaultdict(list)
    for outcomes in history.outcomes:
        for outcome in outcomes:
            for batch in outcome.batches:
                emitted[batch.shard] += [(record.sequence, batch.window_ms, batch.part) for record in batch.records]
    overtaken = 0
    for shard in history.fake.shards.values():
        expected = expected_of(history, shard.shard)
        found = emitted[shard.shard]
        assert [sequence for sequence, _, _ in found] == [sequence for sequence, _, _ in expected]
        assert [window for _, window, _ in found] == sorted(window for _, window, _ in found)
        late = [was[1] != is_[1] for was, is_ in zip(expected, found, strict=True)]
        overtaken += sum(late)
        if not any(late):
            assert found == expected
    counts = history.counts()
    for name in ('overtaken', 'expired_iterators', 'throttles', 'failed_calls', 'unfinished_listings', 'clock_skew'):
        event(f'{name}: {counts[name] > 0}')
    event(f'resharded: {any(shard.closed_ms is not None for shard in history.fake.shards.values())}')
    assert counts['overtaken'] >= overtaken
    assert history.late or not counts['overtaken']


def expected_of(history: History, shard: str) -> list[tuple[str, int, int]]:
    """Return (sequence number, window, part) of the records of a shard, from its log alone."""
    found, size = [], collections.Counter[int]()
    sizes = {str(record.sequence): len(record.data) for record in history.fake.shards[shard].records}
    for name, sequence, effective_ms, _ in history.log():
        if name == shard and effective_ms >= history.start_ms:
            window_ms = align_down(effective_ms, FLUSH_MS)
            found.append((sequence, window_ms, size[window_ms] // FLUSH_BYTES))
            size[window_ms] += sizes[sequence]
    return found


def check_reports(history: History, reader: int) -> None:
    """Check that each window has one report, in order, after all of its batches, with exactly their records."""
    windows: dict[int, dict[str, dict[str, Any]]] = collections.defaultdict(dict)
    window_ms = history.start_ms
    arrivals = {(f'events/{shard}', sequence): effective_ms for shard, sequence, effective_ms, _ in history.log()}
    for outcome in history.outcomes[reader]:
        for batch in outcome.batches:
            assert batch.window_ms >= window_ms
            for record in batch.records:
                shard = windows[batch.window_ms].setdefault(
                    f'events/{batch.shard}', {'records': 0, 'bytes': 0, 'first': record.sequence})
                shard.update(records=shard['records'] + 1, bytes=shard['bytes'] + len(record.data),
                             last=record.sequence)
        for report in outcome.reports:
            assert report['shards'] == windows.pop(window_ms, {})
            for key, position in report['positions'].items():
                assert not position['sequence'] or position['arrival_ms'] == arrivals[key, position['sequence']]
            window_ms += FLUSH_MS
    assert not windows
    assert window_ms == history.driver.states[reader].window_ms


def check_second_read(history: History, first: int, count: int, readers: int, hole: int,
                      stop_after: int | None) -> None:
    """Check that windows that are read again by their manifests, one of which is missing, get what they had."""
    outcomes = [outcome for outcomes in history.outcomes for outcome in outcomes]
    before = reports_of(history.start_ms, FLUSH_MS, outcomes)
    windows = sorted(before)
    arrived = {align_down(effective_ms, FLUSH_MS) for _, _, effective_ms, _ in history.log()} & set(windows)
    used = sorted(arrived | {record.window_ms for record in records_of(outcomes)}) or windows
    begin, missing = used[first % len(used)], used[hole % len(used)]
    end = min(begin + count * FLUSH_MS, windows[-1] + FLUSH_MS)
    without = [missing] if missing != begin - FLUSH_MS else []  # without it, reading begins at a time
    fake, known = history.fake, history.driver.settings
    store = commit(MemoryStore(), known, outcomes, without)
    fake.sleep(1)
    driver = Driver(fake, fake.settings(flush_bytes=FLUSH_BYTES, **again(store, known, begin, end)), readers)
    found = read_to_the_end(driver, stop_after)

    expected = [record for record in records_of(outcomes) if begin <= record.window_ms < end]
    assert records_of(found) == expected
    event(f'overtaken when read again: {driver.monitor.counts["overtaken"] > 0}')
    after = reports_of(begin, FLUSH_MS, found)
    assert sorted(after) == list(range(begin, end, FLUSH_MS))
    for window_ms, reports in after.items():
        assert merged(reports, 'shards') == merged(before[window_ms], 'shards')
        if begin > history.start_ms:
            positions = merged(reports, 'positions')
            for key, position in merged(before[window_ms], 'positions').items():
                assert [positions[key][field] for field in ('sequence', 'arrival_ms')] == [
                    position[field] for field in ('sequence', 'arrival_ms')]


def read_to_the_end(driver: Driver, stop_after: int | None) -> list[Outcome]:
    """Read until all readers are done, in a new process again and again."""
    found = []
    for number in range(2000):
        waiting = [reader for reader, state in enumerate(driver.states) if not state.done]
        if not waiting:
            return found
        if number % 7 == 6:
            driver.restart()
        found += [driver.call(reader, stop_after) for reader in waiting]
        driver.fake.sleep(1)
    raise AssertionError('the readers do not reach their stop')


def merged(reports: list[dict[str, Any]], field: str) -> dict[str, Any]:
    """Return what all readers of a window say of their shards."""
    return {key: value for report in reports for key, value in report[field].items()}
