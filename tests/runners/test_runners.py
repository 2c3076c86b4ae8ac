from __future__ import annotations

import pathlib
import sys
from typing import Any

import pytest
from apache_beam.options.pipeline_options import (
    GoogleCloudOptions,
    PortableOptions,
    PrismRunnerOptions,
    StandardOptions,
    TypeOptions,
    WorkerOptions,
)

from pipeline.errors import FlinkError, RunRefused
from pipeline.runners.runners import beam_options, check_runner, job_name, readers_of, runs_here, watched
from tests.command_lines import options_of
from tests.flink_rest import JOB, PATH, FlinkRest, serving

DATAFLOW = ['--runner', 'DataflowRunner']
FLINK = ['--runner', 'FlinkRunner', '--flink_master', 'host:8081']


def beam(*args: str) -> Any:
    return beam_options(options_of(*args))


def refusal(*args: str) -> str:
    with pytest.raises(RunRefused) as error:
        beam(*args)
    return str(error.value)


@pytest.mark.parametrize(('runner', 'here', 'streaming'), [
    ('DirectRunner', True, False), ('FnApiRunner', True, False), ('PrismRunner', False, True)])
def test_only_direct_runner_reads_in_slices(runner: str, here: bool, streaming: bool) -> None:
    options = options_of('--runner', runner)

    assert runs_here(options.runner) == here
    assert beam_options(options).view_as(StandardOptions).streaming == streaming


def test_direct_runner_is_always_named_since_beams_own_choice_is_silent() -> None:
    assert beam().view_as(StandardOptions).runner == 'FnApiRunner'


def test_prism_is_the_one_beside_this_python(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / 'prism').touch()
    monkeypatch.setattr(sys, 'executable', str(tmp_path / 'python'))

    assert beam('--runner', 'PrismRunner').view_as(PrismRunnerOptions).prism_location == str(tmp_path / 'prism')


def test_a_prism_location_of_the_user_is_kept(tmp_path: pathlib.Path) -> None:
    options = beam('--runner', 'PrismRunner', '--prism_location', '/opt/prism')

    assert options.view_as(PrismRunnerOptions).prism_location == '/opt/prism'


@pytest.mark.parametrize(('args', 'seconds'), [([], 315_360_000), (['--job_server_timeout=60'], 60)])
def test_a_run_on_prism_does_not_end_after_five_minutes_unless_told_to(args: list[str], seconds: int) -> None:
    options = beam('--runner', 'PrismRunner', *args)

    assert options.view_as(PortableOptions).job_server_timeout == seconds


def test_other_options_are_passed_on_to_beam() -> None:
    assert beam('--type_check_additional=all').view_as(TypeOptions).type_check_additional == 'all'
    assert beam(*FLINK, '--environment_type=EXTERNAL').view_as(PortableOptions).environment_type == 'EXTERNAL'


@pytest.mark.parametrize(('args', 'readers'), [
    ([], 1), (['--readers', '3'], 3), (['--runner', 'PrismRunner'], 1), (FLINK, 4),
    ([*FLINK, '--parallelism', '3'], 12), ([*FLINK, '--parallelism=3', '--readers', '5'], 5)])
def test_there_are_four_readers_per_worker_by_default(args: list[str], readers: int) -> None:
    options = options_of(*args)

    assert readers_of(options, beam_options(options)) == readers


def test_the_readers_on_dataflow_depend_on_its_workers() -> None:
    options = options_of('--runner', 'DataflowRunner')
    built = beam_options(options)
    built.view_as(WorkerOptions).num_workers = 2

    assert readers_of(options, built) == 8

    built.view_as(WorkerOptions).max_num_workers = 5
    assert readers_of(options, built) == 20


def test_at_least_once_on_dataflow_is_refused() -> None:
    assert refusal('--runner', 'DataflowRunner', '--dataflow_service_options=streaming_mode_at_least_once') == (
        '--dataflow_service_options: streaming_mode_at_least_once must not be given: the job needs exactly-once mode')


@pytest.mark.parametrize(('args', 'wrong'), [
    ([], '--direct_num_workers=2'), ([], '--direct_num_workers=0'), ([], '--direct_running_mode=multi_threading'),
    (FLINK, '--parallelism=0'), (FLINK, '--parallelism=-1'), (DATAFLOW, '--num_workers=0'),
    (DATAFLOW, '--max_num_workers=-3'), ([], '--dry_run=True'), (FLINK, '--dry_run=True')])
def test_options_that_would_read_or_commit_nothing_are_refused(args: list[str], wrong: str) -> None:
    assert refusal(*args, wrong).startswith(f'{wrong.partition("=")[0]}: ')



def test_every_runner_except_direct_runner_streams() -> None:
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



def test_a_cluster_without_a_place_for_checkpoints_needs_an_option() -> None:
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
    flink = ['--runner', 'FlinkRunner']
    for args in (['--runner', 'PrismRunner'], flink, [*flink, '--flink_master=[local]']):
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
