"""Whatever is killed after whichever effect, the same command once more leaves the lake of an undisturbed run."""
from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

import pytest

from pipeline.errors import Fenced, Incomplete, PipelineError
from tests.run.small_runs import NOW_MS, Effect, Killed, Runs, World, faults_of
from tests.run.test_plan import at

UNTIL_TEN = '2026-11-23T10:00:00Z'
BEGUN = ['--start', 'earliest', '--stop', UNTIL_TEN]
HOUR = ['--start', '2026-11-23T09:00:00Z', '--stop', UNTIL_TEN]
MOVED = ['--errors_output', '/tmp/errors', '--backup_output', '/tmp/backup']
NOW = ['--stop', 'now']

#: What was done before, and the command that is killed. `killed` commands die before their first commit.
SEQUENCES = {
    'a first run, with claims of places': ([], [*NOW, *MOVED]),
    'a run that goes on': ([BEGUN], NOW),
    'windows replaced': ([BEGUN], [*HOUR, '--rename', 'none', '--replace']),
    'windows replaced by longer ones': ([BEGUN], [*HOUR, '--flush_interval_s', '1800', '--replace']),
    'windows replaced by shorter ones': ([BEGUN], [*HOUR, '--flush_interval_s', '300', '--replace']),
    'windows replaced without a backup': ([BEGUN], [*HOUR, '--rename', 'none', '--replace', '--no_backup']),
    'another mapping after a run that died': ([BEGUN, 'killed', NOW], [*NOW, '--rename', 'none']),
    'another place after a run that died': ([BEGUN, 'killed', NOW], [*NOW, *MOVED]),
    'no backup after a run that died': ([BEGUN, 'killed', NOW], [*NOW, '--no_backup']),
    'a backup after a run without one that died': ([[*BEGUN, '--no_backup'], 'killed', [*NOW, '--no_backup']], NOW),
    'the former place after a run that died': ([[*BEGUN, *MOVED], 'killed', [*NOW, *MOVED]], NOW),
    'a new layout': ([BEGUN, ['--stop', '2026-11-23T10:15:00Z']], ['--stop', '2026-11-23T11:15:00Z', '--new_layout',
                                                                 '--output_shards', '2']),
    'starting over': ([BEGUN], [*HOUR[:2], *NOW, '--rename', 'none', '--start_over', '--replace']),
}


@pytest.fixture
def patch() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


def kill_before(world: World, chosen: Callable[[Effect], bool]) -> None:
    """Kill the run before the first effect that is chosen."""
    def die(effect: Effect) -> None:
        if chosen(effect):
            raise Killed
    world.before_effect = die


def kill_after(world: World, count: int) -> None:
    kill_before(world, lambda _: len(world.effects) == count)


def world_after(patch: pytest.MonkeyPatch, before: list[list[str] | str], now_ms: int = NOW_MS) -> World:
    """Return the world after these commands; one behind `killed` dies once its objects are there."""
    runs, dies = Runs(World(), patch, now_ms), False
    for args in before:
        if isinstance(args, str):
            dies = True
            continue
        with contextlib.suppress(Killed):
            if dies:
                kill_before(runs.world, lambda effect: effect[2].startswith('manifests/'))
            runs.run(*args)
        dies, runs.world.before_effect = False, lambda _: None
    return runs.world


@pytest.mark.parametrize('name', SEQUENCES)
def test_a_run_that_is_killed_after_any_effect_and_given_again_leaves_the_lake_of_one_that_was_not(
        patch: pytest.MonkeyPatch, name: str) -> None:
    before, command = SEQUENCES[name]
    now_ms = at('11:17:21') if name == 'a new layout' else NOW_MS
    world = world_after(patch, before, now_ms)
    undisturbed = Runs(world.copy(), patch, now_ms)
    undisturbed.run(*command)
    assert faults_of(undisturbed.world) == []
    contents, effects = undisturbed.world.contents(), len(undisturbed.world.effects)
    assert effects > 10

    for count in range(effects):
        runs = Runs(world.copy(), patch, now_ms)
        kill_after(runs.world, count)
        with pytest.raises(Killed):
            runs.run(*command)
        runs.world.before_effect = lambda _: None
        runs.run(*command)

        assert (count, runs.world.contents()) == (count, contents)


