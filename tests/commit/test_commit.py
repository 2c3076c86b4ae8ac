from __future__ import annotations

import pathlib
from typing import Any

import apache_beam as beam
import msgspec
import pytest
from apache_beam.metrics import MetricsFilter
from apache_beam.testing import test_pipeline as testing
from apache_beam.testing.test_pipeline import TestPipeline as _TestPipeline
from apache_beam.transforms.window import IntervalWindow, TimestampedValue

from pipeline.commit.commit import CommitWindow, _Commit
from pipeline.commit.commit_window import Changes, CommitSettings, commit_window, withdraw_window
from pipeline.commit.ledger import add_up
from pipeline.commit.manifests import Manifest, Settings, manifests_between, read_manifest
from pipeline.commit.resume_point import ResumePoint, read_resume_point, write_resume_point
from pipeline.errors import Fenced, ManifestError
from pipeline.options.types import iso_ms
from pipeline.paths import manifest_path
from pipeline.progress import PROGRESS
from pipeline.stores.base import FolderStore, MemoryStore, Store
from pipeline.stores.retries import count_retries, note_retry
from tests.ledgers import BACKUP, EVENTS, OTHER, PLACEMENT, SETTINGS, balanced, position, written

FLUSH_MS = 300_000
START = iso_ms('2026-11-23T10:15:00Z') or 0
PATH = manifest_path(START)
ANDROID = EVENTS.replace('platform=ios', 'platform=android')


def settings_of(store: Store, **changed: Any) -> CommitSettings:
    values = {'store': store, 'stores': dict.fromkeys(('events', 'errors', 'backup'), store), 'flush_ms': FLUSH_MS,
              'settings': SETTINGS}
    return CommitSettings(**{**values, **changed})


def resumable(at_ms: int = START) -> MemoryStore:
    store = MemoryStore()
    write_resume_point(store, ResumePoint(at_ms, at_ms, {}, SETTINGS))
    store.effects.clear()
    return store


def commit(store: MemoryStore, rows: list[bytes], window_ms: int = START, **changed: Any) -> Changes:
    """Put the objects that the rows tell of, as the step before does, and commit the window."""
    ledger = add_up(rows)
    for path in ledger.objects:
        store[path] = b''
    return commit_window(settings_of(store, **changed), window_ms, ledger)


def manifest_at(store: Store, window_ms: int = START) -> Manifest:
    manifest = read_manifest(store, window_ms)
    assert manifest
    return manifest


def with_android(sha256: str = 'aa') -> list[bytes]:
    """Rows of the window in which the ios object is an android one."""
    return [row.replace(b'platform=ios', b'platform=android') for row in balanced(sha256)]


def test_the_manifest_comes_first_then_what_it_leaves_out_is_removed_then_resume_moves() -> None:
    store = resumable()
    commit(store, balanced())
    store.effects.clear()

    commit(store, with_android())
    commit(store, balanced(), START + FLUSH_MS)

    assert store.effects == [
        ('put', PATH), ('delete', EVENTS), ('put', PATH),
        ('put', manifest_path(START + FLUSH_MS)), ('put', 'resume.json')]


def test_what_a_crash_left_behind_is_removed_when_the_window_is_written_again() -> None:
    store, whole = resumable(), resumable()
    commit(store, balanced())
    commit(whole, with_android())
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(MemoryStore, 'delete', _die)
        commit(store, with_android())
    assert EVENTS in store and manifest_at(store).removing == [EVENTS]

    commit(store, with_android())

    assert store == whole


def test_resume_moves_once_the_manifest_stands() -> None:
    store = resumable()

    commit(store, balanced())

    assert store.effects == [('put', PATH), ('put', 'resume.json')]
    assert (read_resume_point(store) or ResumePoint(0, 0, {}, SETTINGS)).end_ms == START + FLUSH_MS


def test_resume_moves_over_the_windows_of_the_run_whatever_settings_it_tells_of_until_then() -> None:
    store = resumable()

    commit(store, balanced(), settings=OTHER)

    resume_point = read_resume_point(store)
    assert resume_point and (resume_point.end_ms, resume_point.settings) == (START + FLUSH_MS, OTHER)


