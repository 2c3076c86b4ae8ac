from __future__ import annotations

import dataclasses
import types
from typing import Any

import msgspec
import pytest

from pipeline.commit.ledger import add_up
from pipeline.commit.manifests import Settings, make_manifest, write_manifest
from pipeline.commit.resume_point import ResumePoint, follow, update_resume_point, write_resume_point
from pipeline.errors import ReadError, RunRefused
from pipeline.kinesis.api import ShardInfo, Summary
from pipeline.kinesis.calls import ask
from pipeline.kinesis.errors import PassingError
from pipeline.kinesis.positions import Cursor
from pipeline.kinesis.settings import StreamInfo
from pipeline.options.types import iso_ms
from pipeline.run.plan import Plan, make_plan, now_of
from pipeline.run.settings import former_layout, settings_of
from pipeline.source import ShardPosition
from pipeline.stores.base import MemoryStore
from pipeline.windows import iso
from tests.command_lines import options_of
from tests.ledgers import balanced, position

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
NOW = iso_ms('2026-11-23T10:17:21Z') or 0
YOUNG = NOW - 2 * HOUR - 1234  # created within its retention
OLD = NOW - 30 * DAY


def at(clock: str) -> int:
    return iso_ms(f'2026-11-23T{clock}Z') or 0


@dataclasses.dataclass
class ScriptedCalls:
    """Kinesis as a plan sees it: streams by name, each with its summary; fails on anything else that is asked."""

    created: dict[str, int]
    now_ms: int = NOW
    ahead_ms: dict[str, int] = dataclasses.field(default_factory=dict)
    shards: tuple[str, ...] = ()
    failures: int = 0
    retention_ms: int = DAY
    kept: tuple[tuple[str, str, str], ...] = ()

    def summary(self, stream: str) -> Summary:
        if self.failures:
            self.failures -= 1
            raise PassingError('InternalFailure')
        return Summary(self.created[stream], self.retention_ms, self.now_ms + self.ahead_ms.get(stream, 0))

    def holds(self, stream: str, shard: str, sequence: str) -> bool:
        return (stream, shard, sequence) in self.kept

    def list_shards(self, stream: str) -> tuple[list[ShardInfo], int]:
        assert stream in self.created
        return [ShardInfo(shard, 0, 9, True) for shard in self.shards], self.now_ms

    def iterator(self, *_: Any) -> str:
        raise AssertionError('a plan reads nothing')

    records: Any = iterator


def plan(*args: str, store: MemoryStore | None = None, **calls: Any) -> Plan:
    scripted = ScriptedCalls(**{'created': {'app': YOUNG}, **calls})
    return make_plan(options_of(*args), scripted, store if store is not None else MemoryStore())


def refusal(*args: str, **given: Any) -> str:
    with pytest.raises(RunRefused) as error:
        plan(*args, **given)
    return str(error.value)


def settings(*args: str, created: dict[str, int] | None = None) -> Settings:
    streams = [StreamInfo(name, name, '', created_ms, DAY) for name, created_ms in (created or {'app': YOUNG}).items()]
    return settings_of(options_of(*args), streams)


def test_an_output_without_a_bound_on_the_age_of_events_gets_one_and_the_report_says_so() -> None:
    store = MemoryStore()
    write_resume_point(store, ResumePoint(at('10:00:00'), 0, {}, settings('--max_event_age_days', 'none')))

    made = plan(store=store)

    assert made.notes == ('--max_event_age_days: was none, is 400: so for what arrives from 2026-11-23T10:00:00Z on',)
    assert (made.start_ms, made.former) == (at('10:00:00'), None)
    assert noted(made).settings == settings()


POSITIONS = {f'app/shardId-{shard}': ShardPosition(sequence=str(shard), since_ms=0, arrival_ms=5, open=shard != 2)
             for shard in (2, 1)}


def resumable(end_ms: int, positions: dict[str, ShardPosition] | None = None, **created: int) -> MemoryStore:
    """A store with a resume.json that ends there."""
    store = MemoryStore()
    known = settings(created=created or {'app': YOUNG})
    write_resume_point(store, ResumePoint(end_ms, 0, POSITIONS if positions is None else positions, known))
    store.effects.clear()
    return store


def noted(made: Plan) -> ResumePoint:
    """What resume.json must say before the run begins, without what it owes."""
    assert made.preparation.resume_point
    return msgspec.structs.replace(made.preparation.resume_point, generation=0, cleanup=None, replay=None)


def times(made: Plan) -> tuple[int, int | None, int]:
    return made.start_ms, made.stop_ms, made.since_ms


