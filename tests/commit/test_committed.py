from __future__ import annotations

import pickle

import pytest

from pipeline.commit.committed import CommittedWindows
from pipeline.commit.ledger import add_up
from pipeline.commit.manifests import make_manifest, manifest_before, write_manifest
from pipeline.errors import ManifestError
from pipeline.options.types import iso_ms
from pipeline.paths import manifest_path
from pipeline.stores.base import MemoryStore
from tests.ledgers import SETTINGS, balanced

MINUTE = 60_000


def at(clock: str) -> int:
    """Return a time of the last two days of November, as `30T23:50`."""
    return iso_ms(f'2026-11-{clock}:00Z') or 0


def store_with(*windows: str) -> MemoryStore:
    """A store with manifests: `30T10:00+5` is the window of five minutes from 10:00 on."""
    store = MemoryStore()
    for window in windows:
        clock, minutes = window.split('+')
        write_manifest(store, make_manifest(at(clock), int(minutes) * MINUTE, add_up(balanced()), SETTINGS))
    store['manifests/year=2026/month=11/day=30/notes.txt'] = b''
    return store


def around(store: MemoryStore, clock: str, minutes: int) -> list[str]:
    found = CommittedWindows(store).around(at(clock), at(clock) + minutes * MINUTE)
    return [f'{manifest_path(window.window_ms)[-12:-8]}+{(window.end_ms - window.window_ms) // MINUTE}'
            for window in found]


@pytest.mark.parametrize(('windows', 'expected'), [
    ([], []),
    (['30T10:00+5'], ['1000+5']),
    (['30T09:55+5', '30T10:00+5', '30T10:05+5'], ['1000+5']),
    (['30T10:00+1', '30T10:01+1', '30T10:04+1', '30T10:05+1'], ['1000+1', '1001+1', '1004+1']),
    (['30T10:00+1', '30T10:10+5', '30T10:15+5'], ['1000+1', '1010+5']),
    (['30T10:00+30'], ['1000+30']),
    (['30T09:50+5', '30T10:10+5'], ['1010+5']),
    (['30T09:00+60', '30T10:30+5'], ['1030+5'])])
def test_the_windows_around_that_from_1000_to_1005(windows: list[str], expected: list[str]) -> None:
    assert around(store_with(*windows), '30T10:00', 5) == expected


def test_a_longer_window_that_began_earlier_is_found() -> None:
    assert around(store_with('30T10:00+30', '30T10:30+30'), '30T10:25', 5) == ['1000+30']
    assert around(store_with('30T10:00+30', '30T10:30+30'), '30T10:30', 5) == ['1030+30']


def test_the_next_window_may_be_that_of_the_next_day_but_not_a_later_one() -> None:
    assert around(store_with('29T23:50+5', '30T00:20+5'), '29T23:55', 5) == ['0020+5']
    assert around(store_with('30T00:20+5'), '28T23:55', 5) == []


def test_a_manifest_that_was_withdrawn_meanwhile_is_passed_over() -> None:
    store = store_with('30T09:00+5', '30T10:00+5', '30T10:05+5')
    known = CommittedWindows(store)
    assert known.around(at('30T09:00'), at('30T09:05'))[0].window_ms == at('30T09:00')
    store.delete(manifest_path(at('30T10:00')))

    assert [window.window_ms for window in known.around(at('30T10:00'), at('30T10:05'))] == [at('30T10:05')]


def test_a_window_says_what_its_manifest_says() -> None:
    store = store_with('30T10:00+5')
    (window,) = CommittedWindows(store).around(at('30T10:00'), at('30T10:05'))

    assert window.accounts == add_up(balanced()).shards
    assert window.positions == add_up(balanced()).positions
    assert window.created_ms == {}


def test_a_damaged_manifest_is_never_taken_for_absent() -> None:
    store = store_with('30T10:00+5')
    store[manifest_path(at('30T10:00'))] = b'{'

    with pytest.raises(ManifestError):
        around(store, '30T10:00', 5)


def test_a_worker_lists_anew_what_is_committed() -> None:
    known = CommittedWindows(store_with())
    assert known.around(at('30T10:00'), at('30T10:05')) == ()
    known._store = store_with('30T10:00+5')

    assert known.around(at('30T10:05'), at('30T10:10')) == ()
    assert len(pickle.loads(pickle.dumps(known)).around(at('30T10:00'), at('30T10:05'))) == 1


@pytest.mark.parametrize(('windows', 'end', 'found'), [
    ([], '30T10:00', None), (['30T09:55+5'], '30T10:00', '30T09:55'), (['29T23:55+5'], '30T00:00', '29T23:55'),
    (['30T09:50+5'], '30T10:00', None), (['30T09:30+30', '30T10:00+5'], '30T10:00', '30T09:30'),
    (['30T09:30+60'], '30T10:00', None)])
def test_the_manifest_before_a_time_is_that_of_the_window_that_ends_there(
        windows: list[str], end: str, found: str | None) -> None:
    manifest = manifest_before(store_with(*windows), at(end))

    assert (manifest and manifest.window_ms) == (at(found) if found else None)
