from __future__ import annotations

import pytest
from apache_beam.options.pipeline_options import GoogleCloudOptions, StandardOptions

from pipeline.errors import FlinkError, RunRefused
from pipeline.runners.runners import beam_options, check_runner, job_name, watched
from tests.command_lines import options_of
from tests.flink_rest import JOB, PATH, FlinkRest, serving

FLINK = ('--runner', 'FlinkRunner')
SAFE = {'checkpointing_interval': '30000', 'checkpointing_mode': 'EXACTLY_ONCE',
        'finish_bundle_before_checkpointing': ''}


def flags_of(*args: str) -> dict[str, str]:
    """Give the arguments that Beam is given, by name."""
    return dict(arg.removeprefix('--').partition('=')[::2] for arg in beam_options(options_of(*args))._flags)


def refusal(*args: str) -> str:
    with pytest.raises(RunRefused) as refused:
        beam_options(options_of(*args))
    return str(refused.value)


def test_flink_is_given_what_makes_it_safe() -> None:
    flags = flags_of(*FLINK)

    assert {name: flags.get(name) for name in SAFE} == SAFE
    assert flags['job_name'] == 'mmp-pipeline-tmp-lake'
    assert 'streaming' in flags


def test_a_bounded_run_is_let_end_on_flink() -> None:
    assert 'shutdown_sources_after_idle_ms' not in flags_of(*FLINK)
    assert flags_of(*FLINK, '--stop', 'now')['shutdown_sources_after_idle_ms'] == '1000'
    assert flags_of(*FLINK, '--stop', 'now', '--shutdown_sources_after_idle_ms=5000')[
        'shutdown_sources_after_idle_ms'] == '5000'


def test_what_the_user_says_of_flink_stays() -> None:
    flags = flags_of(*FLINK, '--checkpointing_interval=5000', '--checkpointing_mode=exactly_once', '--job_name=mine',
                     '--finish_bundle_before_checkpointing')

    assert (flags['checkpointing_interval'], flags['checkpointing_mode'], flags['job_name']) == (
        '5000', 'exactly_once', 'mine')


@pytest.mark.parametrize(('args', 'answer'), [
    (['--checkpointing_mode=AT_LEAST_ONCE'], "--checkpointing_mode: got 'AT_LEAST_ONCE', must be EXACTLY_ONCE"),
    (['--checkpointing_interval', '-1'],
     "--checkpointing_interval: got '-1', must be a number of milliseconds above 0"),
    (['--allow_non_restored_state'],
     '--allow_non_restored_state: must not be given: the state that is not restored may be that of the readers'),
    (['--job_endpoint', 'jobs:8099'],
     '--flink_master: must be given with --job_endpoint: this program watches the job there'),
    (['--savepoint_path', 's3://state/1', '--start', 'latest'],
     "--start: got 'latest', must be resume with --savepoint_path, which says where to go on"),
    (['--savepoint_path', 's3://state/1', '--on_gap', 'skip'],
     "--on_gap: got 'skip', must be fail with --savepoint_path: the readers in it would meet the gap again and again"),
    (['--disable_metrics'],
     '--disable_metrics: must not be given: metrics show this program whether readers are called'),
    (['--savepoint_path', 's3://state/1', '--flink_submit_uber_jar'],
     '--savepoint_path: must not be given with --flink_submit_uber_jar, which ignores it')])
def test_a_command_line_that_makes_flink_unsafe_is_refused(args: list[str], answer: str) -> None:
    assert refusal(*FLINK, *args) == answer


def test_only_direct_runner_is_not_told_to_stream() -> None:
    streaming = {runner: beam_options(options_of('--runner', runner)).view_as(StandardOptions).streaming
                 for runner in ('DirectRunner', 'PrismRunner', 'FlinkRunner', 'DataflowRunner')}

    assert streaming == {'DirectRunner': False, 'PrismRunner': True, 'FlinkRunner': True, 'DataflowRunner': True}


@pytest.mark.parametrize(('output', 'name'), [
    ('s3://lake/mobile', 'mmp-pipeline-s3-lake-mobile'), ('/tmp/Lake_1/', 'mmp-pipeline-tmp-lake-1'),
    ('s3://bucket/' + 'long/' * 20, 'mmp-pipeline-s3-bucket-long-long-long-long-long-long-long-long')])
def test_a_job_is_named_after_its_output_as_dataflow_allows(output: str, name: str) -> None:
    assert job_name(output) == name
    assert beam_options(options_of(*FLINK, '--output', output)).view_as(GoogleCloudOptions).job_name == name


def test_a_job_of_the_same_name_on_the_cluster_is_refused() -> None:
    with serving(FlinkRest()) as rest:
        options = options_of(*FLINK, '--flink_master', rest.url, '--output', '/lake')
        with pytest.raises(RunRefused) as refused:
            check_runner(options, beam_options(options))

        assert str(refused.value) == (
            f'--job_name: job {JOB} with the name mmp-pipeline-lake is already running on {rest.url}: cancel it there, '
            'or give another --job_name')


def test_a_cluster_that_keeps_checkpoints_nowhere_needs_to_be_told_where() -> None:
    with serving(FlinkRest()) as rest:
        rest['/jobmanager/config'] = []
        options = options_of(*FLINK, '--flink_master', rest.url)
        with pytest.raises(RunRefused) as refused:
            check_runner(options, beam_options(options))
        told = options_of(*FLINK, '--flink_master', rest.url, '--state_backend=filesystem',
                          '--state_backend_storage_path=s3://state/checkpoints')
        check_runner(told, beam_options(told))

    assert str(refused.value) == (
        '--state_backend_storage_path: must be given, with --state_backend: the cluster does not set '
        'execution.checkpointing.dir, and checkpoints in memory are too small for a window and are lost with the '
        'JobManager')


def test_a_cluster_that_does_not_answer_is_an_error_before_anything_starts() -> None:
    options = options_of(*FLINK, '--flink_master', '127.0.0.1:1')

    with pytest.raises(FlinkError, match='^--flink_master: http://127.0.0.1:1 does not answer'):
        check_runner(options, beam_options(options))


def test_other_runners_and_a_flink_inside_the_job_server_have_no_cluster_to_ask() -> None:
    inside = [*FLINK, '--flink_master=[local]']
    for args in (['--runner', 'PrismRunner'], [*FLINK], inside):
        options = options_of(*args)
        check_runner(options, beam_options(options))
        with watched(options.runner, beam_options(options)):
            pass


def test_a_job_on_a_cluster_ends_with_the_block_that_watches_it() -> None:
    with serving(FlinkRest()) as rest:
        options = options_of(*FLINK, '--flink_master', rest.url, '--output', '/lake')
        with watched(options.runner, beam_options(options)):
            pass

        assert rest.changes == [f'{PATH}?mode=cancel']
