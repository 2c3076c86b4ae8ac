from __future__ import annotations

import functools
from typing import Any

import msgspec
import pytest

from pipeline.commit.ledger import add_up
from pipeline.commit.manifests import Settings, make_manifest, write_manifest
from pipeline.commit.resume_point import ResumePoint
from pipeline.errors import RunRefused
from pipeline.kinesis.settings import StreamInfo
from pipeline.options.types import iso_ms
from pipeline.run.guard import check_replay, check_resume, check_rewrite
from pipeline.run.settings import settings_of
from pipeline.stores.base import MemoryStore
from tests.command_lines import options_of
from tests.ledgers import balanced

HOUR = iso_ms('2026-11-23T10:00:00Z') or 0
WINDOW = HOUR + 900_000
REPLACE = options_of('--replace')
CREATED = 1_700_000_000_000


def info(name: str = 'app', label: str = '', created_ms: int = CREATED) -> StreamInfo:
    return StreamInfo(name, name, label, created_ms, 86_400_000)


def settings(*args: str, streams: list[StreamInfo] | None = None) -> Settings:
    return settings_of(options_of(*args), streams or [info()])


def resume_point(before: Settings, end_ms: int = WINDOW) -> ResumePoint:
    return ResumePoint(end_ms, 0, {}, before)


def committed(before: Settings, *windows_ms: int, flush_ms: int = 300_000) -> MemoryStore:
    store = MemoryStore()
    for window_ms in windows_ms:
        write_manifest(store, make_manifest(window_ms, flush_ms, add_up(balanced()), before))
    return store


def refusal(call: Any, *args: Any, **named: Any) -> str:
    with pytest.raises(RunRefused) as error:
        call(*args, **named)
    return str(error.value)


def test_the_order_of_streams_on_the_command_line_does_not_matter() -> None:
    assert settings(streams=[info('a'), info('b')]) == settings(streams=[info('b'), info('a')])


@pytest.mark.parametrize(('args', 'streams', 'difference'), [
    (['--flush_interval_s', '60'], None, '--flush_interval_s: was 300, is 60'),
    (['--flush_size_mb', '32'], None, '--flush_size_mb: was 64, is 32'),
    (['--output_shards', '4'], None, '--output_shards: was 1, is 4'),
    (['--compression', 'none'], None, '--compression: was gzip, is none'),
    (['--partition_time', 'arrival'], None, '--partition_time: was event, is arrival'),
    (['--platform_field', 'os'], None, '--platform_field: was platform, is os'),
    (['--time_field', 'at'], None, '--time_field: was event_time, is at'),
    (['--time_field', 'at'], [info('b')], '--time_field: was event_time, is at, --stream: was app, is b'),
    (['--max_event_age_days', '30'], None, '--max_event_age_days: was 400, is 30'),
    (['--max_event_age_days', 'none'], None, '--max_event_age_days: was 400, is none'),
    (['--platforms', 'web,ios'], None, '--platforms: was any, is ios,web')])
def test_going_on_with_another_placement_is_refused_with_both_values(
        args: list[str], streams: list[StreamInfo] | None, difference: str) -> None:
    now = settings(*args, streams=streams)

    assert refusal(check_resume, resume_point(settings()), now, False) == (
        f'{difference}: resume.json goes on with the former; keep to it, or give --new_layout to change from the next '
        'full hour on')
    assert check_resume(resume_point(settings()), now, True) == HOUR + 3_600_000


def test_at_a_full_hour_the_new_layout_begins_at_once() -> None:
    assert check_resume(resume_point(settings(), HOUR), settings('--output_shards', '2'), True) is None


@pytest.mark.parametrize(('streams', 'difference'), [
    ([info(label='web')], 'was app old, is web=app'), ([info(), info('b')], 'was app old, is app b'),
    ([info()], 'was app old, is app'), ([info(), info('b'), info('old')], 'was app old, is app b old')])
@pytest.mark.parametrize('version', [1, 2])
def test_other_streams_are_refused_or_taken_at_once_by_new_layout(
        streams: list[StreamInfo], difference: str, version: int) -> None:
    before, now = of_version(version, streams=[info(), info('old')]), settings(streams=streams)

    assert refusal(check_resume, resume_point(before), now, False) == (
        f'--stream: {difference}: resume.json goes on with the former; keep to it, or give --new_layout to change from '
        '2026-11-23T10:15:00Z on')
    assert check_resume(resume_point(before), now, True) is None


