from __future__ import annotations

import msgspec
import orjson
import pytest

from pipeline.commit.manifests import Manifest, Settings, write_manifest
from pipeline.commit.resume_point import (
    ResumePoint,
    follow,
    read_resume_point,
    update_resume_point,
    write_resume_point,
)
from pipeline.errors import ManifestError
from pipeline.stores.base import MemoryStore
from tests.commit.test_manifests import FLUSH_MS, START, manifest_of, store_with
from tests.ledgers import OTHER, SETTINGS, position


def advance(store: MemoryStore, settings: Settings = SETTINGS) -> None:
    """Move resume.json over the manifests that follow it."""
    update_resume_point(store, lambda before: before and follow(store, before, settings))


def behind(manifest: Manifest) -> ResumePoint:
    return ResumePoint(manifest.end_ms, 0, manifest.positions, manifest.settings)


def test_no_resume_is_not_the_same_as_a_damaged_one() -> None:
    store = MemoryStore()
    assert read_resume_point(store) is None

    store['resume.json'] = b''
    with pytest.raises(ManifestError) as error:
        read_resume_point(store)

    assert str(error.value) == 'resume.json is damaged: not JSON of this program; put back an older version'


def test_the_resume_point_comes_back_as_it_was_written() -> None:
    store, resume_point = MemoryStore(), ResumePoint(START, 7, {'app/a': position('1')}, SETTINGS)
    write_resume_point(store, resume_point)

    assert read_resume_point(store) == resume_point
    assert orjson.loads(store['resume.json'])['end'] == '2026-11-23T23:50:00Z'


@pytest.mark.parametrize(('places', 'reached'), [([0], 1), ([0, 1, 2], 3), ([0, 2], 1), ([0, 1, 3, 4], 2)])
def test_the_resume_point_moves_over_manifests_without_a_gap(places: list[int], reached: int) -> None:
    store = store_with(*places)

    advance(store)

    assert read_resume_point(store) == behind(manifest_of(START + (reached - 1) * FLUSH_MS))
    assert store.effects == [('put', 'resume.json')]


@pytest.mark.parametrize('places', [[], [1], [1, 2], [-1]])
def test_the_resume_point_stays_where_the_next_window_is_not_committed(places: list[int]) -> None:
    store = store_with(*places)

    advance(store)

    assert read_resume_point(store) == ResumePoint(START, START, {}, SETTINGS)
    assert store.effects == []


def test_the_resume_point_does_not_walk_over_windows_that_are_still_to_be_replaced() -> None:
    store = store_with(1, 2, settings=OTHER)
    write_manifest(store, manifest_of(START))

    advance(store)

    assert (read_resume_point(store) or ResumePoint(0, 0, {}, SETTINGS)).end_ms == START + FLUSH_MS


def test_without_a_resume_point_nothing_moves() -> None:
    store = store_with(0)
    del store['resume.json']

    advance(store)

    assert store.effects == []


def test_following_writes_nothing() -> None:
    store = store_with(0, 1)

    assert follow(store, ResumePoint(START, START, {}, SETTINGS), SETTINGS).end_ms == START + 2 * FLUSH_MS
    assert store.effects == []


def edited(*path: str, value: object) -> MemoryStore:
    """Return a store whose resume.json someone has edited by hand; `None` takes the field away."""
    store = MemoryStore()
    write_resume_point(store, ResumePoint(START, 7, {'app/a': position('1')}, SETTINGS))
    file = orjson.loads(store['resume.json'])
    place = file
    for name in path[:-1]:
        place = place[name]
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    store['resume.json'] = orjson.dumps(file)
    return store


@pytest.mark.parametrize(('path', 'value', 'wrong'), [
    (['end_ms'], START + 1234, f'end_ms {START + 1234} is not the end of a window'),
    (['end_ms'], -300_000, 'end_ms -300000 is not the end of a window'),
    (['end_ms'], 10 ** 18 // 300_000 * 300_000, 'end_ms 999999999999900000 is not the end of a window'),
    (['end'], '2026-11-23T09:00:00Z', 'end and end_ms differ: 2026-11-23T23:50:00Z is end_ms'),
    (['since_ms'], -1, 'since_ms is not in epoch milliseconds'),
    (['positions', 'x'], {'sequence': '1', 'since_ms': 0, 'arrival_ms': 0, 'open': True},
     "position 'x' names no stream and shard"),
    (['positions', 'app/a', 'sequence'], 'abc', 'the sequence number of app/a is not a number'),
    (['positions', 'app/a', 'sequence'], '١', 'the sequence number of app/a is not a number'),
    (['positions', 'app/a', 'arrival_ms'], 10 ** 18, 'a time of app/a is not in epoch milliseconds'),
    (['settings', 'placement', 'flush_interval_s'], 0, f'end_ms {START} is not the end of a window'),
    *((path, value, 'not JSON of this program') for path, value in [
        (['end_ms'], True), (['end_ms'], 'x'), (['end'], None), (['settings'], {}),
        (['settings', 'placement', 'streams'], None), (['settings', 'placement'], []), (['settings', 'content'], None),
        (['positions', 'app/a', 'arrival_ms'], None), (['positions', 'app/a', 'sequence'], 12),
        (['positions', 'app/a', 'since_ms'], 'x'), (['positions', 'app/a'], 1), (['cleanup'], 1)])])
def test_an_edit_by_hand_that_no_run_can_have_written_is_refused(path: list[str], value: object, wrong: str) -> None:
    with pytest.raises(ManifestError) as error:
        read_resume_point(edited(*path, value=value))

    assert str(error.value) == f'resume.json is damaged: {wrong}; put back an older version'


def test_an_update_that_another_run_comes_before_is_made_again() -> None:
    store, seen = store_with(), []

    def change(before: ResumePoint | None) -> ResumePoint | None:
        assert before
        seen.append(before.generation)
        if len(seen) == 1:
            write_resume_point(store, msgspec.structs.replace(before, generation=5))
        return msgspec.structs.replace(before, generation=before.generation + 1)

    after = update_resume_point(store, change)

    assert (seen, after, read_resume_point(store)) == ([0, 5], after, after)
    assert after and after.generation == 6


def test_an_update_gives_up_if_others_come_before_it_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    store = store_with()
    monkeypatch.setattr(MemoryStore, 'swap', lambda *_: False)

    with pytest.raises(ManifestError, match='^resume.json is written by other runs all the time: end one of them$'):
        update_resume_point(store, lambda before: before and msgspec.structs.replace(before, generation=1))


def test_a_window_that_is_unfinished_ends_the_walk_unless_it_was_just_written() -> None:
    store = store_with(0, 1)
    unfinished = ResumePoint(START, START, {}, SETTINGS, unfinished=True)

    assert follow(store, unfinished, SETTINGS) == unfinished
    assert follow(store, unfinished, SETTINGS, written_ms=START + FLUSH_MS) == unfinished
    assert follow(store, unfinished, SETTINGS, written_ms=START).end_ms == START + 2 * FLUSH_MS