@pytest.mark.parametrize(('args', 'expected'), [
    (['--start', 'latest'], (at('10:15:00'), None)),
    (['--start', 'earliest'], (at('08:15:00'), None)),
    ([], (at('08:15:00'), None)),
    (['--stop', 'now'], (at('08:15:00'), at('10:15:00'))),
    (['--stop', '2026-11-23T10:14:59Z'], (at('08:15:00'), at('10:10:00'))),
    (['--stop', '2026-11-24T00:00:00Z'], (at('08:15:00'), at('00:00:00') + DAY)),
    (['--start', '2026-11-23T09:01:00Z'], (at('09:00:00'), None)),
    (['--start', '2026-11-23T10:17:21Z'], (at('10:15:00'), None)),
    (['--start', '2026-11-20T00:00:00Z'], (at('08:15:00'), None)),
    (['--start', 'latest', '--flush_interval_s', '3600'], (at('10:00:00'), None))])
def test_start_and_stop_are_window_starts_by_the_clock_of_aws(
        args: list[str], expected: tuple[int, int | None]) -> None:
    assert times(plan(*args)) == (*expected, expected[0])


def test_the_time_is_that_of_aws() -> None:
    assert now_of(ScriptedCalls({'app': YOUNG}, now_ms=7), plan().streams) == 7


def test_a_stream_by_its_arn_is_asked_by_it_and_goes_by_its_name() -> None:
    arn = 'arn:aws:kinesis:eu-west-1:123456789012:stream/app'

    made = plan('--stream', f'ios={arn}', '--aws_region', 'eu-west-1', created={arn: YOUNG})

    assert made.streams == (StreamInfo('app', arn, 'ios', YOUNG, DAY),)


def test_of_several_streams_the_earliest_answer_counts() -> None:
    made = plan('--stream', 'app', '--stream', 'other', '--start', 'latest', created={'app': YOUNG, 'other': YOUNG},
                ahead_ms={'other': 600_000})

    assert made.start_ms == at('10:15:00')


def test_a_start_in_the_future_is_refused() -> None:
    assert refusal('--start', '2026-11-23T10:20:00Z') == (
        '--start: got 2026-11-23T10:20:00Z, must not be in the future; AWS says 2026-11-23T10:17:21Z')


@pytest.mark.parametrize('args', [[], ['--start', 'latest'], ['--start', 'earliest', '--stop', 'now'],
                                  ['--start', '2026-11-23T09:00:00Z', '--stop', 'now']])
def test_a_run_without_resume_sets_it_to_its_start(args: list[str]) -> None:
    made = plan(*args)

    assert noted(made) == ResumePoint(made.start_ms, made.start_ms, {}, settings())
    assert made.moves_resume_point


def test_planning_writes_nothing() -> None:
    store = resumable(at('10:00:00'))
    plan(store=store)
    plan('--start', 'latest', store=store)

    assert store.effects == []


@pytest.mark.parametrize('args', [[], ['--start', 'resume'], ['--stop', 'now']])
def test_resume_goes_on_by_sequence_number(args: list[str]) -> None:
    made = plan(*args, store=resumable(at('10:00:00')))

    assert (made.start_ms, made.since_ms) == (at('10:00:00'), 0)
    assert made.cursors == (Cursor('app', 'shardId-1', 0, '1', 5), Cursor('app', 'shardId-2', 0, '2', 5, closed=True))
    assert (made.preparation.resume_point, made.moves_resume_point, made.notes) == (None, True, ())


def test_a_resume_before_anything_was_committed_reads_from_the_first_start() -> None:
    store = MemoryStore()
    write_resume_point(store, ResumePoint(at('10:00:00'), at('10:00:00'), {}, settings()))

    assert times(plan(store=store)) == (at('10:00:00'), None, at('10:00:00'))


def test_resume_passes_over_windows_that_a_killed_run_committed() -> None:
    store = resumable(at('10:00:00'))
    for window in ('10:00:00', '10:05:00', '10:15:00'):
        write_manifest(store, make_manifest(at(window), 300_000, add_up(balanced()), settings()))

    made = plan(store=store)

    assert made.start_ms == at('10:10:00')
    assert made.cursors == (Cursor('app', 'a', 0, '5', 5),)


def test_resume_without_anything_to_resume_is_refused() -> None:
    assert refusal('--start', 'resume') == (
        '--start=resume: there is no resume.json at --output; start at earliest, latest or a time')


@pytest.mark.parametrize('start', ['latest', 'earliest', '2026-11-23T09:00:00Z'])
def test_an_explicit_start_is_that_of_a_new_output_a_service_goes_on(start: str) -> None:
    made = plan('--start', start, store=resumable(at('10:00:00')))

    assert (made.start_ms, len(made.cursors)) == (at('10:00:00'), 2)
    assert (made.preparation.resume_point, made.moves_resume_point) == (None, True)
    assert made.notes == (
        f'--start={start} counts for a new output only: going on from 2026-11-23T10:00:00Z',)


