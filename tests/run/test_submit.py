from __future__ import annotations

import signal
from typing import Any

import pytest
from apache_beam.runners.runner import PipelineState

from pipeline.errors import Gap, PipelineFailed
from pipeline.run.execute import submit
from pipeline.runners.runners import beam_options
from tests.command_lines import options_of

FLINK = ('--runner', 'FlinkRunner')
DATAFLOW = ('--runner', 'DataflowRunner')


class Run:
    """A pipeline and its result by script: ends in a state or by an exception, and notes what it was asked."""

    def __init__(self, end: str | BaseException) -> None:
        self._end = end
        self.asked: list[str] = []

    def run(self) -> Run:
        self.asked.append('run')
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # as Beam's job servers put a handler of their own
        return self

    def wait_until_finish(self) -> str:
        self.asked.append('wait')
        if isinstance(self._end, BaseException):
            raise self._end
        return self._end

    def cancel(self) -> None:
        self.asked.append('cancel')


def submitted(end: str | BaseException, *args: str) -> Run:
    options, run = options_of(*args), Run(end)
    pipeline: Any = run
    submit(options, beam_options(options), pipeline)
    return run


def test_the_handler_of_ctrl_c_is_the_one_before() -> None:
    before = signal.getsignal(signal.SIGINT)

    assert submitted(PipelineState.DONE, *FLINK).asked == ['run', 'wait']
    assert signal.getsignal(signal.SIGINT) is before


def test_dataflow_runs_a_continuous_job_alone_and_a_bounded_one_is_waited_for() -> None:
    assert submitted(PipelineState.DONE, *DATAFLOW).asked == ['run']
    assert submitted(PipelineState.DONE, *DATAFLOW, '--stop', '2026-01-01').asked == ['run', 'wait']


@pytest.mark.parametrize(('args', 'asked'), [
    ([*FLINK], ['run', 'wait']), ([*DATAFLOW, '--stop', '2026-01-01'], ['run', 'wait', 'cancel'])])
def test_an_interrupt_cancels_by_beam_only_where_that_reaches_the_job(args: list[str], asked: list[str]) -> None:
    options, run = options_of(*args), Run(KeyboardInterrupt())
    pipeline: Any = run
    with pytest.raises(KeyboardInterrupt):
        submit(options, beam_options(options), pipeline)

    assert run.asked == asked


def test_a_pipeline_that_does_not_end_well_is_told_in_one_line() -> None:
    with pytest.raises(PipelineFailed, match='^the pipeline ended as CANCELLED$'):
        submitted(PipelineState.CANCELLED, *FLINK)
    with pytest.raises(PipelineFailed, match='^the pipeline failed: java.io.IOException: disk full$'):
        submitted(RuntimeError('Pipeline failed in state FAILED: x\n\tat y\nCaused by: java.io.IOException: disk full'),
                  *FLINK)


def test_readers_that_ended_for_good_on_a_runner_are_told_as_here() -> None:
    with pytest.raises(Gap, match='^lost$'):
        submitted(RuntimeError('Pipeline failed: Traceback\npipeline.errors.Gap: lost'), *FLINK)


def test_what_an_operator_can_mend_and_bugs_in_this_process_pass_as_they_are() -> None:
    known = RuntimeError('Traceback\npipeline.errors.StoreError: no such bucket')
    for error, args in ((known, FLINK), (RuntimeError('a bug'), ())):
        with pytest.raises(RuntimeError) as raised:
            submitted(error, *args)
        assert raised.value is error
