from __future__ import annotations

import errno
import fcntl
import os
import pathlib
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pipeline.errors import StoreError
from pipeline.stores import files
from pipeline.stores.base import FolderStore

ROOT = pathlib.Path(__file__).parents[2]
#: A put by a process that is killed before the file has its name.
KILLED_PUT = """
import os, signal, sys
from pipeline.stores.base import FolderStore
os.replace = lambda *paths: os.kill(os.getpid(), signal.SIGKILL)
FolderStore(sys.argv[1]).put('events/a', b'half')
"""


def names(folder: pathlib.Path) -> list[str]:
    """Return all names below a folder that are not folders, hidden ones too."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob('*') if not path.is_dir())


@pytest.fixture
def umask() -> Iterator[Callable[[int], int]]:
    former = os.umask(0o022)
    yield os.umask
    os.umask(former)


@pytest.mark.parametrize(('mask', 'mode'), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_files_and_folders_follow_the_umask(tmp_path: pathlib.Path, umask: Callable[[int], int], mask: int,
                                            mode: int) -> None:
    umask(mask)

    FolderStore(str(tmp_path / 'lake')).put('events/a', b'1')

    assert stat.S_IMODE((tmp_path / 'lake/events/a').stat().st_mode) == mode
    assert stat.S_IMODE((tmp_path / 'lake/events').stat().st_mode) == 0o777 & ~mask


@pytest.fixture
def effects(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Return what is done to files, in order: each sync, rename and removal with its path."""
    found: list[tuple[str, str]] = []
    fsync, replace, unlink = os.fsync, os.replace, os.unlink
    monkeypatch.setattr(os, 'fsync', lambda handle: (
        found.append(('sync', os.readlink(f'/proc/self/fd/{handle}'))), fsync(handle)))
    monkeypatch.setattr(os, 'replace', lambda before, after: (found.append(('rename', after)), replace(before, after)))
    monkeypatch.setattr(os, 'unlink', lambda path: (unlink(path), found.append(('remove', path))))
    return found


def test_a_put_has_its_bytes_its_name_and_its_folders_on_the_disk(tmp_path: pathlib.Path,
                                                                  effects: list[tuple[str, str]]) -> None:
    lake = str(tmp_path / 'lake')
    FolderStore(lake).put('events/hour/a', b'1')

    made, ((call, temporary), *rest) = effects[:3], effects[3:]
    assert made == [('sync', str(tmp_path)), ('sync', lake), ('sync', f'{lake}/events')]
    assert (call, os.path.dirname(temporary)) == ('sync', f'{lake}/.tmp')
    assert rest == [('rename', f'{lake}/events/hour/a'), ('sync', f'{lake}/events/hour')]


def test_a_put_into_a_folder_that_is_there_syncs_the_file_and_the_folder_alone(
        tmp_path: pathlib.Path, effects: list[tuple[str, str]]) -> None:
    store = FolderStore(str(tmp_path))
    store.put('events/hour/a', b'1')
    effects.clear()

    store.put('events/hour/b', b'2')

    assert [call for call, _ in effects] == ['sync', 'rename', 'sync']


def test_a_removal_is_on_the_disk_and_that_of_an_absent_file_needs_nothing(tmp_path: pathlib.Path,
                                                                           effects: list[tuple[str, str]]) -> None:
    store = FolderStore(str(tmp_path))
    store.put('events/a', b'1')
    effects.clear()

    store.delete('events/a')
    store.delete('events/a')

    assert effects == [('remove', f'{tmp_path}/events/a'), ('sync', f'{tmp_path}/events')]