def test_resume_stays_where_an_earlier_window_is_missing_and_for_a_replay() -> None:
    store = resumable(START - FLUSH_MS)
    commit(store, balanced())
    replay = resumable()
    commit(replay, balanced(), moves_resume_point=False)

    assert store.effects == replay.effects == [('put', PATH)]


def test_a_window_of_equal_settings_written_again_is_equal() -> None:
    store = resumable()

    assert [commit(store, balanced()), commit(store, balanced())] == [Changes(), Changes()]


def test_an_object_that_changes_under_equal_settings_is_counted() -> None:
    store = resumable()
    commit(store, balanced())

    assert commit(store, balanced(sha256='bb')) == Changes(changed=1)
    assert commit(store, balanced(sha256='bb')) == Changes()


def test_an_object_that_is_not_written_any_more_under_equal_settings_is_counted() -> None:
    store = resumable()
    commit(store, balanced())

    assert commit(store, with_android()) == Changes(missing=1)
    assert EVENTS not in store


def test_an_object_that_changes_with_the_settings_is_not() -> None:
    store = resumable()
    commit(store, balanced())

    assert commit(store, balanced(sha256='bb'), settings=OTHER, replace=True) == Changes()


def test_a_window_that_another_job_committed_with_other_settings_is_left_to_it() -> None:
    store = resumable()
    commit(store, balanced(), settings=OTHER)
    store.effects.clear()

    with pytest.raises(ManifestError, match='^window 2026-11-23T10:15:00Z was committed by another run with other set'):
        commit(store, with_android())
    assert store.effects == []


def _take_over(store: MemoryStore) -> None:
    store['resume.json'] = store['resume.json'].replace(b'"end_ms"', b'"generation": 1,\n  "end_ms"')


@pytest.mark.parametrize('earlier', [False, True])
def test_a_run_that_another_one_follows_while_it_commits_takes_its_manifest_back(
        monkeypatch: pytest.MonkeyPatch, earlier: bool) -> None:
    store = resumable()
    if earlier:
        commit(store, balanced())
    before = store.get(PATH)
    swap = MemoryStore.swap

    def swap_and_be_followed(store: MemoryStore, path: str, *data: bytes | None) -> bool:
        swapped = swap(store, path, *data)
        monkeypatch.setattr(MemoryStore, 'swap', swap)
        _take_over(store)
        return swapped

    monkeypatch.setattr(MemoryStore, 'swap', swap_and_be_followed)
    with pytest.raises(Fenced, match='^another run with other settings has taken over this output: '):
        commit(store, with_android())

    assert store.get(PATH) == before
    assert not earlier or EVENTS in store


def test_a_run_that_another_one_has_followed_commits_nothing() -> None:
    store = resumable()
    _take_over(store)
    store.effects.clear()

    with pytest.raises(Fenced):
        commit(store, balanced())
    with pytest.raises(Fenced):
        withdraw_window(settings_of(store), START)
    assert store.effects == []
    assert commit(store, balanced(), generation=1) == Changes()


def test_of_two_manifests_at_once_the_second_counts_with_the_first_as_its_former_one(
        monkeypatch: pytest.MonkeyPatch) -> None:
    store, get = resumable(), MemoryStore.get

    def commit_first(store: MemoryStore, path: str, default: Any = None) -> Any:
        found = get(store, path, default)
        if path == PATH:
            monkeypatch.setattr(MemoryStore, 'get', get)
            commit(store, balanced())
        return found

    monkeypatch.setattr(MemoryStore, 'get', commit_first)

    assert commit(store, with_android()) == Changes(missing=1)
    assert EVENTS not in store and manifest_at(store).removing == []


def test_an_object_is_replaced_only_while_no_later_run_has_followed() -> None:
    store = resumable()
    conf = settings_of(store)
    conf.put_object(EVENTS, b'first', START)
    conf.put_object(EVENTS, b'first', START)
    assert store.effects == [('put', EVENTS)]
    conf.put_object(EVENTS, b'second', START)
    assert store[EVENTS] == b'second'
    _take_over(store)

    conf.put_object(ANDROID, b'', START)
    with pytest.raises(Fenced):
        conf.put_object(EVENTS, b'first', START)

    assert store[EVENTS] == b'second'
    found = read_resume_point(store)
    assert found and found.cleanup and found.cleanup.start_ms == START  # for the object of android