def of_version(version: int, *args: str, streams: list[StreamInfo] | None = None) -> Settings:
    """Return settings that another version of this program made."""
    made = settings(*args, streams=streams)
    return msgspec.structs.replace(made, placement=msgspec.structs.replace(made.placement, layout=version))


@pytest.mark.parametrize('version', [1, 3])
@pytest.mark.parametrize('new_layout', [False, True])
def test_another_version_of_the_layout_goes_on_at_any_window_without_a_word(version: int, new_layout: bool) -> None:
    assert check_resume(resume_point(of_version(version)), settings(), new_layout) is None
    with pytest.raises(RunRefused, match='^--output_shards: was 2, is 1: resume.json goes on with the former; keep to'):
        check_resume(resume_point(of_version(version, '--output_shards', '2')), settings(), False)


def test_windows_of_another_version_of_the_layout_are_written_again_by_replace_alone() -> None:
    store, now = committed(of_version(1), WINDOW), settings()
    bounds = {'start_ms': WINDOW, 'end_ms': WINDOW + 300_000}

    assert refusal(check_rewrite, store, now, options_of(), **bounds) == (
        'window 2026-11-23T10:15:00Z is committed with other settings (the version of the layout: was 1, is 2): give '
        '--replace to write it again')
    check_rewrite(store, now, REPLACE, **bounds)
    behind = msgspec.structs.replace(resume_point(of_version(1)), end_ms=WINDOW + 300_000)
    for replace in (False, True):
        check_replay(store, behind, now, **bounds, replace=replace)
        assert refusal(check_replay, store, resume_point(of_version(1)), now, **bounds, replace=replace).startswith(
            'the version of the layout: was 1, is 2: resume.json goes on at')


def without_bounds(now: Settings) -> Settings:
    """Return the settings as a program read and wrote them that had no bounds on folders."""
    value = msgspec.to_builtins(now)
    del value['placement']['max_event_age_days'], value['placement']['platforms']
    return msgspec.convert(value, Settings)


def test_an_output_of_before_the_bounds_on_folders_goes_on_with_the_same_command_line() -> None:
    now, before = settings(), without_bounds(settings())

    assert check_resume(resume_point(before), now, False) is None
    check_replay(MemoryStore(), resume_point(before), now, start_ms=HOUR, end_ms=WINDOW, replace=False)
    other = settings('--platforms', 'ios', '--output_shards', '2')
    assert refusal(check_resume, resume_point(before), other, False).startswith(
        '--output_shards: was 1, is 2, --max_event_age_days: was none, is 400, --platforms: was any, is ios: ')


def test_windows_of_before_the_bounds_on_folders_are_written_again_without_a_bound_only() -> None:
    store, window = committed(without_bounds(settings()), WINDOW), {'start_ms': WINDOW, 'end_ms': WINDOW + 300_000}

    check_rewrite(store, settings('--max_event_age_days', 'none'), options_of(), **window)
    assert refusal(check_rewrite, store, settings(), options_of(), **window) == (
        'window 2026-11-23T10:15:00Z is committed with other settings (--max_event_age_days: was none, is 400): give '
        '--replace to write it again')


def test_other_content_goes_on_without_a_word() -> None:
    assert check_resume(resume_point(settings()), settings('--rename', 'none'), False) is None


@pytest.mark.parametrize('new_layout', [False, True])
def test_a_stream_that_was_made_again_is_refused_whatever_is_given(new_layout: bool) -> None:
    again = settings(streams=[info(created_ms=CREATED + 60_000)])

    assert refusal(check_resume, resume_point(settings()), again, new_layout) == (
        '--stream app: was created at 2023-11-14T22:14:20Z, but resume.json goes on in one created at '
        '2023-11-14T22:13:20Z: its positions mean nothing here; start over with --start=earliest --start_over, or '
        'write to another --output')


def test_committed_windows_of_equal_settings_may_be_written_again() -> None:
    check_rewrite(committed(settings(), WINDOW), settings(), options_of(), start_ms=WINDOW, end_ms=WINDOW + 300_000)


