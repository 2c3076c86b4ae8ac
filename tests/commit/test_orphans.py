from __future__ import annotations

import msgspec

from pipeline.commit.ledger import add_up
from pipeline.commit.manifests import make_manifest, write_manifest
from pipeline.commit.orphans import Place, remove_orphans
from pipeline.options.types import iso_ms
from pipeline.stores.base import MemoryStore
from tests.ledgers import BACKUP, ERRORS, EVENTS, NAME, SETTINGS, balanced

WINDOW = iso_ms('2026-11-23T10:15:00Z') or 0
FLUSH_MS = 300_000


def committed() -> MemoryStore:
    """A store with one window, its objects and its manifest."""
    store = MemoryStore()
    ledger = add_up(balanced())
    for path in ledger.objects:
        store.put(path, b'')
    write_manifest(store, make_manifest(WINDOW, FLUSH_MS, ledger, SETTINGS))
    store.effects.clear()
    return store


def removed(store: MemoryStore, start_ms: int = WINDOW, end_ms: int = WINDOW + FLUSH_MS) -> list[str]:
    """Return what was removed, which must be as many as is said."""
    count = remove_orphans(store, [Place(kind, '', store) for kind in ('events', 'errors', 'backup')], start_ms, end_ms)
    assert [effect for effect, _ in store.effects] == ['delete'] * count
    return [path for _, path in store.effects]


def test_what_a_manifest_lists_stays() -> None:
    assert removed(committed()) == []


def test_what_no_manifest_lists_goes_whatever_its_hour_and_platform() -> None:
    store = committed()
    left = [EVENTS.replace('=ios', '=web'), EVENTS.replace('2026', '2022', 1),
            ERRORS.replace('too-deep', 'invalid-kpl'), BACKUP.replace('p00000', 'p00001'),
            EVENTS.removesuffix('.gz'), EVENTS.replace('-p00000', '-p100000')]
    for path in left:
        store[path] = b''

    assert sorted(removed(store)) == sorted(left)


def test_objects_of_windows_outside_the_run_and_of_other_programs_stay() -> None:
    store = committed()
    folder = EVENTS.removesuffix(NAME)
    for name in ('20261123T101000Z-p00000-00000-of-00001.json.gz', '20261123T102000Z-p00000-00000-of-00001.json.gz',
                 'mine.json.gz', f'{NAME}.crc', f'.{NAME}', f'copy-{NAME}', '20261123T101500Z.json.gz'):
        store[folder + name] = b''
    store[f'other/{NAME}'] = b''

    assert removed(store) == []


def test_windows_without_a_manifest_hold_nothing_that_stays() -> None:
    store = committed()
    before = {path for path in store if not path.startswith('manifests/')}

    assert removed(store, WINDOW + FLUSH_MS, WINDOW + 2 * FLUSH_MS) == []
    for path in [path for path in store if path.startswith('manifests/')]:
        del store[path]
    assert set(removed(store)) == before


def test_a_manifest_that_is_not_behind_resume_and_lists_what_is_gone_goes_with_what_is_left() -> None:
    store = committed()
    places = [Place(kind, '', store) for kind in ('events', 'errors', 'backup')]
    assert remove_orphans(store, places, WINDOW, WINDOW + FLUSH_MS, WINDOW) == 0
    del store[EVENTS]

    assert remove_orphans(store, places, WINDOW, WINDOW + FLUSH_MS, WINDOW + FLUSH_MS) == 0
    assert remove_orphans(store, places, WINDOW, WINDOW + FLUSH_MS, WINDOW) == 3
    assert not store


def test_a_former_place_holds_orphans_only_unless_manifests_say_so() -> None:
    store, former = committed(), committed()
    for kept, uri in ((4, 's3://former'), (3, '')):
        manifest = msgspec.structs.replace(
            make_manifest(WINDOW, FLUSH_MS, add_up(balanced()), SETTINGS), moved={'backup': 's3://former'})
        write_manifest(store, manifest)

        remove_orphans(store, [Place('backup', uri, former)], WINDOW, WINDOW + FLUSH_MS)

        assert sum(not path.startswith('manifests') for path in former) == kept


def test_objects_of_an_output_that_lies_inside_stay() -> None:
    store = committed()
    for folder in ('events/team-b/', 'backup/x/', EVENTS.rsplit('/', 1)[0] + '/'):
        store[folder + EVENTS] = b''

    assert removed(store, end_ms=WINDOW + 10 * FLUSH_MS) == []
