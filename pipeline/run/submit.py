"""A built pipeline handed to its runner, and waited for."""
from __future__ import annotations

import signal

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.runner import PipelineState

from pipeline.runners.failures import read_error_in, reason_of
from pipeline.runners.flink_api import cause_of
from pipeline.options.options import Options
from pipeline.runners.runners import SERVICES, runs_alone, watched


class PipelineFailed(Exception):
    """The pipeline ended on its runner other than it should; one line with the reason."""


def submit(options: Options, built: PipelineOptions, pipeline: beam.Pipeline) -> None:
    """Run a pipeline to its end, or hand it over to a service where it goes on alone.

    Raises PipelineFailed, FlinkError, ReadError where readers ended for good, and what the runner raises.
    """
    with watched(options, built):
        try:
            state = _run_to_end(options, pipeline)
        except RuntimeError as error:  # so portable runners tell of any failure, with stack traces of two languages
            lost = read_error_in(str(error))
            if lost:
                raise lost from error
            if options.runner not in SERVICES or reason_of(error):
                raise
            raise PipelineFailed(f'the pipeline failed: {cause_of(str(error))}') from error
    if state not in (PipelineState.DONE, None):
        raise PipelineFailed(f'the pipeline ended as {state}')


def _run_to_end(options: Options, pipeline: beam.Pipeline) -> str | None:
    interrupted = signal.getsignal(signal.SIGINT)
    result = pipeline.run.run()
    signal.signal(signal.SIGINT, interrupted)  # Beam's own stops its job server
    if runs_alone(options):
        return None
    try:
        state: str | None = result.wait_until_finish()
    except KeyboardInterrupt:
        if options.runner == 'DataflowRunner':  # elsewhere the job ends with this process or by its watch
            result.cancel()
        raise
    return state
