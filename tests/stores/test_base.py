from __future__ import annotations

import concurrent.futures
import os
import pathlib
from collections.abc import Callable

import pytest

from pipeline.errors import StoreError
from pipeline.local.servers import LocalAws
from pipeline.stores.base import FolderStore, MemoryStore, Store
from pipeline.stores.s3 import S3Store


@pytest.fixture(params=['memory', 'folder', 's3', 's3 without a prefix'])
def store(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Store:
    if request.param == 'memory':
        return MemoryStore()
    if request.param == 'folder':
        return FolderStore(str(tmp_path / 'lake'))
    aws: LocalAws = request.getfixturevalue('aws')
    bucket = f'b{abs(hash(request.node.name))}'
    aws.create_bucket(bucket)
    return S3Store(bucket, 'mobile/x' if request.param == 's3' else '', aws.endpoint)


def test_get_returns_what_was_put_last(store: Store) -> None:
    store.put('a/b.json', b'\x00first')
    store.put('a/b.json', b'')

    assert store.get('a/b.json') == b''


def test_a_missing_path_is_none_and_can_be_deleted(store: Store) -> None:
    store.delete('a/none')

    assert store.get('a/none') is None


def test_a_deleted_path_is_gone_and_no_other(store: Store) -> None:
    store.put('a/b', b'1')
    store.put('a/bc', b'2')

    store.delete('a/b')

    assert (store.get('a/b'), store.get('a/bc')) == (None, b'2')


def test_only_what_is_absent_is_created(store: Store) -> None:
    assert store.create('a/b', b'1')
    assert not store.create('a/b', b'2')

    assert store.get('a/b') == b'1'


def test_a_swap_replaces_what_it_names_and_nothing_else(store: Store) -> None:
    assert store.swap('a', None, b'1')
    assert not store.swap('a', None, b'2')
    assert not store.swap('a', b'2', b'3')
    assert store.get('a') == b'1'
    assert store.swap('a', b'1', b'2')
    assert store.swap('a', b'1', b'2')  # as after an answer that was lost
    assert not store.swap('a', b'1', None)
    assert store.get('a') == b'2'
    assert store.swap('a', b'2', None)
    assert store.get('a') is None


def test_of_many_swaps_in_a_folder_at_once_none_is_lost(tmp_path: pathlib.Path) -> None:
    store = FolderStore(str(tmp_path))
    store.put('names', b'')

    def append(number: int) -> None:
        while not store.swap('names', before := store.get('names') or b'', before + b'%d ' % number):
            pass

    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        list(threads.map(append, range(20)))

    assert sorted(map(int, (store.get('names') or b'').split())) == list(range(20))


def test_a_list_has_the_sorted_paths_below_its_prefix(store: Store) -> None:
    for path in ('a/2', 'a/1', 'a/b/3', 'ab/4', 'c'):
        store.put(path, b'')

    assert list(store.list('a/')) == ['a/1', 'a/2', 'a/b/3']
    assert list(store.list('none/')) == []


def test_folders_are_those_directly_below_a_prefix(store: Store) -> None:
    for path in ('a/2/x', 'a/1/y/z', 'a/file', 'b/3/x', 'ab/4/x'):
        store.put(path, b'')

    assert [store.folders(prefix) for prefix in ('a/', '', 'none/')] == [
        ('1', '2'), ('a', 'ab', 'b'), ()]


def test_a_memory_store_records_every_effect_in_order() -> None:
    store = MemoryStore()
    store.put('a', b'1')
    store.delete('b')
    store.put('a', b'2')

    assert store.effects == [('put', 'a'), ('delete', 'b'), ('put', 'a')]


def test_a_put_into_a_folder_replaces_the_bytes_at_once(tmp_path: pathlib.Path,
                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    store, seen = FolderStore(str(tmp_path)), list[bytes | None]()
    store.put('a', b'old')
    rename: Callable[..., None] = os.replace
    monkeypatch.setattr(os, 'replace', lambda *paths: (seen.append(store.get('a')), rename(*paths)))

    store.put('a', b'new')

    assert [*seen, store.get('a')] == [b'old', b'new']


def test_a_failed_put_leaves_neither_bytes_nor_a_temporary_file(tmp_path: pathlib.Path) -> None:
    store = FolderStore(str(tmp_path))
    (tmp_path / 'a').mkdir()

    with pytest.raises(StoreError) as error:
        store.put('a', b'new')

    assert str(error.value) == f'cannot write {tmp_path}/a: Is a directory'
    assert [path for path in tmp_path.rglob('*') if not path.is_dir()] == []


def test_a_folder_below_a_file_is_refused_by_every_call(tmp_path: pathlib.Path) -> None:
    (tmp_path / 'file').touch()
    store = FolderStore(str(tmp_path / 'file'))

    for call, name in ((store.get, 'read'), (store.delete, 'delete')):
        with pytest.raises(StoreError, match=f'cannot {name} {tmp_path}/file/x: Not a directory'):
            call('x')


def test_the_check_of_a_store_leaves_nothing_behind(store: Store) -> None:
    store.put('a/b', b'1')

    store.check_writable()

    assert list(store.list('')) == ['a/b']