def test_a_service_with_a_start_of_its_own_is_told_of_a_gap_and_skips_it_as_one_without() -> None:
    store = resumable(at('10:15:00') - DAY, app=OLD)

    assert refusal('--start', 'latest', created={'app': OLD}, store=store).startswith(f'--start=resume: {LOST}')
    made = plan('--start', 'latest', '--on_gap', 'skip', created={'app': OLD}, store=store)
    assert made.notes == (f'{LOST}: went on at 2026-11-22T10:25:00Z',
                          '--start=latest counts for a new output only: going on from 2026-11-22T10:25:00Z')


def test_a_bounded_run_with_a_start_of_its_own_leaves_resume_alone() -> None:
    made = plan('--start', 'earliest', '--stop', 'now', store=resumable(at('10:00:00')))

    assert (made.preparation.resume_point, made.moves_resume_point, made.notes) == (None, False, ())


@pytest.mark.parametrize('stop', [[], ['--stop', 'now']])
@pytest.mark.parametrize(('start', 'begins'), [
    ('earliest', at('08:15:00')), ('2026-11-23T09:00:00Z', at('09:00:00'))])
def test_starting_over_moves_resume_whether_bounded_or_not(start: str, begins: int, stop: list[str]) -> None:
    made = plan('--start', start, '--start_over', *stop, store=resumable(at('10:00:00')))

    assert (made.start_ms, made.cursors, made.moves_resume_point) == (begins, (), True)
    assert noted(made) == ResumePoint(begins, begins, {}, settings())
    assert made.notes == (f'starting over at {iso(begins)}, resume.json was at 2026-11-23T10:00:00Z: leave '
                          '--start_over out from now on, or each run starts over',)


def test_starting_over_at_the_tip_skips_what_is_between_on_purpose() -> None:
    assert plan('--start', 'latest', '--start_over', store=resumable(at('10:00:00'))).start_ms == at('10:15:00')


def test_an_output_without_resume_may_start_over_too() -> None:
    made = plan('--start', 'earliest', '--start_over')

    assert noted(made) == ResumePoint(at('08:15:00'), at('08:15:00'), {}, settings())


AGAIN = YOUNG + HOUR
MADE_AGAIN = ('--stream app: was created at 2026-11-23T09:17:19.766Z, but resume.json goes on in one created at '
              '2026-11-23T08:17:19.766Z: its positions mean nothing here; start over with --start=earliest '
              '--start_over, or write to another --output')


@pytest.mark.parametrize('args', [[], ['--start', 'earliest'], ['--start', 'earliest', '--stop', 'now'],
                                  ['--start', 'latest'], ['--start', '2026-11-23T09:20:00Z', '--stop', 'now']])
def test_a_stream_made_again_is_refused_in_every_run_until_one_starts_over(args: list[str]) -> None:
    store = resumable(at('09:00:00'))

    assert refusal(*args, store=store, created={'app': AGAIN}) == MADE_AGAIN
    made = plan('--start', 'earliest', '--start_over', store=store, created={'app': AGAIN})
    assert noted(made) == ResumePoint(at('09:15:00'), at('09:15:00'), {}, settings(created={'app': AGAIN}))


def committed(store: MemoryStore, *clocks: str, created: dict[str, int] | None = None, args: tuple[str, ...] = (),
              flush_ms: int = 300_000) -> MemoryStore:
    """Put manifests of the windows that begin at those times."""
    for clock in clocks:
        known = settings(*args, created=created)
        write_manifest(store, make_manifest(at(clock), flush_ms, add_up(balanced()), known))
    return store


def test_starting_over_keeps_the_windows_of_the_former_stream_and_loses_nothing_of_the_new_one() -> None:
    store = committed(resumable(at('09:25:00')), '09:15:00', '09:20:00')

    made = plan('--start', 'earliest', '--start_over', store=store, created={'app': AGAIN})

    assert times(made) == (at('09:25:00'), None, at('09:15:00'))  # what came before goes into the first open window
    assert made.notes[0] == 'windows up to 2026-11-23T09:25:00Z stay as they are: they hold what the former stream held'
    assert made.preparation.resume_point is not None
    write_resume_point(store, made.preparation.resume_point)
    assert times(plan(store=store, created={'app': AGAIN})) == times(made)


def test_of_several_streams_one_made_again_the_others_go_on_behind_what_is_committed() -> None:
    before, now = {'app': YOUNG, 'b': YOUNG}, {'app': YOUNG, 'b': AGAIN}
    store = committed(resumable(at('09:10:00'), **before), '08:55:00', '09:00:00', '09:05:00', created=before)
    args = ['--stream', 'app', '--stream', 'b', '--start', 'earliest', '--start_over']

    made = plan(*args, store=store, created=now)

    assert times(made) == (at('09:10:00'), None, at('09:10:00'))
    assert times(plan(*args, '--flush_interval_s', '900', store=store, created=now)) == (
        at('09:15:00'), None, at('09:10:00'))
    assert plan(*args, '--replace', store=store, created=now).start_ms == at('08:15:00')