def test_a_resume_that_is_gone_is_warned_of_and_not_made_up(caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryStore()

    commit(store, balanced())

    assert read_resume_point(store) is None
    assert caplog.messages[0].startswith('resume.json is gone: ')


@pytest.mark.parametrize('replace', [False, True])
def test_a_replay_without_backup_keeps_the_one_that_is_there(replace: bool) -> None:
    store = resumable()
    commit(store, balanced())
    rows = [row for row in with_android() if b'backup' not in row]

    commit(store, rows, backup=False, replace=replace)

    manifest = manifest_at(store)
    assert [item.path for item in manifest.objects if item.path[:6] in ('backup', 'events')] == [
        BACKUP, ANDROID]
    assert BACKUP in store and EVENTS not in store


def test_a_replay_with_backup_replaces_the_one_that_is_there() -> None:
    store, other = resumable(), BACKUP.replace('00000-of-00001', '00001-of-00002')
    commit(store, balanced())

    commit(store, [row.replace(BACKUP.encode(), other.encode()) for row in balanced()], settings=OTHER, replace=True)

    assert [path for path in store if path.startswith('backup/')] == [other]
    assert [item.path for item in manifest_at(store).objects if item.path.startswith('backup/')] == [other]


def test_a_manifest_says_where_errors_and_backups_are_that_were_moved() -> None:
    store, places = resumable(), {'errors': 's3://errors', 'backup': 's3://backup'}
    commit(store, balanced(), moved=places)
    assert manifest_at(store).moved == places

    commit(store, [row for row in balanced() if b'backup' not in row], backup=False, moved={'errors': 's3://errors'})
    assert manifest_at(store).moved == places
    commit(store, [row for row in balanced() if b'backup' not in row], backup=False)
    assert manifest_at(store).moved == {'backup': 's3://backup'}

    commit(store, balanced(), START + FLUSH_MS)
    assert not manifest_at(store, START + FLUSH_MS).moved


def test_objects_are_removed_where_they_were_written() -> None:
    manifests, events, errors = resumable(), MemoryStore(), MemoryStore()
    stores = {'events': events, 'errors': errors, 'backup': manifests}
    for rows in (balanced(), [row for row in with_android() if b'errors/too-deep' not in row]):
        commit(manifests, rows, stores=stores)

    assert events.effects == [('delete', EVENTS)]
    assert [path.split('/')[1] for _, path in errors.effects] == ['too-deep']


def test_windows_that_a_longer_one_replaces_leave_no_object_and_no_manifest() -> None:
    store = resumable()
    windows = [START + place * FLUSH_MS for place in range(3)]
    for place, window_ms in enumerate(windows):
        name = f'T10{15 + 5 * place}00Z'.encode()
        commit(store, [row.replace(b'T101500Z', name) for row in balanced()], window_ms)
    longer = Settings(msgspec.structs.replace(PLACEMENT, flush_interval_s=900), SETTINGS.content)

    commit(store, balanced(), flush_ms=900_000, settings=longer, replace=True, moves_resume_point=False)

    assert sorted(path for path in store if path != 'resume.json') == sorted([
        PATH, *(item.path for item in manifest_at(store).objects)])
    assert read_manifest(store, START + FLUSH_MS) is None


def test_a_replay_without_backup_keeps_those_of_all_windows_that_a_longer_one_replaces() -> None:
    store, longer = resumable(), Settings(msgspec.structs.replace(PLACEMENT, flush_interval_s=600), SETTINGS.content)
    commit(store, balanced())
    commit(store, [row.replace(b'T1015', b'T1020') for row in balanced()], START + FLUSH_MS)
    rows = [row for row in balanced() if b'backup' not in row]

    commit(store, rows, flush_ms=600_000, settings=longer, backup=False, replace=True, moves_resume_point=False)

    backups = [BACKUP, BACKUP.replace('T1015', 'T1020')]
    assert [item.path for item in manifest_at(store).objects if item.path in backups] == backups
    assert [path for path in backups if path in store] == backups


def test_a_window_that_shorter_ones_replace_loses_its_objects_with_the_first_of_them() -> None:
    store = resumable(START + 900_000)
    longer = Settings(msgspec.structs.replace(PLACEMENT, flush_interval_s=900), SETTINGS.content)
    commit(store, [*balanced(), written(ANDROID, 0)], flush_ms=900_000, settings=longer, moves_resume_point=False)

    commit(store, balanced(), replace=True, moves_resume_point=False)
    commit(store, [row.replace(b'T1015', b'T1020') for row in balanced()], START + FLUSH_MS, replace=True,
           moves_resume_point=False)

    assert ANDROID not in store
    assert sum(path.startswith('events/') for path in store) == 2
    assert sum(path.startswith('manifests/') for path in store) == 2


def test_a_window_that_is_cut_short_when_it_is_written_again_is_not_committed_any_more() -> None:
    store = resumable()
    for window_ms in (START, START + FLUSH_MS, START + 2 * FLUSH_MS):
        commit(store, balanced(), window_ms)

    withdraw_window(settings_of(store), START + FLUSH_MS)

    assert read_manifest(store, START + FLUSH_MS) is None
    resume_point = read_resume_point(store)
    assert resume_point and (resume_point.end_ms, list(resume_point.positions)) == (START + FLUSH_MS, ['app/a'])
    commit(store, balanced(), START + FLUSH_MS)
    assert (read_resume_point(store) or ResumePoint(0, 0, {}, SETTINGS)).end_ms == START + 3 * FLUSH_MS


def test_a_window_cut_short_that_resume_begins_with_leaves_its_positions() -> None:
    store, found = MemoryStore(), ResumePoint(START, 0, {'app/a': position('7')}, SETTINGS)
    write_resume_point(store, found)

    withdraw_window(settings_of(store), START)

    assert read_resume_point(store) == found


def test_a_window_cut_short_that_resume_has_not_passed_leaves_it_as_it_is() -> None:
    store = resumable()
    commit(store, balanced())
    store.effects.clear()

    withdraw_window(settings_of(store), START + FLUSH_MS)

    assert store.effects == []


@pytest.mark.parametrize(('backup', 'committed'), [(True, False), (False, True)])
def test_a_window_of_which_nothing_is_in_the_backup_is_complete_only_without_one(
        backup: bool, committed: bool) -> None:
    store, rows = resumable(), [row for row in balanced() if b'backup' not in row]
    window = IntervalWindow(START // 1000, (START + FLUSH_MS) // 1000)

    before = PROGRESS.windows

    _Commit(settings_of(store, backup=backup)).process((b'', rows), window)

    assert (read_manifest(store, START) is not None) == committed
    assert PROGRESS.windows - before == committed


def test_rows_are_gathered_by_flush_window_and_what_comes_of_each_is_counted_and_told(
        tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture) -> None:
    store = FolderStore(str(tmp_path))
    write_resume_point(store, ResumePoint(START, START, {}, SETTINGS))
    commit_window(settings_of(store), START, add_up(balanced(sha256='bb')))
    rows = [TimestampedValue(row, (START + at_ms) / 1000) for at_ms, rows in (
        (0, balanced()), (FLUSH_MS - 1, balanced()[:1]), (FLUSH_MS, balanced()), (2 * FLUSH_MS, balanced()[1:]))
        for row in rows]

    pipeline = _TestPipeline(runner='BundleBasedDirectRunner')
    _ = pipeline | beam.Create(rows, reshuffle=False) | beam.Map(_same) | CommitWindow(settings_of(store))
    result = pipeline.run()
    result.wait_until_finish()

    windows_ms = [manifest.window_ms for manifest in manifests_between(store, START, START + 9 * FLUSH_MS)]
    assert windows_ms == [START, START + FLUSH_MS]
    assert {counter.key.metric.name: counter.committed for counter in result.metrics().query()['counters']
            if counter.key.metric.namespace == 'commit'} == {
        'windows': 2, 'objects': 8, 'records': 10, 'documents': 8, 'lines': 6, 'document_errors': 2, 'fragments': 2,
        'unreadable_times': 2, 'incomplete_windows': 1, 'rewritten_differently': 1}
    assert sorted(message for message in caplog.messages if message.startswith('window 2026')) == [
        'window 2026-11-23T10:15:00Z: 1 objects differ from those committed before with the same settings, 0 are no '
        'longer written and were removed',
        'window 2026-11-23T10:25:00Z is not complete: 0 of ? readers have reported it. It gets no manifest; a run with '
        '--start=resume makes it whole']


def test_a_replay_is_told_to_write_the_window_that_it_did_not_complete_again(caplog: pytest.LogCaptureFixture) -> None:
    window = IntervalWindow(START // 1000, (START + FLUSH_MS) // 1000)

    _Commit(settings_of(resumable(), moves_resume_point=False)).process((b'', balanced()[1:]), window)

    assert caplog.messages[0].endswith('a run with --start=2026-11-23T10:15:00Z --stop=2026-11-23T10:20:00Z makes it '
                                       'whole')


def test_the_first_window_of_all_is_read_again_from_its_time_on() -> None:
    store = resumable()
    commit(store, balanced())

    withdraw_window(settings_of(store), START)

    assert read_resume_point(store) == ResumePoint(START, START, {}, SETTINGS, unfinished=True)


def test_a_replay_that_is_cut_short_leaves_resume_and_a_window_never_committed_all_else() -> None:
    store, fresh = resumable(), resumable()
    commit(store, balanced())
    resume_point = read_resume_point(store)

    withdraw_window(settings_of(store, moves_resume_point=False), START)
    withdraw_window(settings_of(fresh), START)

    assert (read_resume_point(store), read_manifest(store, START)) == (resume_point, None)
    assert fresh == resumable()


def test_what_was_never_committed_is_not_asked_to_be_deleted() -> None:
    store = resumable()

    withdraw_window(settings_of(store), START)

    assert 'delete' not in {effect for effect, _ in store.effects}


@pytest.mark.parametrize(('folders', 'counted'), [(1000, 0), (1001, 1)])
def test_a_window_of_events_in_more_than_a_thousand_folders_is_counted_and_warned_of_once(
        folders: int, counted: int, tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture) -> None:
    # Two objects in a folder count once, and errors and backups do not count.
    events = [path for day in range(folders) for path in (EVENTS.replace('day=23', f'day={day}'),
                                                          EVENTS.replace('day=23', f'day={day}').replace('-p0', '-p1'))]
    rows = [*(row for row in balanced() if b'"events/' not in row), written(events[0], 3),
            *(written(path, 0) for path in events[1:])]
    store = FolderStore(str(tmp_path))
    write_resume_point(store, ResumePoint(START, START, {}, SETTINGS))

    with testing.TestPipeline(runner='FnApiRunner') as pipeline:
        (pipeline | beam.Create(rows)
         | beam.Map(lambda row: TimestampedValue(row, START / 1000)).with_output_types(bytes)
         | CommitWindow(settings_of(store)))

    assert read_manifest(store, START)
    found = pipeline.result.metrics().query(MetricsFilter().with_name('windows_of_many_folders'))['counters']
    assert sum(counter.committed for counter in found) == counted
    assert caplog.messages == [
        f'window 2026-11-23T10:15:00Z has events in {folders} folders, each with an object of its own: '
        '--max_event_age_days and --platforms bound them'] * counted


class RetryingStore(FolderStore):
    """A folder that notes a repeated call with each put, as S3 may."""

    def put(self, path: str, data: bytes) -> None:
        note_retry()
        super().put(path, data)


def test_the_calls_that_a_commit_makes_again_are_counted(tmp_path: pathlib.Path) -> None:
    count_retries()  # of other tests

    with testing.TestPipeline(runner='FnApiRunner') as pipeline:
        (pipeline | beam.Create(balanced())
         | beam.Map(lambda row: TimestampedValue(row, START / 1000)).with_output_types(bytes)
         | CommitWindow(settings_of(RetryingStore(str(tmp_path)), moves_resume_point=False)))

    found = pipeline.result.metrics().query(MetricsFilter().with_namespace('s3'))['counters']
    assert [(counter.key.metric.name, counter.committed) for counter in found] == [('retries', 1)]


def _same(row: TimestampedValue) -> TimestampedValue:
    return row


def _die(store: MemoryStore, path: str) -> None:
    raise KeyboardInterrupt
