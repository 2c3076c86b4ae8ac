"""Break each guarantee on purpose: the comparison of two runs, on which the other tests rely, must notice.

A case runs the job three times: whole, in another way that must write the same, and in that way with the guarantee
broken.
"""
from __future__ import annotations

import collections
import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

import apache_beam as beam
import pytest

from pipeline import paths
from pipeline.commit import commit
from pipeline.kinesis import assign, calls, read, reader
from pipeline.local.servers import LocalAws
from pipeline.main import main
from pipeline.options import options
from pipeline.windows import align_down, iso
from pipeline.write import layout
from pipeline.write import objects as write
from tests.integration.jobs import FLUSH_MS
from tests.integration.lake import Lake, windows_of

pytestmark = pytest.mark.timeout(600)
PROCESS, FINISH = write._Write.process, write._Write.finish_bundle
Patch = Callable[[pytest.MonkeyPatch], None]


@pytest.fixture(scope='module')
def lake() -> Iterator[Lake]:
    with LocalAws() as aws:
        lake = Lake(aws, 'events', 3)
        lake.fill(records=120, documents=3, windows=5, seed=11)
        time.sleep(1.1)  # past the window of the last put
        assert run(lake, 'one', '--start', 'earliest', '--stop', 'now') == 0
        yield lake


def run(lake: Lake, prefix: str, *options: str) -> int:
    """Run the job in this process, so that it can be broken."""
    return main(lake.command(prefix, *options)[3:])


def nothing(patch: pytest.MonkeyPatch) -> None:
    """Change nothing."""


def disordered_arrivals(patch: pytest.MonkeyPatch) -> None:
    """Let every third record arrive a second and a half before its neighbours."""
    records = calls.BotoKinesis.records

    def disordered(self: calls.BotoKinesis, stream: str, shard: str, iterator: str) -> Any:
        page = records(self, stream, shard, iterator)
        return page._replace(records=[raw._replace(arrival_ms=raw.arrival_ms - 1500 * (int(raw.sequence) % 3 == 0))
                                      for raw in page.records])
    patch.setattr(calls.BotoKinesis, 'records', disordered)


def empty_panes(patch: pytest.MonkeyPatch) -> None:
    """Fire a second, empty pane for each object, as Flink does with late triggers."""
    def twice(self: Any, element: Any, timestamp: Any = beam.DoFn.TimestampParam,
              window: Any = beam.DoFn.WindowParam) -> None:
        PROCESS(self, (element[0], list(element[1])), timestamp, window)
        PROCESS(self, (element[0], []), timestamp, window)
    patch.setattr(write._Write, 'process', twice)


def accounts_lost(patch: pytest.MonkeyPatch) -> None:
    """Lose the reports of the first reader, as a runner does if it closes windows early."""
    outputs = read._ReadShards._outputs

    def silent(self: Any, step: reader.Step, number: int, readers: int) -> Iterator[Any]:
        return outputs(self, step._replace(closed=None) if number == 0 else step, number, readers)
    patch.setattr(read._ReadShards, '_outputs', silent)


def write_partial_windows(patch: pytest.MonkeyPatch) -> None:
    """Close a window without waiting for every shard."""
    patch.setattr(reader.Reader, '_may_close', lambda self, state: self._listed_past(state))


def name_by_clock(patch: pytest.MonkeyPatch) -> None:
    """Name objects by the time at which they are written."""
    patch.setattr(layout, 'object_name', lambda *key: f'{time.time_ns() // 10 ** 9}-{paths.object_name(*key)}')


def write_empty_panes(patch: pytest.MonkeyPatch) -> None:
    """Write an object for every pane, also an empty one."""
    seen: list[str] = []

    def careless(self: Any, element: Any, timestamp: Any = beam.DoFn.TimestampParam,
                 window: Any = beam.DoFn.WindowParam) -> None:
        seen.append(element[0].decode())
        PROCESS(self, element, timestamp, window)

    def finish(self: Any) -> list[Any]:
        rows = list(FINISH(self))
        while seen:
            self._put.__self__.stores['events'].put(seen.pop(), write.gzip_bytes(b''))
        return rows
    patch.setattr(write._Write, 'process', careless)
    patch.setattr(write._Write, 'finish_bundle', finish)


def start_unaligned(patch: pytest.MonkeyPatch) -> None:
    """Start in the middle of a window."""
    patch.setattr(options, '_aligned', lambda moment, step_ms: moment)


