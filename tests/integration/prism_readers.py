"""Run the job on Prism with several readers, which the command line refuses: `python -m ... READERS OPTIONS`.

Prism 2.77 keeps the watermark of the last bundle, so windows close before all readers have passed them. The first
reader starts late, so that this happens for certain. Prints the counters of the commits.
"""
from __future__ import annotations

import sys
import time

import apache_beam as beam
from apache_beam.metrics.metric import MetricsFilter
from apache_beam.utils.timestamp import Duration

from pipeline.commit.resume_point import write_resume_point
from pipeline.job import build_job
from pipeline.kinesis import reader
from pipeline.kinesis.client import connect
from pipeline.kinesis.poll import ReadBudget
from pipeline.kinesis.read import ReadKinesis, _raise_to, _ReadShards
from pipeline.options.options import parse_options
from pipeline.run import execute
from pipeline.run.outputs import store_at
from pipeline.run.plan import make_plan
from pipeline.runners.runners import beam_options

#: The first reader waits so long after its first call, however long the runner takes to start.
LATE_S = 10.0
_began: list[float] = []
_read = _ReadShards._read


def late_read(self, element, tracker, estimator):
    """Read as usual, but let the first reader wait while the others go ahead."""
    state = tracker.current_restriction()
    if element[0] == 0:
        _began.append(time.monotonic())
    if element[0] == 0 and _began[-1] < _began[0] + LATE_S:
        _raise_to(estimator, state.window_ms)
        if tracker.try_claim(state):
            tracker.defer_remainder(Duration(1))
        return
    yield from _read(self, element, tracker, estimator)


def close_early() -> None:
    """Let windows close too early in this process from now on."""
    _ReadShards._read = late_read
    # So that the others return with a later watermark.
    reader.ReadBudget = lambda deadline: ReadBudget(deadline, windows=1)


def main(readers: int, argv: list[str]) -> None:
    """Build and run the pipeline, as `pipeline.run.execute` does for one reader."""
    options = parse_options(argv)
    store, api = store_at(options.output, options), connect(options.kinesis_endpoint_url, options.aws_region)
    plan = make_plan(options, api, store)
    if plan.preparation.resume_point:
        write_resume_point(store, plan.preparation.resume_point)
    source = ReadKinesis(execute._read_settings(options, plan), readers)
    pipeline = beam.Pipeline(options=beam_options(options))
    build_job(pipeline, execute._job(options, plan, source))
    result = pipeline.run()
    result.wait_until_finish()
    for counter in result.metrics().query(MetricsFilter().with_namespace('commit'))['counters']:
        print(counter.key.metric.name, counter.result)


if __name__ == '__main__':
    close_early()
    main(int(sys.argv[1]), sys.argv[2:])
