from __future__ import annotations

import pathlib
import sys
from typing import Any

import pytest
from apache_beam.options.pipeline_options import (
    PortableOptions,
    PrismRunnerOptions,
    StandardOptions,
    TypeOptions,
    WorkerOptions,
)

from pipeline.errors import RunRefused
from pipeline.runners.flink_options import flink_options
from pipeline.runners.runners import beam_options, readers_of, runs_here
from tests.command_lines import options_of

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


def test_a_prism_that_was_given_stays(tmp_path: pathlib.Path) -> None:
    options = beam('--runner', 'PrismRunner', '--prism_location', '/opt/prism')

    assert options.view_as(PrismRunnerOptions).prism_location == '/opt/prism'


@pytest.mark.parametrize(('args', 'seconds'), [([], 315_360_000), (['--job_server_timeout=60'], 60)])
def test_a_run_on_prism_is_not_ended_after_five_minutes_as_beam_does_unless_told(args: list[str], seconds: int) -> None:
    options = beam('--runner', 'PrismRunner', *args)

    assert options.view_as(PortableOptions).job_server_timeout == seconds


def test_other_options_of_beam_pass_through() -> None:
    assert beam('--type_check_additional=all').view_as(TypeOptions).type_check_additional == 'all'
    assert beam(*FLINK, '--environment_type=EXTERNAL').view_as(PortableOptions).environment_type == 'EXTERNAL'


@pytest.mark.parametrize(('args', 'readers'), [
    ([], 1), (['--readers', '3'], 3), (['--runner', 'PrismRunner'], 1), (FLINK, 4),
    ([*FLINK, '--parallelism', '3'], 12), ([*FLINK, '--parallelism=3', '--readers', '5'], 5)])
def test_there_are_four_readers_a_worker_unless_told(args: list[str], readers: int) -> None:
    options = options_of(*args)

    assert readers_of(options, beam_options(options)) == readers


def test_dataflow_counts_its_workers() -> None:
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
def test_what_would_read_nothing_or_commit_nothing_is_refused(args: list[str], wrong: str) -> None:
    assert refusal(*args, wrong).startswith(f'{wrong.partition("=")[0]}: ')


def test_an_option_that_is_given_twice_counts_as_the_runner_takes_it() -> None:
    assert refusal(*FLINK, '--checkpointing_mode=EXACTLY_ONCE', '--checkpointing_mode=AT_LEAST_ONCE') == (
        "--checkpointing_mode: got 'AT_LEAST_ONCE', must be EXACTLY_ONCE")


def test_only_a_run_with_an_end_lets_flink_end_its_sources() -> None:
    assert '--shutdown_sources_after_idle_ms=1000' in flink_options([], 'resume', 'fail', bounded=True)
    assert flink_options([], 'resume', 'skip', bounded=False) == [
        '--checkpointing_interval=30000', '--checkpointing_mode=EXACTLY_ONCE', '--finish_bundle_before_checkpointing']
    assert refusal(*FLINK, '--shutdown_sources_after_idle_ms', '5') == (
        '--shutdown_sources_after_idle_ms: must not be given without --stop: it ends checkpoints')