def commit_without_all_accounts(patch: pytest.MonkeyPatch) -> None:
    """Commit a window when it closes, complete or not."""
    patch.setattr(commit, 'imbalance', lambda ledger, backup: None)


def stamp_by_plain_arrival(patch: pytest.MonkeyPatch) -> None:
    """Use a record's own arrival, not the running maximum."""
    patch.setattr(assign, 'max', lambda reached_ms, arrival_ms: arrival_ms, raising=False)


@pytest.mark.parametrize(('world', 'broken', 'way', 'code', 'noticed'), [
    (nothing, write_partial_windows, [], 0, 'backup'),
    (nothing, name_by_clock, [], 0, 'backup'),
    (empty_panes, write_empty_panes, [], 0, 'backup'),
    (nothing, start_unaligned, ['--start', 'middle'], 1, 'manifests'),
    (accounts_lost, commit_without_all_accounts, ['--readers', '3'], 0, 'manifests'),
    (disordered_arrivals, stamp_by_plain_arrival, ['--start', 'middle'], 0, 'backup')],
    ids=lambda value: value.__name__ if callable(value) else None)
def test_a_broken_guarantee_is_noticed(lake: Lake, monkeypatch: pytest.MonkeyPatch, world: Patch, broken: Patch,
                                       way: list[str], code: int, noticed: str) -> None:
    first, stop = windows_of(lake.manifests('one'))
    since = window_of_two_arrivals(lake)
    way = [iso(last_arrival(lake, since)) if word == 'middle' else word for word in way or ['--start', first]]
    name, lossy = broken.__name__, world is accounts_lost
    world(monkeypatch)
    whole = 'one'
    if world is disordered_arrivals:
        whole = f'{name}/whole'
        assert run(lake, whole, '--start', first, '--stop', stop) == 0

    kept_code = run(lake, f'{name}/kept', '--stop', stop, *way)
    broken(monkeypatch)
    broken_code = run(lake, f'{name}/broken', '--stop', stop, *way)

    kept = difference(lake, f'{name}/kept', whole, since)
    assert (kept_code, kept) == ((1, 'manifests/: none is there') if lossy else (0, ''))
    assert (broken_code, difference(lake, f'{name}/broken', whole, since).partition('/')[0]) == (code, noticed)


def test_a_window_that_a_rerun_cuts_short_is_not_declared_complete_any_more(
        lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    first, stop = windows_of(lake.manifests('one'))
    again = ['--start', first, '--stop', stop]
    assert run(lake, 'again', *again) == 0
    with monkeypatch.context() as patch:
        accounts_lost(patch)
        assert run(lake, 'again', *again, '--readers', '3') == 1
    assert lake.manifests('again') == {}

    assert run(lake, 'again', *again) == 0

    assert difference(lake, 'again', 'one', 0) == ''


def arrivals(lake: Lake) -> dict[int, set[int]]:
    """Return the times, in epoch ms, at which the records of each window arrived, by the start of the window."""
    found = collections.defaultdict(set)
    for line in lake.lines('one', 'backup/'):
        arrival_ms = int(line['approximateArrivalTimestamp'])
        found[align_down(arrival_ms, FLUSH_MS)].add(arrival_ms)
    return dict(found)


def window_of_two_arrivals(lake: Lake) -> int:
    """Return a window that has others before and after it and whose records arrived at more than one time."""
    found = arrivals(lake)
    return next(window for window in sorted(found)[2:-1] if len(found[window]) > 1)


def last_arrival(lake: Lake, window_ms: int) -> int:
    """Return the time, in epoch ms, at which the last record of a window arrived."""
    return max(arrivals(lake)[window_ms])


def difference(lake: Lake, prefix: str, whole: str, since_ms: int) -> str:
    """Return the first object that differs between two prefixes from a time on, '' if there is none."""
    if not lake.manifests(prefix):
        return 'manifests/: none is there'
    ours, theirs = (_since(lake, name, since_ms) for name in (prefix, whole))
    for key in sorted(ours.keys() | theirs.keys()):
        if ours.get(key) != theirs.get(key):
            return f'{key}: {ours.get(key)} is not {theirs.get(key)}'
    return ''


def _since(lake: Lake, prefix: str, since_ms: int) -> dict[str, Any]:
    stamp = iso(since_ms).replace('-', '').replace(':', '')
    return {key: value for key, value in itertools.chain(lake.objects(prefix).items(), lake.manifests(prefix).items())
            if key.rsplit('/', 1)[1] >= stamp}