def test_a_window_that_loses_its_commit_is_written_again_whatever_dies_in_between(patch: pytest.MonkeyPatch) -> None:
    world = world_after(patch, [BEGUN])
    whole = Runs(world.copy(), patch)
    whole.run(*NOW)
    cut = Runs(world.copy(), patch)
    cut.rewinds, cut.incomplete = 3, {at('09:30:00'), at('09:45:00')}
    cut.run(*NOW)
    # Objects are put before anybody can know that they are cut short. What counts is what follows.
    first = next(number for number, (_, _, path) in enumerate(cut.world.effects) if path == 'resume.json')

    for count in range(first + 1, len(cut.world.effects)):
        runs = Runs(world.copy(), patch)
        runs.rewinds, runs.incomplete = cut.rewinds, cut.incomplete
        kill_after(runs.world, count)
        with pytest.raises(Killed):
            runs.run(*NOW)
        runs.rewinds, runs.incomplete, runs.world.before_effect = 0, set(), lambda _: None
        runs.run(*NOW)

        assert (count, runs.world.contents()) == (count, whole.world.contents())


def test_windows_that_are_written_again_with_equal_settings_have_no_effect(patch: pytest.MonkeyPatch) -> None:
    runs = Runs(world_after(patch, [BEGUN]).copy(), patch)

    runs.run(*HOUR)

    assert runs.world.effects == []


@pytest.mark.parametrize(('first', 'second'), [
    (NOW, [*NOW, '--rename', 'none']), ([*NOW, '--rename', 'none'], NOW), (NOW, [*NOW, *MOVED]), (NOW, NOW),
    ([*HOUR, '--rename', 'none', '--replace'], [*HOUR, '--flush_interval_s', '1800', '--replace']),
    ([*HOUR, '--rename', 'none', '--replace'], [*HOUR[:2], *NOW, '--start_over', '--replace'])])
def test_of_two_runs_at_once_the_later_one_wins_and_the_lake_is_whole(
        patch: pytest.MonkeyPatch, first: list[str], second: list[str]) -> None:
    world = world_after(patch, [BEGUN])
    alone = Runs(world.copy(), patch)
    alone.run(*first)
    fenced = 0
    for count in range(len(alone.world.effects)):
        runs = Runs(world.copy(), patch)
        ended = _pause(runs, first, count)
        runs.run(*second)
        error = ended()
        # A replay that had committed everything finds that the other one has replaced it.
        assert error is None or isinstance(error, (Fenced, Incomplete) if '--replace' in first else Fenced), error
        fenced += error is not None
        runs.now_ms += 900_000
        runs.run(*second)

        assert (count, faults_of(runs.world)) == (count, [])
    assert (fenced > 0) == (first != second)


def test_a_run_that_commits_while_another_one_takes_over_lists_nothing_that_was_removed(
        patch: pytest.MonkeyPatch) -> None:
    world, second = world_after(patch, [BEGUN]), [*NOW, '--rename', 'none']
    alone = Runs(world.copy(), patch)
    alone.run(*NOW)
    written = next(number for number, effect in enumerate(alone.world.effects) if effect[2].startswith('manifests/'))
    after = Runs(world.copy(), patch)
    after.run(*second)
    for count in range(len(after.world.effects)):
        runs = Runs(world.copy(), patch)
        ended = _pause(runs, NOW, written)
        _go_on_after(runs, count, ended)
        runs.run(*second)
        assert isinstance(ended(), Fenced | None)
        runs.now_ms += 900_000
        runs.run(*second)

        assert (count, faults_of(runs.world)) == (count, [])


def _go_on_after(runs: Runs, count: int, ended: Callable[[], BaseException | None]) -> None:
    """Let a run that waits go on to its end after `count` effects of the run in this thread."""
    left, thread = [count], threading.current_thread()

    def go_on(_: Effect) -> None:
        if threading.current_thread() is thread:
            left[0] -= 1
            if left[0] < 0:
                ended()

    runs.world.before_effect = go_on


def _pause(runs: Runs, command: list[str], count: int) -> Callable[[], BaseException | None]:
    """Begin a command in a thread, which waits before the effect behind `count` others.

    Return a function that lets it go on to its end, and returns what it raised.
    """
    waits, goes_on = threading.Event(), threading.Event()
    errors: list[BaseException] = []

    def wait(_: Effect) -> None:
        if threading.current_thread() is thread and len(runs.world.effects) == count:
            waits.set()
            assert goes_on.wait(60)

    def run() -> None:
        try:
            runs.run(*command)
        except PipelineError as error:
            errors.append(error)
        finally:
            waits.set()

    def ended() -> BaseException | None:
        goes_on.set()
        thread.join(60)
        return errors[0] if errors else None

    runs.world.before_effect = wait
    thread = threading.Thread(target=run)
    thread.start()
    assert waits.wait(60)
    return ended