def test_a_start_over_at_a_time_does_not_take_windows_from_the_former_stream() -> None:
    store = committed(resumable(at('09:25:00')), '09:15:00', '09:20:00')
    args = ['--start', '2026-11-23T09:15:00Z', '--start_over']

    assert refusal(*args, store=store, created={'app': AGAIN}) == (
        'window 2026-11-23T09:15:00Z is committed with other settings (--stream: was app created at '
        '2026-11-23T08:17:19.766Z, is app created at 2026-11-23T09:17:19.766Z), and holds what the former stream held: '
        'begin after it with --start=2026-11-23T09:25:00Z --start_over')
    args[1] = '2026-11-23T09:25:00Z'
    assert plan(*args, store=store, created={'app': AGAIN}).start_ms == at('09:25:00')


OTHER_APP = {'app': YOUNG, 'other': YOUNG}


@pytest.mark.parametrize(('streams', 'named'), [
    (['other'], 'was app, is other'), (['app', 'other'], 'was app, is app other'),
    (['web=app'], 'was app, is web=app')])
@pytest.mark.parametrize('replace', [[], ['--replace']])
def test_a_replay_of_other_streams_leaves_no_window_in_the_way_of_the_outputs_own_job(
        streams: list[str], named: str, replace: list[str]) -> None:
    args = [word for stream in streams for word in ('--stream', stream)]
    store = committed(resumable(at('10:00:00')), '09:55:00')

    assert refusal(*args, '--start', '2026-11-23T10:00:00Z', '--stop', 'now', *replace, store=store,
                   created=OTHER_APP) == (
        f'--stream: {named}: resume.json goes on at 2026-11-23T10:00:00Z with the former, and windows of this run '
        'would be in its way; keep to it, or write to another --output')


def test_a_replay_with_another_placement_writes_committed_windows_again_and_no_others() -> None:
    store = committed(resumable(at('10:00:00')), '09:00:00', '09:05:00')
    two = ['--output_shards', '2', '--start', '2026-11-23T09:00:00Z', '--stop']

    assert 'give --replace to write it again' in refusal(*two, '2026-11-23T09:10:00Z', store=store)
    assert refusal(*two, '2026-11-23T09:15:00Z', store=store) == (
        '--output_shards: was 1, is 2: resume.json goes on with the former, and not every window from '
        '2026-11-23T09:00:00Z to 2026-11-23T09:15:00Z is committed; keep to it, give --replace, or write to another '
        '--output')
    assert plan(*two, '2026-11-23T09:15:00Z', '--replace', store=store).moves_resume_point is False
    assert '--output_shards: was 1, is 2: resume.json goes on at' in refusal(*two, 'now', '--replace', store=store)


def test_a_replay_with_the_former_placement_is_a_check_of_windows_that_have_it() -> None:
    store = committed(resumable(at('10:00:00')), '09:00:00', args=('--output_shards', '2'))

    assert plan('--output_shards', '2', '--start', '2026-11-23T09:00:00Z', '--stop', '2026-11-23T09:05:00Z',
                store=store).stop_ms == at('09:05:00')


def test_an_output_that_lost_resume_is_not_given_to_other_streams() -> None:
    store = committed(MemoryStore(), '09:00:00', '09:05:00')
    store['manifests/year=2026/month=12/notes.txt'] = b''
    args = ['--stream', 'other', '--start']

    assert refusal(*args, 'latest', store=store, created=OTHER_APP) == (
        '--stream: was app, is other: there is no resume.json at --output, but windows up to 2026-11-23T09:10:00Z are '
        'committed from the former; put it back, write to another --output, or begin after them with '
        '--start=2026-11-23T09:10:00Z --start_over')
    assert plan(*args, '2026-11-23T09:10:00Z', '--start_over', store=store, created=OTHER_APP).moves_resume_point


def test_a_service_that_lost_resume_does_not_skip_to_the_tip() -> None:
    store = committed(MemoryStore(), '09:00:00', '09:05:00')

    assert refusal('--start', 'latest', store=store) == (
        '--start=latest: there is no resume.json at --output, but windows up to 2026-11-23T09:10:00Z are committed; '
        'put it back, or go on after the last window before which none is missing: --start=2026-11-23T09:10:00Z, if '
        'none is')
    assert plan('--start', '2026-11-23T09:10:00Z', store=store).start_ms == at('09:10:00')
    assert plan(store=store).start_ms == at('08:15:00')


BEHIND = Cursor('app', 'a', 0, '5', 5)


