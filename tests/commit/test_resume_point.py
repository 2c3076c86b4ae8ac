from __future__ import annotations

import orjson
import pytest

from pipeline.commit.manifests import (
    write_manifest,
)
from pipeline.commit.resume_point import (
    ResumePoint,
    advance_resume_point,
    follow,
    read_resume_point,
    resume_point_after,
    write_resume_point,
)
from pipeline.errors import ManifestError
from pipeline.stores.base import MemoryStore
from tests.commit.test_manifests import FLUSH_MS, START, manifest_of, store_with
from tests.ledgers import OTHER, SETTINGS, position


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

    advance_resume_point(store, SETTINGS)

    assert read_resume_point(store) == resume_point_after(manifest_of(START + (reached - 1) * FLUSH_MS))
    assert store.effects == [('put', 'resume.json')]


@pytest.mark.parametrize('places', [[], [1], [1, 2], [-1]])
def test_the_resume_point_stays_where_the_next_window_is_not_committed(places: list[int]) -> None:
    store = store_with(*places)

    advance_resume_point(store, SETTINGS)

    assert read_resume_point(store) == ResumePoint(START, START, {}, SETTINGS)
    assert store.effects == []


def test_the_resume_point_does_not_walk_over_windows_that_are_still_to_be_replaced() -> None:
    store = store_with(1, 2, settings=OTHER)
    write_manifest(store, manifest_of(START))

    advance_resume_point(store, SETTINGS)

    assert (read_resume_point(store) or ResumePoint(0, 0, {}, SETTINGS)).end_ms == START + FLUSH_MS


def test_without_a_resume_point_nothing_moves() -> None:
    store = store_with(0)
    del store['resume.json']

    advance_resume_point(store, SETTINGS)

    assert store.effects == []


def test_following_writes_nothing() -> None:
    store = store_with(0, 1)

    assert follow(store, ResumePoint(START, START, {}, SETTINGS), SETTINGS).end_ms == START + 2 * FLUSH_MS
    assert store.effects == []


def test_after_a_window_unknown_shards_are_read_from_their_beginning() -> None:
    manifest = manifest_of(START)

    assert resume_point_after(manifest) == ResumePoint(START + FLUSH_MS, 0, manifest.positions, SETTINGS)
