"""Hand a planned run to its runner: on DirectRunner slice after slice, elsewhere as one pipeline."""
from __future__ import annotations

import dataclasses
import signal
import time
import uuid

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.runner import PipelineState

from pipeline.commit.commit_window import CommitSettings
from pipeline.commit.committed import CommittedWindows
from pipeline.commit.manifests import read_manifest
from pipeline.errors import Incomplete, PipelineFailed
from pipeline.job import Job, build_job
from pipeline.kinesis.api import KinesisApi
from pipeline.kinesis.positions import Cursor, cursor_at
from pipeline.kinesis.read import ReadKinesis
from pipeline.kinesis.settings import ReadSettings
from pipeline.kinesis.slices import close_slice, open_slice
from pipeline.options.options import Options
from pipeline.run.outputs import outputs_of
from pipeline.run.plan import Plan, now_of
from pipeline.run.report import Report, sum_up
from pipeline.runners.failures import read_error_in, reason_of
from pipeline.runners.flink_api import cause_of
from pipeline.runners.runners import SERVICES, readers_of, runs_alone, runs_here, watched
from pipeline.runners.worker_pool import workers_here
from pipeline.stores.base import Store
from pipeline.windows import align_down, iso
from pipeline.write.layout import Layout


def submit(options: Options, built: PipelineOptions, pipeline: beam.Pipeline) -> None:
    """Run a pipeline to its end, or hand it over to a service, which goes on alone.

    Raise PipelineFailed, FlinkError, ReadError if readers ended for good, and what the runner raises.
    """
    with watched(options.runner, built):
        try:
            state = _run_to_end(options, pipeline)
        except RuntimeError as error:  # portable runners raise it for any failure, with stack traces of two languages
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
    result = pipeline.run()
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


#: FnApiRunner keeps what it read in memory until its source ends, several times over: a longer range is read in slices.
#: The peak with records of 1 MiB of noise is 0.8 GiB, and grows with this. A slice costs about half a second to set up.
SLICE_BYTES = 64 << 20


def execute(options: Options, plan: Plan, api: KinesisApi, store: Store, built: PipelineOptions) -> None:
    """Run the job from the start of the plan to its stop, or until it is ended.

    Raise Incomplete, and what `submit` raises.
    """
    if runs_here(options.runner):
        _run_slices(options, plan, api, store, built)
    else:
        _run_pipeline(options, plan, _read_settings(options, plan), built)


def check_complete(report: Report, plan: Plan, replace: bool) -> None:
    """Raise Incomplete if windows have no manifest of this run's settings."""
    if report.missing:
        again = ('--start=resume' if plan.moves_resume_point else
                 f'--start={iso(report.start_ms)} --stop={iso(report.end_ms)}') + (' --replace' if replace else '')
        raise Incomplete(f'{report.missing} windows between {iso(report.start_ms)} and {iso(report.end_ms)} have no '
                         f'manifest, see the warnings; run again with {again}')


def _run_slices(options: Options, plan: Plan, api: KinesisApi, store: Store, built: PipelineOptions) -> None:
    read = _read_settings(options, plan)
    while plan.stop_ms is None or read.start_ms < plan.stop_ms:
        now_ms = now_of(api, plan.streams)
        stop_ms = align_down(now_ms, options.flush_ms)
        stop_ms = stop_ms if plan.stop_ms is None else min(plan.stop_ms, stop_ms)
        if stop_ms <= read.start_ms:
            time.sleep((read.start_ms + options.flush_ms - now_ms) / 1000 + 0.5)
            continue
        read = dataclasses.replace(read, stop_ms=stop_ms, run_id=uuid.uuid4().hex)
        end_ms = _run_slice(options, plan, read, built)
        report = sum_up(store, read.start_ms, end_ms, options.flush_ms, plan.settings)
        check_complete(report, plan, options.replace)
        cursors = _cursors_at(store, end_ms, options.flush_ms)
        read = dataclasses.replace(read, start_ms=end_ms, since_ms=0, cursors=cursors)


def _run_slice(options: Options, plan: Plan, read: ReadSettings, built: PipelineOptions) -> int:
    """Run the pipeline on one slice; return the window start (epoch ms) at which it ended."""
    current = open_slice(read.run_id, SLICE_BYTES)
    try:
        _run_pipeline(options, plan, read, built)
    finally:
        close_slice(read.run_id)
    assert read.stop_ms is not None
    return read.stop_ms if current.end_ms is None else current.end_ms


def _cursors_at(store: Store, end_ms: int, flush_ms: int) -> tuple[Cursor, ...]:
    """Return the cursors at the end of a committed window."""
    manifest = read_manifest(store, end_ms - flush_ms)
    return tuple(cursor_at(key, position) for key, position in manifest.positions.items()) if manifest else ()


def _run_pipeline(options: Options, plan: Plan, read: ReadSettings, built: PipelineOptions) -> None:
    with workers_here(options.runner, built):
        pipeline = beam.Pipeline(options=built)
        build_job(pipeline, _job(options, plan, ReadKinesis(read, readers_of(options, built))))
        submit(options, built, pipeline)


def _read_settings(options: Options, plan: Plan) -> ReadSettings:
    return ReadSettings(
        streams=plan.streams, start_ms=plan.start_ms, stop_ms=plan.stop_ms, flush_ms=options.flush_ms,
        flush_bytes=options.flush_bytes, slack_ms=options.slack_ms, since_ms=plan.since_ms, cursors=plan.cursors,
        endpoint_url=options.kinesis_endpoint_url, region=options.aws_region, run_id=uuid.uuid4().hex,
        output_shards=options.output_shards, generation=plan.preparation.generation,
        committed=CommittedWindows(outputs_of(options)['events']))


def _job(options: Options, plan: Plan, source: ReadKinesis) -> Job:
    stores = outputs_of(options)
    layout = Layout(
        output_shards=options.output_shards, compression=options.compression, platform_field=options.platform_field,
        time_field=options.time_field, partition_time=options.partition_time,
        max_event_age_days=options.max_event_age_days, platforms=frozenset(options.platforms))
    commit = CommitSettings(
        store=stores['events'], stores=stores, flush_ms=options.flush_ms, settings=plan.settings,
        backup=options.backup, replace=options.replace, moves_resume_point=plan.moves_resume_point,
        moved=options.separate_outputs, generation=plan.preparation.generation, replay=plan.replay)
    return Job(source=source, json_fields=options.json_fields, rules=options.rules, layout=layout, commit=commit)
