from __future__ import annotations

import time

import pytest

from pipeline.errors import FlinkError, Gap
from pipeline.runners.flink_api import FlinkMaster
from pipeline.runners.flink_watch import CANCEL_S, FlinkWatch, cancel_job, watching
from tests.flink_rest import JOB, NAME, PATH, FlinkRest, serving


class Clock:
    """A clock that stands still until it is set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def seen(rest: FlinkRest, clock: Clock, *moments: float) -> FlinkWatch:
    """Let a watch look at these times, in seconds."""
    watch = FlinkWatch(FlinkMaster(rest.url), NAME, clock)
    for clock.now in moments:
        watch.look()
    return watch


def test_a_warning_comes_within_a_minute_and_every_minute_if_no_reader_is_called(
        caplog: pytest.LogCaptureFixture) -> None:
    with serving(FlinkRest()) as rest:
        seen(rest, Clock(), 100, 149, 150, 155, 209, 210)

    text = (f'all tasks of job {JOB} run, so its workers do not answer (see --environment_config), or its start was '
            'lost: stop this run, and start it again')
    assert caplog.messages == [f'no reader was called in 50 s: {text}', f'no reader was called in 110 s: {text}']


def test_the_warning_for_a_job_without_slots_says_so(caplog: pytest.LogCaptureFixture) -> None:
    with serving(FlinkRest(SCHEDULED=3)) as rest:
        rest[PATH]['state'] = 'RESTARTING'
        rest.restart(0, 'java.lang.Exception: NoResourceAvailableException: no slots')
        seen(rest, Clock(), 0, 51)

    assert caplog.messages == [
        f'no reader was called in 51 s: 1 of 4 tasks of job {JOB} run, which is RESTARTING: the cluster needs a free '
        'slot for each of --parallelism. java.lang.Exception: NoResourceAvailableException: no slots']


def test_a_job_that_never_reaches_the_cluster_is_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    with serving(FlinkRest()) as rest:
        rest['/jobs/overview'] = {'jobs': []}
        seen(rest, Clock(), 0, 50)

        assert caplog.messages == [f'no reader was called in 50 s: {rest.url} has no job {NAME} yet']


def test_a_job_that_reads_is_not_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    with serving(FlinkRest()) as rest:
        clock = Clock()
        watch = seen(rest, clock, 0)
        rest.read()
        watch.look()
        rest[f'{PATH}/vertices/readers/subtasks/metrics'] = []  # as after a restart
        clock.now = 1000
        watch.look()

    assert caplog.messages == []


def test_each_restart_is_logged_once_with_its_cause(caplog: pytest.LogCaptureFixture) -> None:
    with serving(FlinkRest()) as rest:
        rest.read()
        watch = seen(rest, Clock(), 0)
        rest.restart(1, 'java.lang.Exception: TaskManager is gone')
        watch.look()
        watch.look()
        rest.restart(3, 'java.io.IOException: disk full')
        watch.look()

    assert caplog.messages == [
        f'job {JOB} was restarted (1 so far): java.lang.Exception: TaskManager is gone',
        f'job {JOB} was restarted (3 so far): java.io.IOException: disk full']


def test_a_job_whose_readers_cannot_continue_is_cancelled_and_their_error_raised(
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('pipeline.runners.flink_watch.LOOK_S', 0.01)
    with serving(FlinkRest()) as rest:
        rest.restart(7, "java.X: Traceback\npipeline.errors.Gap: lost [while running 'Read']\n\tat x")

        with pytest.raises(Gap, match='^lost$'), watching(FlinkMaster(rest.url), NAME):
            while not rest.changes:
                time.sleep(0.01)

        assert rest.changes == [f'{PATH}?mode=cancel']


def test_a_cluster_that_does_not_answer_is_logged_once_until_it_answers_again(caplog: pytest.LogCaptureFixture) -> None:
    with serving(FlinkRest()) as rest:
        rest.read()
        overview = rest.pop('/jobs/overview')
        watch = seen(rest, Clock(), 0, 5)
        rest['/jobs/overview'] = overview
        watch.look()
        del rest['/jobs/overview']
        watch.look()

    assert [message.rpartition('; ')[2] for message in caplog.messages] == ['the job may still be running'] * 2


def test_a_job_is_cancelled_when_its_submitter_ends() -> None:
    with serving(FlinkRest()) as rest:
        with pytest.raises(KeyboardInterrupt), watching(FlinkMaster(rest.url), NAME):
            raise KeyboardInterrupt

        assert rest.changes == [f'{PATH}?mode=cancel']


def test_a_job_that_has_ended_is_not_cancelled() -> None:
    with serving(FlinkRest()) as rest:
        rest['/jobs/overview'] = {'jobs': [{'jid': JOB, 'name': NAME, 'state': 'FINISHED'}]}
        with watching(FlinkMaster(rest.url), NAME):
            pass

        assert rest.changes == []


def test_a_job_that_does_not_end_is_an_error() -> None:
    with serving(FlinkRest()) as rest:
        rest.change = rest.changes.append  # type: ignore[method-assign]
        waits: list[float] = []
        with pytest.raises(FlinkError) as error:
            cancel_job(FlinkMaster(rest.url), NAME, waits.append)

        assert str(error.value) == f'job {JOB} has not ended 60 s after it was cancelled: see {rest.url}'
        assert sum(waits) == CANCEL_S