@pytest.mark.parametrize('args', [
    ['--start', '2026-11-23T09:10:00Z', '--stop', '2026-11-23T09:15:00Z'], ['--start', '2026-11-23T09:10:00Z'],
    ['--start', '2026-11-23T09:10:00Z', '--start_over']])
def test_a_start_at_the_end_of_a_committed_window_begins_from_its_positions(args: list[str]) -> None:
    resumes = '--stop' in args or '--start_over' in args
    store = committed(resumable(at('10:00:00')) if resumes else MemoryStore(), '09:00:00', '09:05:00')

    made = plan(*args, store=store)

    assert (made.start_ms, made.since_ms, made.cursors) == (at('09:10:00'), 0, (BEHIND,))
    if made.moves_resume_point:
        assert noted(made) == ResumePoint(at('09:10:00'), 0, {'app/a': position('5')}, settings())


def test_a_start_at_the_tip_begins_from_positions_too() -> None:
    store = committed(resumable(at('10:00:00')), '10:10:00')

    assert plan('--start', 'latest', '--start_over', store=store).cursors == (BEHIND,)


@pytest.mark.parametrize('created', [{'app': AGAIN}, {'other': YOUNG}])
def test_a_start_behind_a_window_of_other_streams_is_a_time(created: dict[str, int]) -> None:
    store = committed(MemoryStore(), '09:05:00')
    streams = [word for name in created for word in ('--stream', name)]

    made = plan(*streams, '--start', '2026-11-23T09:20:00Z', '--start_over', store=committed(store, '09:15:00'),
                created=created)

    assert (made.since_ms, made.cursors) == (at('09:20:00'), ())


def test_of_streams_that_are_no_longer_read_no_position_is_taken() -> None:
    store = committed(MemoryStore(), '09:05:00', created={'app': YOUNG, 'other': YOUNG})

    made = plan('--stream', 'other', '--start', '2026-11-23T09:10:00Z', '--start_over', store=store,
                created={'other': YOUNG})

    assert (made.since_ms, made.cursors) == (0, ())


def test_earliest_of_an_old_stream_is_the_first_whole_window_past_the_horizon() -> None:
    made = plan('--start', 'earliest', created={'app': OLD})

    assert made.start_ms == at('10:25:00') - DAY
    assert made.notes == ('what arrived before 2026-11-22T10:25:00Z was skipped: its retention ends',)


def test_earliest_of_an_old_and_a_young_stream_is_that_of_the_old_one() -> None:
    made = plan('--stream', 'app', '--stream', 'new', '--start', 'earliest', created={'app': OLD, 'new': YOUNG})

    assert made.start_ms == at('10:25:00') - DAY


def test_earliest_of_two_young_streams_is_that_of_the_older_one() -> None:
    created = {'app': YOUNG, 'new': YOUNG + HOUR}

    assert plan('--stream', 'app', '--stream', 'new', created=created).start_ms == at('08:15:00')


LOST = ('stream app keeps only what arrived since 2026-11-22T10:17:21Z, what arrived from 2026-11-22T10:15:00Z on is '
        'lost in part')


def test_a_resume_past_the_horizon_is_refused_by_one_line_that_says_what_is_lost() -> None:
    store = resumable(at('10:15:00') - DAY, app=OLD)

    assert refusal(created={'app': OLD}, store=store) == (
        f'--start=resume: {LOST}; --on_gap=skip goes on at 2026-11-22T10:25:00Z')


def test_a_gap_that_is_skipped_goes_on_at_the_first_whole_window_with_every_shard() -> None:
    store = resumable(at('10:15:00') - DAY, app=OLD)

    made = plan('--on_gap', 'skip', created={'app': OLD}, store=store)

    start_ms = at('10:25:00') - DAY
    assert times(made) == (start_ms, None, start_ms)
    assert made.cursors == ()
    assert noted(made) == ResumePoint(start_ms, start_ms, {}, settings(created={'app': OLD}))
    assert made.notes == (f'{LOST}: went on at 2026-11-22T10:25:00Z',)


def read_up_to(end_ms: int) -> MemoryStore:
    """A store with a resume.json that ends there; two records were read, the last one a minute before."""
    positions = {f'app/shardId-{shard}': position(str(shard), arrival_ms=end_ms - shard * MINUTE) for shard in (2, 1)}
    return resumable(end_ms, positions, app=OLD)


def test_what_expired_before_retention_was_raised_is_a_gap_all_the_same() -> None:
    raised: dict[str, Any] = {'created': {'app': OLD}, 'retention_ms': 7 * DAY}
    store = read_up_to(at('10:15:00') - 2 * DAY)

    assert refusal(store=store, **raised) == (
        '--start=resume: stream app keeps only what arrived since 2026-11-22T10:17:21Z, what arrived from '
        '2026-11-21T10:15:00Z on is lost in part; --on_gap=skip goes on at 2026-11-22T10:25:00Z')
    assert plan('--on_gap', 'skip', store=store, **raised).start_ms == at('10:25:00') - DAY
    assert plan(store=store, kept=(('app', 'shardId-1', '1'),), **raised).start_ms == at('10:15:00') - 2 * DAY