@pytest.mark.parametrize(('args', 'difference'), [
    (['--rename', 'none'], '--rename, --json_field or the version of the transforms'),
    (['--compression', 'none', '--rename', 'none'],
     '--compression: was gzip, is none, --rename, --json_field or the version of the transforms'),
    (['--output_shards', '2', '--time_field', 'at'],
     '--output_shards: was 1, is 2, --time_field: was event_time, is at')])
def test_rewriting_windows_of_other_settings_is_refused_unless_replaced(args: list[str], difference: str) -> None:
    store, now = committed(settings(), WINDOW - 300_000, WINDOW, WINDOW + 300_000), settings(*args)

    assert refusal(check_rewrite, store, now, options_of(), start_ms=WINDOW, end_ms=WINDOW + 300_000) == (
        f'window 2026-11-23T10:15:00Z is committed with other settings ({difference}): give --replace to write it '
        'again')
    check_rewrite(store, now, REPLACE, start_ms=WINDOW, end_ms=WINDOW + 300_000)
    check_rewrite(store, now, options_of(), start_ms=WINDOW + 600_000, end_ms=WINDOW + 900_000)


def test_a_rewrite_without_a_stream_that_the_windows_have_says_what_would_be_lost() -> None:
    store = committed(settings(streams=[info(), info('old')]), WINDOW)

    assert refusal(check_rewrite, store, settings(), options_of(), start_ms=WINDOW, end_ms=WINDOW + 300_000) == (
        'window 2026-11-23T10:15:00Z is committed with other settings (--stream: was app old, is app): give --replace '
        'to write it again, without what old brought')


@pytest.mark.parametrize(('committed_with', 'now', 'message'), [
    ({}, ['--errors_output', '/e'], '--errors_output: got /e, must be /tmp/lake, which holds the objects of '
                                    'window 2026-11-23T10:15:00Z'),
    ({'errors': '/e'}, [], '--errors_output: got /tmp/lake, must be /e, which holds the objects of window '
                           '2026-11-23T10:15:00Z'),
    ({'backup': 's3://bbb'}, ['--backup_output', 's3://ccc'], '--backup_output: got s3://ccc, must be s3://bbb, which '
                                                              'holds the objects of window 2026-11-23T10:15:00Z'),
    ({'errors': '/e', 'backup': '/b'}, ['--errors_output', '/e', '--backup_output', '/b'], ''),
    ({}, ['--errors_output', '/tmp/lake'], ''), ({'backup': '/b'}, ['--no_backup'], '')])
def test_a_rewrite_keeps_to_the_places_of_errors_and_backups(
        committed_with: dict[str, str], now: list[str], message: str) -> None:
    store = MemoryStore()
    write_manifest(store, make_manifest(WINDOW, 300_000, add_up(balanced()), settings(), committed_with))
    for replace in ([], ['--replace']):
        call = functools.partial(check_rewrite, store, settings(), options_of(*now, *replace), start_ms=WINDOW,
                                 end_ms=WINDOW + 300_000)

        if message:
            assert refusal(call) == message
        else:
            call()


@pytest.mark.parametrize(('start_ms', 'end_ms', 'got'), [
    (WINDOW, HOUR + 3_600_000, '--start 2026-11-23T10:15:00Z'),
    (HOUR, WINDOW + 900_000, '--stop 2026-11-23T10:30:00Z'),
    (WINDOW, WINDOW + 900_000, '--start 2026-11-23T10:15:00Z and --stop 2026-11-23T10:30:00Z')])
def test_another_flush_interval_replaces_full_hours(start_ms: int, end_ms: int, got: str) -> None:
    store, now = committed(settings(), WINDOW), settings('--flush_interval_s', '900')

    assert refusal(check_rewrite, store, now, REPLACE, start_ms=start_ms, end_ms=end_ms) == (
        f'--replace with another --flush_interval_s: must begin and end at full hours, got {got}')
    check_rewrite(store, now, REPLACE, start_ms=HOUR, end_ms=HOUR + 3_600_000)


def test_a_shorter_flush_interval_replaces_full_hours_too() -> None:
    store = committed(settings('--flush_interval_s', '900'), WINDOW, flush_ms=900_000)

    assert 'must begin and end at full hours, got --start 2026-11-23T10:15:00Z' in refusal(
        check_rewrite, store, settings(), REPLACE, start_ms=WINDOW, end_ms=HOUR + 3_600_000)