@pytest.mark.parametrize(('number', 'raised'), [(errno.EINVAL, False), (errno.EIO, True)])
def test_only_a_file_system_that_syncs_no_folders_may_refuse_to(
        tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, number: int, raised: bool) -> None:
    def fsync(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(number, os.strerror(number))
    monkeypatch.setattr(os, 'fsync', fsync)
    store = FolderStore(str(tmp_path))

    if raised:
        with pytest.raises(StoreError, match=f'cannot write {tmp_path}/a: Input/output error'):
            store.put('a', b'1')
    else:
        store.put('a', b'1')
        assert store.get('a') == b'1'


def test_what_a_killed_put_left_is_not_listed_and_removed_when_the_next_run_begins(tmp_path: pathlib.Path) -> None:
    done = subprocess.run([sys.executable, '-c', KILLED_PUT, str(tmp_path)], cwd=ROOT, timeout=50)
    store, left = FolderStore(str(tmp_path)), names(tmp_path)

    assert done.returncode == -signal.SIGKILL
    assert (len(left), left[0][:5]) == (1, '.tmp/')
    assert list(store.list('')) == []
    store.check_writable()
    assert names(tmp_path) == []


def test_a_file_that_is_being_written_is_not_taken_away(tmp_path: pathlib.Path,
                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    store, replace, seen = FolderStore(str(tmp_path)), os.replace, list[int]()

    def next_run_begins(before: str, after: str) -> None:
        if after.endswith('/a'):
            store.check_writable()
        seen.append(len(names(tmp_path / '.tmp')))
        replace(before, after)
    monkeypatch.setattr(os, 'replace', next_run_begins)

    store.put('a', b'1')

    assert (seen, names(tmp_path)) == ([1, 1], ['a'])


def test_a_file_that_is_taken_away_before_it_is_locked_is_made_anew(tmp_path: pathlib.Path,
                                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    flock, calls = fcntl.flock, list[int]()

    def slow_flock(file: Any, how: int) -> None:
        calls.append(how)
        if len(calls) == 1:
            files.remove_stale(str(tmp_path / '.tmp'))
        flock(file, how)
    monkeypatch.setattr(fcntl, 'flock', slow_flock)

    FolderStore(str(tmp_path)).put('a', b'1')

    assert calls == [fcntl.LOCK_EX, fcntl.LOCK_EX | fcntl.LOCK_NB, fcntl.LOCK_EX]
    assert names(tmp_path) == ['a']


def test_only_temporary_files_are_removed(tmp_path: pathlib.Path) -> None:
    kept = ['.written-by', 'a.tmp', f'.{"g" * 32}.tmp', f'.{"a" * 31}.tmp', f'.{"a" * 32}.tmp.json']
    for name in (*kept, f'.{"0a" * 16}.tmp'):
        (tmp_path / name).touch()
    (tmp_path / f'.{"b" * 32}.tmp').mkdir()

    files.remove_stale(str(tmp_path))
    files.remove_stale(str(tmp_path / 'absent'))

    assert names(tmp_path) == sorted(kept)


def test_a_file_system_without_locks_is_refused_and_no_file_stays(tmp_path: pathlib.Path,
                                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(file: Any, how: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
    monkeypatch.setattr(fcntl, 'flock', flock)

    with pytest.raises(StoreError, match=f'cannot write {tmp_path}/a: No locks available'):
        FolderStore(str(tmp_path)).put('a', b'1')

    assert names(tmp_path) == []


def test_a_folder_of_another_file_system_gets_its_files_from_beside_and_keeps_no_stale_ones(
        tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace = os.replace

    def rename(before: str, after: str) -> None:
        if os.path.dirname(before) != os.path.dirname(after):
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        replace(before, after)
    monkeypatch.setattr(os, 'replace', rename)
    (tmp_path / 'events').mkdir()
    (tmp_path / f'events/.{"0" * 32}.tmp').touch()

    FolderStore(str(tmp_path)).put('events/a', b'1')

    assert names(tmp_path) == ['events/a']


def test_a_file_is_made_by_a_link_only_if_there_is_none(tmp_path: pathlib.Path) -> None:
    target, temporary = str(tmp_path / 'a'), str(tmp_path / '.tmp')

    assert files.write_file(target, b'1', temporary, os.link)
    assert not files.write_file(target, b'2', temporary, os.link)

    assert (tmp_path / 'a').read_bytes() == b'1'
    assert names(tmp_path) == ['a']


def test_a_linked_folder_is_written_and_listed(tmp_path: pathlib.Path) -> None:
    outside, lake = tmp_path / 'outside', tmp_path / 'lake'
    for folder in (outside, lake / 'events'):
        folder.mkdir(parents=True)
    (lake / 'events/2026').symlink_to(outside)
    store = FolderStore(str(lake))

    store.put('events/2026/hour/a', b'1')

    assert names(outside) == ['hour/a']
    assert list(store.list('events/')) == list(store.list('')) == ['events/2026/hour/a']


def test_an_output_that_is_a_link_itself_is_listed(tmp_path: pathlib.Path) -> None:
    (tmp_path / 'disk/events').mkdir(parents=True)
    (tmp_path / 'lake').symlink_to(tmp_path / 'disk')
    store = FolderStore(str(tmp_path / 'lake'))
    store.put('events/a', b'1')

    assert list(store.list('events/')) == ['events/a']


@pytest.mark.parametrize(('link', 'target'), [
    ('lake/events/latest', 'lake/events/2026'), ('lake/2025', 'lake/events/2026'), ('lake/events/loop', 'lake/events'),
    ('lake/events/lake', 'lake'), ('lake/events/up', '.'), ('lake/events/2026/self', 'lake/events/2026/self'),
    ('lake/events/gone', 'nowhere'), ('lake/events/2026/.hidden', 'outside'), ('outside/back', 'lake/events'),
    ('outside/deep/up', 'outside'), ('outside/above', '.'), ('outside/deep/beside', 'outside'),
    ('lake/events/zz', 'outside')])
def test_no_link_lists_a_file_twice_or_leads_round_in_a_circle(tmp_path: pathlib.Path, link: str, target: str) -> None:
    for folder in ('lake/events/2026', 'outside/deep'):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / 'a').touch()
    (tmp_path / 'lake/events/old').symlink_to(tmp_path / 'outside')
    (tmp_path / link).symlink_to(tmp_path / target)

    store = FolderStore(str(tmp_path / 'lake'))
    assert list(store.list('')) == ['events/2026/a', 'events/old/deep/a']
    assert {'2026', 'old'} <= {*store.folders('events/')} <= {'2026', 'old', 'zz'}


def test_two_linked_folders_that_link_each_other_come_to_an_end(tmp_path: pathlib.Path) -> None:
    for here, there in (('x', 'y'), ('y', 'x')):
        (tmp_path / here).mkdir()
        (tmp_path / here / 'a').touch()
        (tmp_path / here / there).symlink_to(tmp_path / there)
    (tmp_path / 'lake').mkdir()
    (tmp_path / 'lake/x').symlink_to(tmp_path / 'x')

    assert list(FolderStore(str(tmp_path / 'lake')).list('')) == ['x/a', 'x/y/a']


def test_hidden_names_are_not_listed_and_linked_files_are(tmp_path: pathlib.Path) -> None:
    for name in ('.snapshot/a', 'events/.b', 'events/c'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / 'events/d').symlink_to(tmp_path / '.snapshot/a')
    (tmp_path / 'events/e').symlink_to(tmp_path / 'nowhere')

    store = FolderStore(str(tmp_path))
    assert list(store.list('')) == ['events/c', 'events/d']
    assert store.folders('') == ('events',)


def test_a_folder_that_cannot_be_listed_is_never_taken_for_empty(tmp_path: pathlib.Path,
                                                                monkeypatch: pytest.MonkeyPatch) -> None:
    def scandir(folder: str) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    monkeypatch.setattr(os, 'scandir', scandir)

    for call in (FolderStore(str(tmp_path)).list, FolderStore(str(tmp_path)).folders):
        with pytest.raises(StoreError, match=f'cannot list {tmp_path}/: Permission denied'):
            call('')


def test_a_folder_where_a_file_is_is_refused(tmp_path: pathlib.Path) -> None:
    (tmp_path / 'events').touch()

    with pytest.raises(StoreError, match=f'cannot write {tmp_path}/events/a: File exists'):
        FolderStore(str(tmp_path)).put('events/a', b'1')