@pytest.mark.parametrize(('end_ms', 'positions'), [
    (at('10:20:00') - DAY, None),  # less than a day ago
    (at('10:15:00') - 2 * DAY, {'app/a': position(None, since_ms=5, arrival_ms=0)}),
    (at('10:15:00') - 2 * DAY, {'app/a': position('1', arrival_ms=NOW - 8 * DAY)})],
    ids=['surely kept', 'nothing was read', 'retention of now has dropped it'])
def test_where_the_last_record_proves_nothing_retention_is_believed(
        end_ms: int, positions: dict[str, ShardPosition]) -> None:
    store = resumable(end_ms, positions, app=OLD) if positions else read_up_to(end_ms)

    assert plan(store=store, created={'app': OLD}, retention_ms=7 * DAY).start_ms == end_ms


def test_a_start_within_a_minute_of_the_horizon_is_a_gap_too() -> None:
    assert '--start: stream app keeps only' in refusal('--start', '2026-11-22T10:15:00Z', created={'app': OLD})
    assert plan('--start', '2026-11-22T10:20:00Z', created={'app': OLD}).start_ms == at('10:20:00') - DAY


def test_another_layout_goes_on_with_the_former_one_up_to_the_hour() -> None:
    made = plan('--output_shards', '2', '--new_layout', store=resumable(at('10:15:00')))

    assert (made.former, made.former_until_ms) == (settings().placement, at('11:00:00'))


def test_a_stream_that_grew_goes_on_with_the_layout_that_it_had() -> None:
    grown: dict[str, Any] = {'shards': tuple(f'shardId-{number}' for number in range(126)),
                             'store': resumable(at('10:05:00'))}

    for args in ([], ['--stop', 'now']):
        made = plan(*args, **grown)
        assert (made.start_ms, made.former) == (at('10:05:00'), None)
    assert 'give --new_layout to change from the next full hour on' in refusal('--output_shards', '2', **grown)
    made = plan('--output_shards', '2', '--new_layout', **grown)
    assert (made.former, made.former_until_ms) == (settings().placement, at('11:00:00'))


def test_windows_of_the_former_layout_before_the_hour_are_not_in_the_way_of_the_new_one() -> None:
    store = committed(resumable(at('10:15:00')), '10:20:00')

    assert plan('--output_shards', '2', '--new_layout', store=store).former == settings().placement


def test_at_the_hour_the_new_layout_begins_from_the_same_positions() -> None:
    made = plan('--output_shards', '2', '--new_layout', store=resumable(at('10:00:00')))

    assert (made.former, made.start_ms, len(made.cursors)) == (None, at('10:00:00'), 2)


def test_another_layout_is_refused_where_it_was_not_asked_for() -> None:
    assert '--output_shards: was 1, is 2' in refusal('--output_shards', '2', store=resumable(at('10:00:00')))


def with_old(end_ms: int, *args: str) -> MemoryStore:
    """A store with a resume.json that ends there and goes on in `app` and `old`, with the layout of those options."""
    store = MemoryStore()
    positions = {**POSITIONS, 'old/shardId-1': POSITIONS['app/shardId-1']}
    write_resume_point(store, ResumePoint(end_ms, 0, positions, settings(*args, created={'app': YOUNG, 'old': YOUNG})))
    return store


LEFT_OUT = ('stream old is left out: what arrived in it from 2026-11-23T10:05:00Z on is not read, and lost if the '
            'stream is deleted')


def test_a_stream_that_was_deleted_is_left_out_at_once_and_the_report_says_what_is_lost() -> None:
    store = with_old(at('10:05:00'))

    made = plan('--new_layout', store=store)

    assert [cursor.key for cursor in made.cursors] == ['app/shardId-1', 'app/shardId-2']
    assert (made.former, made.start_ms, made.notes) == (None, at('10:05:00'), (LEFT_OUT,))
    assert refusal(store=store) == (
        '--stream: was app old, is app: resume.json goes on with the former; keep to it, or give --new_layout to '
        'change from 2026-11-23T10:05:00Z on')


def test_another_layout_waits_for_the_hour_without_the_stream_that_was_deleted() -> None:
    store = with_old(at('10:05:00'), '--output_shards', '2')

    made = plan('--new_layout', store=store)
    assert (made.former, made.former_until_ms) == (
        settings('--output_shards', '2', created={'app': YOUNG, 'old': YOUNG}).placement, at('11:00:00'))
    first = former_layout(options_of('--new_layout'), made.former)  # type: ignore[arg-type]
    assert make_plan(first, ScriptedCalls({'app': YOUNG}), store).former is None  # what a run does up to the hour


