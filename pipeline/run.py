"""One run: planned, built and watched over; on DirectRunner slice after slice, elsewhere as one pipeline."""
from __future__ import annotations

import dataclasses
import time
import uuid
from collections.abc import Iterator

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from pipeline.commit import CommitSettings
from pipeline.job import Job, build_job
from pipeline.kinesis.accounts import cursor_at
from pipeline.kinesis.answers import Calls
from pipeline.kinesis.calls import connect
from pipeline.kinesis.errors import Gap
from pipeline.kinesis.positions import Cursor
from pipeline.kinesis.settings import ReadSettings
from pipeline.kinesis.slices import close_slice, open_slice
from pipeline.layout import Layout
from pipeline.manifests import read_manifest, write_anchor
from pipeline.options import Options
from pipeline.outputs import check_outputs, outputs_of
from pipeline.plan import Plan, make_plan, now_of
from pipeline.progress import ProgressLine
from pipeline.report import Report, sum_up
from pipeline.runners import beam_options, check_runner, readers_of, runs_alone, runs_dry, runs_here
from pipeline.settings import RunRefused, former_layout
from pipeline.stores import Store
from pipeline.submit import submit
from pipeline.windows import align_down, iso

#: FnApiRunner keeps what it read in memory until its source ends, several times over: a longer range is read in slices.
#: The peak with records of 1 MiB of noise is 0.8 GiB, and grows with this. A slice costs about half a second to set up.
SLICE_BYTES = 64 << 20


class Incomplete(Exception):
    """Windows were left without a manifest."""


def run(options: Options) -> Iterator[str]:
    """Run the job to its end, or for ever without `--stop`; gives lines to print.

    Raises RunRefused, ReadError and ManifestError with one line that says what to do, and Incomplete where windows
    were not committed.
    """
    check_outputs(options)
    store, calls = outputs_of(options)['events'], connect(options.kinesis_endpoint_url, options.aws_region)
    plan = make_plan(options, calls, store)
    if plan.former:
        yield from _former(options, plan)
        if 0 <= plan.stop_ms <= plan.former_until_ms:
            return
        plan = make_plan(options, calls, store)
    if 0 <= plan.stop_ms <= plan.start_ms:
        yield f'nothing to do yet: everything before {iso(plan.start_ms)} is done, and --stop is {iso(plan.stop_ms)}'
        return
    built = beam_options(options)
    check_runner(options, built)
    if plan.anchor and not runs_dry(built):
        write_anchor(store, plan.anchor)
    yield f'reading from {iso(plan.start_ms)} to {iso(plan.stop_ms) if plan.stop_ms >= 0 else "the tip, until ended"}'
    began = time.monotonic()
    try:
        with ProgressLine():
            if runs_here(options):
                _run_slices(options, plan, calls, store, built)
            else:
                read = _read_settings(options, plan, plan.start_ms, plan.stop_ms, plan.since_ms, plan.cursors)
                _run_pipeline(options, plan, read, built)
    except Gap:
        if options.on_gap == 'fail' or not plan.moves_anchor:
            raise
        yield 'retention ran ahead of reading: going on after what is lost'
        yield from run(dataclasses.replace(options, start='resume'))
        return
    if runs_dry(built):
        yield 'a dry run: nothing was read, nothing written'
        return
    if plan.stop_ms < 0:
        yield ('Dataflow runs the job from here on; cancel it there (never drain it) and go on with --start=resume'
               if runs_alone(options) else
               'the runner has ended the job; what is committed stays, go on with --start=resume')
    else:
        report = sum_up(store, plan.start_ms, plan.stop_ms, options.flush_ms)
        report.seconds, report.notes = time.monotonic() - began, plan.notes
        yield report.text()
        _check(report)


def _former(options: Options, plan: Plan) -> Iterator[str]:
    """Read up to the hour of the new layout, or to --stop where that comes before, with the former one."""
    until_ms = plan.former_until_ms
    if not runs_here(options):
        raise RunRefused(f'--new_layout: the new layout begins at {iso(until_ms)}: run up to there with the former '
                         f'options and --stop={iso(until_ms)}, then again with these')
    yield f'the new layout begins at {iso(until_ms)}: going on to there with the former one'
    former = former_layout(options, plan.former)
    stop_ms = min(until_ms, align_down(plan.stop_ms, former.flush_ms)) if plan.stop_ms >= 0 else until_ms
    yield from run(dataclasses.replace(former, start='resume', stop=stop_ms))


def _run_slices(options: Options, plan: Plan, calls: Calls, store: Store, built: PipelineOptions) -> None:
    start_ms, cursors, since_ms = plan.start_ms, plan.cursors, plan.since_ms
    while plan.stop_ms < 0 or start_ms < plan.stop_ms:
        now_ms = now_of(calls, plan.streams)
        stop_ms = align_down(now_ms, options.flush_ms)
        stop_ms = min(plan.stop_ms, stop_ms) if plan.stop_ms >= 0 else stop_ms
        if stop_ms <= start_ms:
            time.sleep((start_ms + options.flush_ms - now_ms) / 1000 + 0.5)
            continue
        read = _read_settings(options, plan, start_ms, stop_ms, since_ms, cursors)
        current = open_slice(read.run_id, SLICE_BYTES)
        try:
            _run_pipeline(options, plan, read, built)
        finally:
            close_slice(read.run_id)
        end_ms = stop_ms if current.end_ms is None else current.end_ms
        _check(sum_up(store, start_ms, end_ms, options.flush_ms))
        last = read_manifest(store, end_ms - options.flush_ms)
        positions = last['positions'] if last else {}
        start_ms, since_ms = end_ms, 0
        cursors = tuple(cursor_at(key, position) for key, position in positions.items())


def _run_pipeline(options: Options, plan: Plan, read: ReadSettings, built: PipelineOptions) -> None:
    pipeline = beam.Pipeline(options=built)
    build_job(pipeline, _job(options, plan, read, readers_of(options, built)))
    submit(options, built, pipeline)


def _read_settings(options: Options, plan: Plan, start_ms: int, stop_ms: int, since_ms: int,
                   cursors: tuple[Cursor, ...]) -> ReadSettings:
    return ReadSettings(plan.streams, start_ms, stop_ms, options.flush_ms, options.flush_bytes, options.slack_ms,
                        since_ms, cursors, options.kinesis_endpoint_url, options.aws_region, uuid.uuid4().hex)


def _job(options: Options, plan: Plan, read: ReadSettings, readers: int) -> Job:
    stores = outputs_of(options)
    layout = Layout(options.output_shards, options.compression, options.platform_field, options.time_field,
                    options.partition_time)
    commit = CommitSettings(stores['events'], stores, options.flush_ms, plan.settings, options.backup, options.replace,
                            plan.moves_anchor)
    return Job(read, readers, options.rules, layout, stores, commit)


def _check(report: Report) -> None:
    if report.missing:
        raise Incomplete(f'{report.missing} windows between {iso(report.start_ms)} and {iso(report.end_ms)} have no '
                         'manifest, see the warnings; run again with --start=resume')
