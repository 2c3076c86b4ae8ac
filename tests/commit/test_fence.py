from __future__ import annotations

import contextlib

import pytest

from pipeline.commit.fence import begin_replay, check_fence, check_replay_fence, joined, leave_cleanup, next_replay
from pipeline.commit.manifests import Settings
from pipeline.commit.resume_point import Cleanup, Replay, ResumePoint, read_resume_point, write_resume_point
from pipeline.errors import Fenced
from pipeline.stores.base import MemoryStore
from tests.commit.test_manifests import FLUSH_MS, START
from tests.ledgers import OTHER, SETTINGS


def resume_point(generation: int = 0, replay: int = 0, cleanup: Cleanup | None = None) -> ResumePoint:
    return ResumePoint(START, START, {}, SETTINGS, generation=generation, cleanup=cleanup,
                       replay=Replay(replay, SETTINGS) if replay else None)


def resumable(found: ResumePoint) -> MemoryStore:
    store = MemoryStore()
    write_resume_point(store, found)
    store.effects.clear()
    return store


@pytest.mark.parametrize(('found', 'generation', 'fenced'), [
    (None, 0, False), (resume_point(2), 2, False), (resume_point(2), 3, False), (resume_point(3), 2, True)])
def test_a_run_is_fenced_by_a_later_generation(found: ResumePoint | None, generation: int, fenced: bool) -> None:
    with pytest.raises(Fenced) if fenced else contextlib.nullcontext():
        check_fence(found, generation)


@pytest.mark.parametrize(('found', 'replay', 'settings', 'end_ms', 'fenced'), [
    (None, 1, OTHER, START, False),
    (resume_point(9, replay=1), 1, OTHER, START, False),  # a replay that replaces goes by its own number
    (resume_point(9), 1, OTHER, START, False),
    (resume_point(9, replay=2), 1, OTHER, START, True),
    (resume_point(0, replay=9), 0, OTHER, START, False),  # another one goes by the generation
    (resume_point(1), 0, SETTINGS, START, True),
    (resume_point(replay=1), 1, OTHER, START + 1, True),  # behind resume.json are the windows of the run that moves it
    (resume_point(), 0, OTHER, START + 1, True),
    (resume_point(replay=1), 1, SETTINGS, START + 1, False)])
def test_a_replay_is_fenced_by_a_later_one_and_behind_resume_by_the_run_that_moves_it(
        found: ResumePoint | None, replay: int, settings: Settings, end_ms: int, fenced: bool) -> None:
    with pytest.raises(Fenced) if fenced else contextlib.nullcontext():
        check_replay_fence(found, 0, replay, settings, end_ms)


def test_replays_of_equal_settings_share_a_number_and_others_have_a_higher_one() -> None:
    store = resumable(resume_point())

    assert [begin_replay(store, settings) for settings in (SETTINGS, SETTINGS, OTHER, OTHER, SETTINGS)] == [
        1, 1, 2, 2, 3]
    assert len(store.effects) == 3


def test_without_a_resume_point_a_replay_has_no_number() -> None:
    store = MemoryStore()

    assert begin_replay(store, SETTINGS) == 0
    assert store == {}


def test_a_run_that_removes_what_replays_write_ends_those_that_run() -> None:
    assert next_replay(Replay(4, OTHER)) == Replay(5, OTHER)
    assert next_replay(None) is None


def test_a_run_that_is_fenced_notes_what_it_may_have_left_and_nothing_without_a_resume_point() -> None:
    store, none = resumable(resume_point()), MemoryStore()
    for each in (store, none):
        leave_cleanup(each, START, START + FLUSH_MS, {'errors': '/e'})

    found = read_resume_point(store)
    assert found and found.cleanup == Cleanup(START, START + FLUSH_MS, {'errors': ['/e']}, begun=True)
    assert none == {}


def test_two_cleanups_are_one_that_covers_both() -> None:
    first = Cleanup(5, 20, {'errors': ['/b', '/a']}, begun=True)
    second = Cleanup(3, 10, {'errors': ['/a'], 'backup': ['']}, begun=False)

    assert joined(None, first) == first
    for one, other in ((first, second), (second, first)):
        assert joined(one, other) == Cleanup(3, 20, {'backup': [''], 'errors': ['/a', '/b']}, begun=False)
    assert joined(first, first).begun
