from __future__ import annotations

import pytest

from pipeline.commit.ledger import add_up
from pipeline.commit.manifests import make_manifest, write_manifest
from pipeline.commit.resume_point import ResumePoint
from pipeline.errors import RunRefused
from pipeline.kinesis.settings import StreamInfo
from pipeline.run.start import Start, fresh, past_former, resumed
from pipeline.stores.base import MemoryStore
from tests.command_lines import options_of
from tests.ledgers import balanced, position
from tests.run.test_plan import DAY, HOUR, NOW, OLD, YOUNG, ScriptedCalls, at, settings

TWO = {'app': OLD, 'other': OLD}
SKIP = options_of('--on_gap', 'skip')


def info(name: str = 'app', created_ms: int = OLD, retention_ms: int = DAY) -> StreamInfo:
    return StreamInfo(name, name, '', created_ms, retention_ms)


def resume(end_ms: int, *streams: StreamInfo, kept: tuple[tuple[str, str, str], ...] = (),
           arrivals: dict[str, int] | None = None) -> Start:
    """Resume two streams at `end_ms`, which was read up to record 7 of each shard in `arrivals`."""
    positions = {key: position('7', arrival_ms=arrival_ms) for key, arrival_ms in (arrivals or {}).items()}
    point = ResumePoint(end_ms, 0, positions, settings(created=TWO))
    return resumed(point, SKIP, streams, ScriptedCalls(TWO, kept=kept), NOW)


@pytest.mark.parametrize(('clock', 'lost'), [('10:18:59', False), ('10:19:01', True)])
def test_stamps_that_are_out_of_order_by_a_minute_are_kept_too_or_the_start_is_a_gap(clock: str, lost: bool) -> None:
    options = options_of('--start', '2026-11-22T10:20:00Z')

    if lost:
        with pytest.raises(RunRefused, match='^--start: stream app keeps only what arrived since 2026-11-22T10:19:01Z'):
            fresh(options, [info()], at(clock))
    else:
        assert fresh(options, [info()], at(clock)).ms == at('10:20:00') - DAY


def test_a_start_at_this_very_moment_is_not_in_the_future() -> None:
    assert fresh(options_of('--start', '2026-11-23T10:15:00Z'), [info()], at('10:15:00')).ms == at('10:15:00')


@pytest.mark.parametrize(('seconds', 'clock'), [(30, '10:18:30'), (60, '10:19:00'), (300, '10:25:00')])
def test_the_first_whole_window_begins_a_window_and_at_least_a_minute_past_the_horizon(
        seconds: int, clock: str) -> None:
    assert fresh(options_of('--flush_interval_s', f'{seconds}'), [info()], NOW).ms == at(clock) - DAY


def test_earliest_of_streams_with_several_retentions_is_that_of_the_shortest() -> None:
    for streams in ([info(), info('other', retention_ms=2 * DAY)], [info(retention_ms=2 * DAY), info('other')]):
        assert fresh(options_of(), streams, NOW).ms == at('10:25:00') - DAY


def test_a_gap_of_any_stream_is_found_and_all_go_on_where_each_is_whole() -> None:
    short, long = info(retention_ms=DAY), info('other', retention_ms=2 * DAY)

    for streams in ((short, long), (long, short)):
        assert resume(at('10:00:00') - 3 * DAY, *streams).ms == at('10:25:00') - DAY
        found = resume(at('10:00:00') - DAY - HOUR, *streams)
        assert found.ms == at('10:25:00') - DAY
        assert found.note.startswith('stream app keeps only what arrived since 2026-11-22T10:17:21Z')


def test_what_arrived_at_the_horizon_is_kept() -> None:
    assert resume(NOW - DAY, *map(info, TWO)).note == ''
    assert resume(NOW - DAY - 1, *map(info, TWO)).note.startswith('stream app keeps only')


def test_behind_windows_of_former_streams_one_that_stayed_goes_on_where_they_end() -> None:
    older, former, now = TWO, {'app': OLD, 'other': YOUNG}, {'app': YOUNG, 'other': YOUNG}
    store, start = MemoryStore(), Start(at('09:00:00'), at('09:00:00'))
    for clock, created in (('09:00:00', older), ('09:05:00', former)):
        write_manifest(store, make_manifest(at(clock), 300_000, add_up(balanced()), settings(created=created)))

    moved = past_former(start, store, settings(created=now), end_ms=at('10:00:00'), flush_ms=300_000)

    assert (moved.ms, moved.since_ms) == (at('09:10:00'), at('09:10:00'))


def test_the_last_record_of_a_stream_is_looked_for_in_that_stream() -> None:
    end_ms = at('10:00:00') - 2 * DAY
    streams = [info(name, retention_ms=7 * DAY) for name in TWO]
    arrivals = {'app/a': end_ms - 2, 'other/b': end_ms - 1}

    kept = (('app', 'a', '7'), ('other', 'b', '7'))
    assert resume(end_ms, *streams, kept=kept, arrivals=arrivals).ms == end_ms
    assert resume(end_ms, *streams, kept=kept[:1], arrivals=arrivals).note.startswith('stream other keeps only')
