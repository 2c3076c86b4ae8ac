from __future__ import annotations

import dataclasses
import pathlib
from typing import Any

import msgspec
import pytest

from pipeline.commit.resume_point import Cleanup, Replay, ResumePoint, read_resume_point, write_resume_point
from pipeline.errors import RunRefused
from pipeline.run.prepare import QUIET_MS, PlanOutdated, Preparation, prepare, taking_over
from pipeline.stores.base import FolderStore
from tests.command_lines import options_of
from tests.ledgers import EVENTS, OTHER, SETTINGS
from tests.run.test_plan import at

HERE = at('10:15:00')
FOUND = ResumePoint(HERE, 0, {}, SETTINGS, generation=3)
OWED = Cleanup(HERE, HERE, {}, begun=True)


@dataclasses.dataclass
class Site:
    """An output whose resume.json is as given, and the lines that were said."""

    root: str
    said: list[str]

    @property
    def store(self) -> FolderStore:
        return FolderStore(self.root)

    def holds(self, found: ResumePoint) -> None:
        write_resume_point(self.store, found)

    def found(self) -> ResumePoint | None:
        return read_resume_point(self.store)

    def prepare(self, preparation: Preparation, *args: str, moves: bool = True) -> int:
        return prepare(preparation, options_of('--output', self.root, *args), self.store, OTHER,
                       moves_resume_point=moves, say=self.said.append)


@pytest.fixture
def site(tmp_path: pathlib.Path) -> Site:
    made = Site(str(tmp_path), [])
    made.holds(FOUND)
    return made


def take_over(found: ResumePoint, wanted: ResumePoint, now_ms: int = HERE, anew: bool = False,
              replace: bool = False) -> Preparation:
    return taking_over(found, found, wanted, now_ms=now_ms, end_ms=HERE + 3_600_000, anew=anew, replace=replace)


def test_a_run_that_replaces_windows_behind_resume_gets_a_number_of_its_own(site: Site) -> None:
    replace = ('--start', '2026-11-23T09:00:00Z', '--stop', 'now', '--replace')

    assert site.prepare(Preparation(FOUND), *replace, moves=False) == 1
    assert site.prepare(Preparation(FOUND), *replace[:-1], moves=False) == 0
    assert site.prepare(Preparation(FOUND), *replace, '--start_over') == 0
    found = site.found()
    assert found and found.replay == Replay(1, OTHER)


def test_a_run_with_other_settings_takes_over_removes_orphans_and_says_when_it_has(site: Site) -> None:
    site.store.put(EVENTS, b'')
    preparation = take_over(FOUND, msgspec.structs.replace(FOUND, settings=OTHER))

    site.prepare(preparation)

    assert site.store.get(EVENTS) is None
    assert site.said == ['removed 1 objects that a run with other settings had begun']
    assert site.found() == msgspec.structs.replace(
        FOUND, settings=OTHER, generation=4, cleanup=Cleanup(HERE, HERE, {}, begun=True))


def test_what_a_fenced_run_put_late_is_removed_until_it_can_put_no_more(site: Site) -> None:
    owing = msgspec.structs.replace(FOUND, cleanup=OWED)

    for now_ms, owed in ((HERE + QUIET_MS - 1, OWED), (HERE + QUIET_MS, None)):
        site.holds(owing)
        site.prepare(take_over(owing, owing, now_ms))

        assert site.found() == msgspec.structs.replace(FOUND, cleanup=owed)


def test_a_note_that_another_run_leaves_meanwhile_is_not_lost(site: Site) -> None:
    later = msgspec.structs.replace(FOUND, cleanup=Cleanup(HERE - 900_000, HERE, {}))
    site.holds(later)

    site.prepare(Preparation(FOUND, cleanup=OWED, cleanup_ends=True))

    assert site.found() == later


@pytest.mark.parametrize(('changed', 'given', 'takes_over'), [
    ({}, {}, False), ({}, {'anew': True}, True), ({}, {'replace': True}, True), ({'settings': OTHER}, {}, True),
    ({'moved': {'errors': '/e'}}, {}, True), ({'backup': False}, {}, True)])
def test_a_run_that_writes_something_else_begins_a_generation_and_ends_replays(
        changed: dict[str, Any], given: dict[str, bool], takes_over: bool) -> None:
    found = msgspec.structs.replace(FOUND, replay=Replay(7, SETTINGS))

    preparation = take_over(found, msgspec.structs.replace(found, **changed), **given)

    assert preparation.generation == FOUND.generation + takes_over
    assert (preparation.resume_point is not None) == takes_over
    if preparation.resume_point:
        assert preparation.resume_point.replay == Replay(8, SETTINGS)
        assert preparation.orphan_range == (HERE, HERE + 3_600_000)


def test_a_plan_is_made_again_if_resume_has_moved_since(site: Site) -> None:
    preparation = take_over(msgspec.structs.replace(FOUND, end_ms=HERE - 300_000), FOUND, replace=True)

    with pytest.raises(PlanOutdated):
        site.prepare(preparation)
    assert site.found() == FOUND


def test_a_savepoint_of_former_settings_is_refused_before_anything_is_written(site: Site) -> None:
    savepoint = ('--runner', 'FlinkRunner', '--savepoint_path', '/s')
    preparation = take_over(FOUND, msgspec.structs.replace(FOUND, settings=OTHER))

    with pytest.raises(RunRefused, match='^--savepoint_path: must not be given if settings changed'):
        site.prepare(preparation, *savepoint)
    assert site.found() == FOUND

    site.prepare(preparation)
    after = site.found()
    assert after and after.cleanup
    site.prepare(take_over(after, after), *savepoint)  # of the same generation
