from __future__ import annotations

import pytest

from pipeline.errors import FlinkError
from pipeline.runners.flink_api import FlinkMaster, JobState, cause_of
from tests.flink_rest import JOB, NAME, PATH, FlinkRest, serving

JAVA = ('org.apache.flink.runtime.JobException: Recovery is suppressed by FixedDelay\n\tat a.B.c(B.java:1)\n'
        'Caused by: java.util.concurrent.ExecutionException: wrapped\n\tat a.B.c(B.java:2)\n')
PYTHON = ('Caused by: java.lang.RuntimeException: Error received from SDK harness for instruction 7: Traceback (most '
          'recent call last):\n  File "read.py", line 1, in process\n    raise ReadError(text)\n'
          'pipeline.errors.ReadError: shard 1 is gone [while running \'ReadShards\']\n\n\tat a.B.c(B.java:3)\n')


def test_the_job_of_a_name_is_found_unless_it_has_ended() -> None:
    with serving(FlinkRest()) as rest:
        assert FlinkMaster(rest.url).find(NAME) == JOB
        assert FlinkMaster(rest.url.removeprefix('http://')).find('another') is None
        rest['/jobs/overview']['jobs'][-1]['state'] = 'FINISHED'
        assert FlinkMaster(rest.url).find(NAME) is None


def test_a_job_state_has_tasks_and_restarts() -> None:
    with serving(FlinkRest(RUNNING=1, SCHEDULED=3, FINISHED=0)) as rest:
        assert FlinkMaster(rest.url).state(JOB) == JobState(JOB, 'RUNNING', 2, 5, 0)
        rest.restart(3, JAVA)
        assert FlinkMaster(rest.url).state(JOB).restarts == 3


def test_a_job_without_metrics_yet_has_not_restarted() -> None:
    with serving(FlinkRest()) as rest:
        rest[f'{PATH}/metrics?get=numRestarts'] = []

        assert FlinkMaster(rest.url).state(JOB).restarts == 0


def test_a_counter_of_the_readers_shows_that_one_was_called() -> None:
    with serving(FlinkRest()) as rest:
        assert not FlinkMaster(rest.url).was_read(JOB)
        rest.read()
        assert FlinkMaster(rest.url).was_read(JOB)


@pytest.mark.parametrize(('settings', 'has'), [
    ({'state.checkpoints.dir': 's3://a/b'}, True), ({'execution.checkpointing.dir': 's3://a/b'}, True),
    ({'state.checkpoints.dir': ''}, False), ({'state.savepoints.dir': 's3://a/b'}, False)])
def test_a_cluster_has_storage_if_it_names_a_place_for_checkpoints(settings: dict[str, str], has: bool) -> None:
    with serving(FlinkRest()) as rest:
        rest['/jobmanager/config'] = [{'key': key, 'value': value} for key, value in settings.items()]

        assert FlinkMaster(rest.url).has_storage() is has


def test_a_server_that_is_not_flink_is_an_error_that_names_the_option() -> None:
    with serving(FlinkRest()) as rest:
        url = rest.url
        del rest['/jobs/overview']
        with pytest.raises(FlinkError, match=f'^--flink_master: {url} does not answer as Flink does .*404'):
            FlinkMaster(url).find(NAME)
    with pytest.raises(FlinkError, match=f'^--flink_master: {url} does not answer as Flink does .*refused'):
        FlinkMaster(url).find(NAME)


@pytest.mark.parametrize(('stack', 'cause'), [
    (JAVA, 'java.util.concurrent.ExecutionException: wrapped'),
    (JAVA + PYTHON, "pipeline.errors.ReadError: shard 1 is gone [while running 'ReadShards']"),
    ('java.lang.Exception: alone', 'java.lang.Exception: alone'), ('x' * 1000, 'x' * 300), ('', '')])
def test_the_cause_of_a_stack_trace_is_its_innermost_line(stack: str, cause: str) -> None:
    assert cause_of(stack) == cause


def test_the_cause_of_a_job_is_that_of_its_last_failure() -> None:
    with serving(FlinkRest()) as rest:
        assert FlinkMaster(rest.url).cause(JOB) == ''
        rest.restart(1, JAVA)
        assert FlinkMaster(rest.url).cause(JOB) == 'java.util.concurrent.ExecutionException: wrapped'
