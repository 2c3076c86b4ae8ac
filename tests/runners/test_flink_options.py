from __future__ import annotations

import pytest

from pipeline.errors import RunRefused
from pipeline.runners.flink_options import flink_options
from pipeline.runners.runners import beam_options
from tests.command_lines import options_of

FLINK = ('--runner', 'FlinkRunner')
SAFE = {'checkpointing_interval': '30000', 'checkpointing_mode': 'EXACTLY_ONCE',
        'finish_bundle_before_checkpointing': ''}


def flags_of(*args: str) -> dict[str, str]:
    """Return the arguments that Beam gets, by name."""
    return dict(arg.removeprefix('--').partition('=')[::2] for arg in beam_options(options_of(*args))._flags)


def refusal(*args: str) -> str:
    with pytest.raises(RunRefused) as refused:
        beam_options(options_of(*args))
    return str(refused.value)


def test_flink_gets_the_options_that_make_it_safe() -> None:
    flags = flags_of(*FLINK)

    assert {name: flags.get(name) for name in SAFE} == SAFE
    assert flags['job_name'] == 'mmp-pipeline-tmp-lake'
    assert 'streaming' in flags


def test_a_bounded_run_may_end_on_flink() -> None:
    assert 'shutdown_sources_after_idle_ms' not in flags_of(*FLINK)
    assert flags_of(*FLINK, '--stop', 'now')['shutdown_sources_after_idle_ms'] == '1000'
    assert flags_of(*FLINK, '--stop', 'now', '--shutdown_sources_after_idle_ms=5000')[
        'shutdown_sources_after_idle_ms'] == '5000'


def test_flink_options_of_the_user_are_kept() -> None:
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



def test_the_last_value_of_a_repeated_option_counts() -> None:
    assert refusal(*FLINK, '--checkpointing_mode=EXACTLY_ONCE', '--checkpointing_mode=AT_LEAST_ONCE') == (
        "--checkpointing_mode: got 'AT_LEAST_ONCE', must be EXACTLY_ONCE")



def test_flink_may_end_its_sources_only_in_a_run_with_an_end() -> None:
    assert '--shutdown_sources_after_idle_ms=1000' in flink_options([], 'resume', 'fail', bounded=True)
    assert flink_options([], 'resume', 'skip', bounded=False) == [
        '--checkpointing_interval=30000', '--checkpointing_mode=EXACTLY_ONCE', '--finish_bundle_before_checkpointing']
    assert refusal(*FLINK, '--shutdown_sources_after_idle_ms', '5') == (
        '--shutdown_sources_after_idle_ms: must not be given without --stop: it ends checkpoints')