def test_a_gap_of_one_stream_does_not_hide_what_another_one_loses() -> None:
    store = resumable(at('10:15:00') - DAY, app=OLD, old=OLD)

    made = plan('--new_layout', '--on_gap', 'skip', store=store, created={'app': OLD})

    assert made.notes == (f'{LOST}: went on at 2026-11-22T10:25:00Z; ' + LEFT_OUT.replace('23T10:05', '22T10:15'),)


def test_positions_of_a_stream_that_was_left_out_never_count_for_another_one_of_its_name() -> None:
    store = with_old(at('10:05:00'))
    both = ['--stream', 'app', '--stream', 'old', '--new_layout']
    again = {'app': YOUNG, 'old': AGAIN}
    plan('--new_layout', store=store)

    assert '--stream old: was created at' in refusal(*both, store=store, created=again)  # nothing was committed yet
    committed(store, '10:05:00')
    update_resume_point(store, lambda before: before and follow(store, before, settings()))
    made = plan(*both, store=store, created=again, shards=('shardId-1',))
    assert [cursor for cursor in made.cursors if cursor.stream == 'old'] == [
        Cursor('old', 'shardId-1', since_ms=at('10:10:00'))]


def test_a_resume_point_of_an_earlier_version_of_the_layout_goes_on_and_notes_its_own() -> None:
    store = MemoryStore()
    before = settings()
    before = msgspec.structs.replace(before, placement=msgspec.structs.replace(before.placement, layout=1))
    write_resume_point(store, ResumePoint(at('10:05:00'), 0, POSITIONS, before))

    for args in ([], ['--new_layout'], ['--stop', 'now']):
        made = plan(*args, store=store)
        assert (made.start_ms, made.former, len(made.cursors)) == (at('10:05:00'), None, 2)
        assert noted(made) == ResumePoint(at('10:05:00'), 0, POSITIONS, settings())
        end_ms = at('10:15:00') if '--stop' in args else at('11:00:00') + DAY
        assert made.preparation.orphan_range == (at('10:05:00'), end_ms)


def test_a_stream_that_is_added_is_read_from_the_first_window_on() -> None:
    made = plan('--stream', 'app', '--stream', 'new', '--new_layout', store=resumable(at('10:00:00')),
                created={'app': YOUNG, 'new': YOUNG}, shards=('shardId-1', 'shardId-2'))

    assert made.cursors[2:] == (Cursor('new', 'shardId-1', at('10:00:00')), Cursor('new', 'shardId-2', at('10:00:00')))
    assert made.notes == ('stream new is new: read from 2026-11-23T10:00:00Z on',)
    assert made.preparation.resume_point is None


def test_committed_windows_of_other_settings_are_not_rewritten_unless_replaced() -> None:
    store = resumable(at('10:00:00'))
    write_manifest(store, make_manifest(at('09:00:00'), 300_000, add_up(balanced()), settings()))
    args = ['--start', '2026-11-23T09:00:00Z', '--rename', 'none']
    over = [*args, '--start_over']

    assert 'window 2026-11-23T09:00:00Z is committed with other settings' in refusal(*over, store=store)
    assert 'window 2026-11-23T09:00:00Z is committed' in refusal(
        *args, '--stop', '2026-11-23T10:00:00Z', store=store)
    assert refusal(*args, '--stop', 'now', '--replace', store=store) == (
        '--rename, --json_field or the version of the transforms: resume.json goes on at 2026-11-23T10:00:00Z with the '
        'former, and windows of this run would be in its way; keep to it, end at --stop=2026-11-23T10:00:00Z, or write '
        'to another --output')
    assert plan(*args, '--stop', '2026-11-23T09:00:00Z', '--start', '2026-11-23T08:00:00Z', store=store).start_ms
    assert plan(*over, '--replace', store=store).start_ms == at('09:00:00')


def test_a_resume_with_other_settings_looks_for_what_the_former_run_left_and_notes_its_own() -> None:
    store = resumable(at('10:00:00'))

    made = plan('--rename', 'none', store=store)

    assert made.preparation.orphan_range == (at('10:00:00'), at('11:00:00') + DAY)
    assert noted(made) == ResumePoint(at('10:00:00'), 0, POSITIONS, settings('--rename', 'none'))
    assert made.preparation.resume_point is not None
    assert made.preparation.cleanup
    done = msgspec.structs.replace(made.preparation.cleanup, begun=True)
    write_resume_point(store, msgspec.structs.replace(made.preparation.resume_point, cleanup=done))
    again = plan('--rename', 'none', store=store)
    assert (again.preparation.generation, again.cursors) == (1, made.cursors)
    assert plan(store=store).preparation.orphan_range == made.preparation.orphan_range


