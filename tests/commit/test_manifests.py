from __future__ import annotations

import subprocess
import sys

import msgspec
import orjson
import pytest

from pipeline.commit.ledger import add_up
from pipeline.commit.manifests import (
    Manifest,
    Settings,
    encode_manifest,
    last_manifest,
    make_manifest,
    manifests_between,
    read_manifest,
    write_manifest,
)
from pipeline.commit.resume_point import (
    ResumePoint,
    read_resume_point,
    write_resume_point,
)
from pipeline.errors import ManifestError
from pipeline.options.types import iso_ms
from pipeline.stores.base import MemoryStore
from tests.ledgers import BACKUP, ERRORS, EVENTS, PLACEMENT, SETTINGS, balanced

FLUSH_MS = 300_000
START = iso_ms('2026-11-23T23:50:00Z') or 0
PATH = 'manifests/year=2026/month=11/day=23/20261123T235000Z.json'


def manifest_of(window_ms: int, settings: Settings = SETTINGS) -> Manifest:
    return make_manifest(window_ms, FLUSH_MS, add_up(balanced()), settings)


def store_with(*places: int, settings: Settings = SETTINGS) -> MemoryStore:
    """A store with the manifests of the windows at these places after START, and an resume_point at START."""
    store = MemoryStore()
    for place in places:
        write_manifest(store, manifest_of(START + place * FLUSH_MS, settings))
    write_resume_point(store, ResumePoint(START, START, {}, SETTINGS))
    store.effects.clear()
    return store


def test_a_manifest_says_what_the_window_holds() -> None:
    store = MemoryStore()
    write_manifest(store, manifest_of(START))

    found = orjson.loads(store[PATH])
    assert list(found) == ['version', 'window', 'window_ms', 'end_ms', 'counts', 'accounts', 'objects', 'settings',
                           'positions']
    assert [found[name] for name in ('version', 'window', 'window_ms', 'end_ms')] == [
        1, '2026-11-23T23:50:00Z', START, START + FLUSH_MS]
    assert found['counts'] == msgspec.to_builtins(add_up(balanced()).counts())
    assert found['accounts'] == {'app/a': {'records': 5, 'bytes': 50, 'first': '1', 'last': '5'}}
    assert found['settings'] == orjson.loads(msgspec.json.encode(SETTINGS))
    assert found['positions'] == {
        'app/a': {'sequence': '5', 'since_ms': 0, 'arrival_ms': 5, 'walked_ms': 0, 'open': True}}
    assert [item['path'] for item in found['objects']] == sorted(
        [BACKUP, EVENTS, ERRORS, ERRORS.replace('too-deep', 'invalid-json')])
    assert found['objects'][-1] == {'path': EVENTS, 'lines': 3, 'bytes': 60, 'sha256': 'aa'}
    assert store[PATH].startswith(b'{\n  "version": 1,\n') and store[PATH].endswith(b'}\n')


def test_a_manifest_of_the_first_versions_is_read() -> None:
    store = MemoryStore()
    write_manifest(store, manifest_of(START))
    value = orjson.loads(store[PATH])
    del value['settings']['content']['json_fields'], value['counts']['unreadable_times']
    del value['counts']['old_times']
    del value['settings']['placement']['max_event_age_days'], value['settings']['placement']['platforms']
    store[PATH] = orjson.dumps(value)

    manifest = read_manifest(store, START)
    assert manifest and manifest.settings.content.json_fields == () and manifest.counts.unreadable_times == 0
    assert (manifest.counts.old_times, manifest.settings.placement) == (0, PLACEMENT)


def test_a_manifest_comes_back_as_it_was_written_under_its_window() -> None:
    store = MemoryStore()
    write_manifest(store, manifest_of(START))

    assert list(store) == [PATH]
    assert read_manifest(store, START) == manifest_of(START)
    assert read_manifest(store, START + FLUSH_MS) is None


@pytest.mark.parametrize(('start', 'end', 'places'), [
    (0, 4, [0, 1, 2, 3]), (1, 3, [1, 2]), (2, 2, []), (-9, 1, [0]), (3, 99, [3])])
def test_manifests_are_found_by_window_over_the_end_of_the_day(start: int, end: int, places: list[int]) -> None:
    found = manifests_between(store_with(0, 1, 2, 3), START + start * FLUSH_MS, START + end * FLUSH_MS)

    assert [(manifest.window_ms - START) // FLUSH_MS for manifest in found] == places


def test_the_last_manifest_is_found_among_all() -> None:
    store = store_with(0, 1, 2, 3)
    for path in (f'{PATH}.tmp', 'manifests/notes.json', 'manifests/year=2027/README'):
        store[path] = b''

    assert last_manifest(store) == manifest_of(START + 3 * FLUSH_MS)
    assert last_manifest(MemoryStore()) is None


@pytest.mark.parametrize('data', [b'', b'{', b'[]', b'{}', b'7', b'null', b'\xff', b'{"version":1}'])
@pytest.mark.parametrize('path', [PATH, 'resume.json'])
def test_what_is_damaged_is_told_by_its_path(path: str, data: bytes) -> None:
    store = MemoryStore()
    store[path] = data

    with pytest.raises(ManifestError, match=f'{path} is damaged'):
        read_resume_point(store) if path == 'resume.json' else read_manifest(store, START)


def test_another_version_is_refused_with_both() -> None:
    store = MemoryStore()
    store['resume.json'] = orjson.dumps({'version': 2})

    with pytest.raises(ManifestError) as error:
        read_resume_point(store)

    assert str(error.value) == 'resume.json is of version 2, this program reads version 1'


def test_threads_may_read_the_first_manifest_of_a_process_at_once() -> None:
    script = '''
import sys, threading
from pipeline.commit.manifests import Manifest, decode_strictly
sys.setswitchinterval(1e-6)
data, barrier = sys.stdin.buffer.read(), threading.Barrier(16)
def read():
    barrier.wait()
    decode_strictly(data, 'x', Manifest)
threads = [threading.Thread(target=read) for _ in range(16)]
for thread in threads: thread.start()
for thread in threads: thread.join()
'''
    codes = [subprocess.run([sys.executable, '-c', script], input=encode_manifest(manifest_of(START)), timeout=60,
                            check=False).returncode for _ in range(3)]

    assert codes == [0, 0, 0]