def test_a_preparation_that_was_cut_short_takes_over_once_more() -> None:
    store = resumable(at('10:00:00'))
    made = plan('--rename', 'none', store=store)
    assert made.preparation.resume_point
    write_resume_point(store, made.preparation.resume_point)

    again = plan('--rename', 'none', store=store)

    assert (made.preparation.generation, again.preparation.generation) == (1, 2)
    assert again.preparation.orphan_range == made.preparation.orphan_range


def test_a_stream_that_is_added_is_not_noted_before_it_has_positions() -> None:
    args = ['--stream', 'app', '--stream', 'new', '--new_layout', '--rename', 'none']
    known = {'app': YOUNG, 'new': YOUNG}
    store = resumable(at('10:00:00'))
    for _ in range(2):  # as first started, and again after an end before anything was committed
        made = plan(*args, store=store, created=known, shards=('shardId-1',))

        assert made.cursors[2:] == (Cursor('new', 'shardId-1', at('10:00:00')),)
        assert made.preparation.orphan_range
        if made.preparation.resume_point:
            write_resume_point(store, made.preparation.resume_point)


@pytest.mark.parametrize(('args', 'end'), [
    (['--stop', 'now', '--replace'], at('10:00:00')),  # beyond are the windows of the run that moves resume.json
    (['--stop', '2026-11-23T09:30:00Z', '--replace'], at('09:30:00')),
    (['--start_over', '--replace'], at('11:00:00') + DAY)])
def test_a_run_that_replaces_looks_for_leftovers_in_its_own_windows(args: list[str], end: int) -> None:
    made = plan('--start', '2026-11-23T09:00:00Z', *args, store=resumable(at('10:00:00')))

    assert made.preparation.orphan_range == (at('09:00:00'), end)


@pytest.mark.parametrize('args', [[], ['--start', '2026-11-23T09:00:00Z'], ['--start', 'earliest', '--stop', 'now'], [
    '--start', 'earliest', '--stop', '2026-11-23T10:00:00Z', '--rename', 'none']])
def test_other_runs_list_no_objects(args: list[str]) -> None:
    assert plan(*args, store=resumable(at('10:00:00'))).preparation.orphan_range is None
    assert plan(*args[:2]).preparation.orphan_range is None


def test_a_stop_in_the_far_future_is_planned_at_once() -> None:
    store = resumable(at('10:00:00'))
    days: list[str] = []
    store.list = lambda prefix: days.append(prefix) or iter(())  # type: ignore[func-returns-value,method-assign]

    assert plan('--stop', '2999-01-01T00:00:00Z', store=store).stop_ms == iso_ms('2999-01-01T00:00:00Z')
    assert days == [f'manifests/year=2026/month=11/day={day}/' for day in (23, 24)]


def test_a_continuous_run_may_replace_windows_of_another_flush_interval() -> None:
    store = resumable(at('10:00:00'))
    write_manifest(store, make_manifest(at('09:00:00'), 300_000, add_up(balanced()), settings()))

    made = plan('--start', '2026-11-23T09:00:00Z', '--start_over', '--flush_interval_s', '900', '--replace',
                store=store)

    assert times(made) == (at('09:00:00'), None, at('09:00:00'))


@pytest.fixture
def delays(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let time pass by waiting alone, and return the delays."""
    slept: list[float] = []
    monkeypatch.setattr('pipeline.aws.time', types.SimpleNamespace(monotonic=lambda: sum(slept), sleep=slept.append))
    return slept


def test_a_call_that_fails_for_now_is_made_again(delays: list[float]) -> None:
    calls = ScriptedCalls({'app': YOUNG}, failures=3)

    assert ask(calls.summary, 'app').created_ms == YOUNG
    assert [delay <= most <= 2 * delay for delay, most in zip(delays, [0.5, 1.0, 2.0], strict=True)] == [True] * 3


def test_a_run_that_has_begun_outlasts_an_outage_of_an_hour_and_says_so(
        delays: list[float], caplog: pytest.LogCaptureFixture) -> None:
    calls = ScriptedCalls({'app': YOUNG}, now_ms=7, failures=300)

    assert now_of(calls, plan().streams) == 7
    assert (len(delays), sum(delays) > 3600) == (300, True)
    assert caplog.messages == ['Kinesis for stream app fails with InternalFailure, trying again'] * 19


def test_a_call_that_goes_on_failing_is_told_in_one_line(delays: list[float]) -> None:
    with pytest.raises(ReadError) as error:
        ask(ScriptedCalls({}, failures=99).summary, 'app')

    assert str(error.value) == ('Kinesis does not answer for stream app (InternalFailure): check the endpoint, the '
                                'region and the network')
    assert 60 <= sum(delays) < 80
