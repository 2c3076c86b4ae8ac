"""One run, from its plan to its report."""
from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterator

from botocore.exceptions import BotoCoreError

from pipeline.aws import default_region
from pipeline.commit.manifests import write_resume_point
from pipeline.commit.orphans import remove_orphans
from pipeline.errors import Gap, ManifestError, ReadError, RunRefused, StoreError
from pipeline.kinesis.client import connect
from pipeline.options.beam_options import find_arg
from pipeline.options.options import Options
from pipeline.progress import PROGRESS, ProgressLine
from pipeline.run.execute import check_complete, execute
from pipeline.run.guard import former_layout
from pipeline.run.outputs import check_outputs, outputs_of
from pipeline.run.plan import Plan, make_plan
from pipeline.run.report import sum_up
from pipeline.runners.runners import beam_options, check_runner, runs_alone, runs_dry, runs_here
from pipeline.stores.base import Store
from pipeline.windows import align_down, iso


def run(options: Options) -> Iterator[str]:
    """Run the job to its end, or for ever without `--stop`; gives lines to print.

    Raises RunRefused before anything was written and ReadError, ManifestError and StoreError after that, each with one
    line that says what to do, and Incomplete where windows were not committed.
    """
    built = beam_options(options)
    if not runs_dry(built):
        check_outputs(options)
    with _refusing():
        # Workers elsewhere may have no configuration that names one.
        options = dataclasses.replace(options, aws_region=options.aws_region or default_region())
        store, calls = outputs_of(options)['events'], connect(options.kinesis_endpoint_url, options.aws_region)
        plan = make_plan(options, calls, store)
    if plan.former:
        yield from _former(options, plan)
        if 0 <= plan.stop_ms <= plan.former_until_ms:
            return
        plan = make_plan(options, calls, store)
    if 0 <= plan.stop_ms <= plan.start_ms:
        yield f'nothing to do yet: reading goes on at {iso(plan.start_ms)}, and --stop is {iso(plan.stop_ms)}'
        return
    check_runner(options, built)
    PROGRESS.replays = not plan.moves_resume_point
    if not runs_dry(built):
        yield from _prepare(options, plan, store)
    yield f'reading from {iso(plan.start_ms)} to {iso(plan.stop_ms) if plan.stop_ms >= 0 else "the tip, until ended"}'
    if plan.stop_ms < 0:
        yield from plan.notes  # a bounded run reports them
    began = time.monotonic()
    try:
        with ProgressLine():
            execute(options, plan, calls, store, built)
    except Gap:
        if options.on_gap == 'fail' or not plan.moves_resume_point:
            raise
        yield 'retention ran ahead of reading: going on after what is lost'
        yield from run(dataclasses.replace(options, start='resume', start_over=False))
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
        check_complete(report, plan)


@contextlib.contextmanager
def _refusing() -> Iterator[None]:
    """Turn what goes wrong before anything is written into a refusal."""
    try:
        yield
    except (BotoCoreError, ManifestError, ReadError, StoreError) as error:
        raise RunRefused(str(error)) from error


def _prepare(options: Options, plan: Plan, store: Store) -> Iterator[str]:
    """Remove what a run with other settings left half done, then note in resume.json whose objects there will be."""
    if plan.orphan_range:
        if find_arg(options.beam_args, 'savepoint_path'):
            raise RunRefused('--savepoint_path: must not be given where settings changed: what is in it was made with '
                             'the former ones; --start=resume without it goes on with these')
        stores = outputs_of(options)
        if not options.backup:
            del stores['backup']  # it would not be written again
        removed = remove_orphans(store, stores, *plan.orphan_range)
        if removed:
            yield f'removed {removed:,} objects that a run with other settings had begun'
    if plan.resume_point:
        write_resume_point(store, plan.resume_point)


def _former(options: Options, plan: Plan) -> Iterator[str]:
    """Read up to the hour of the new layout, or to --stop where that comes before, with the former one."""
    until_ms = plan.former_until_ms
    if not runs_here(options.runner):
        raise RunRefused(f'--new_layout: the new layout begins at {iso(until_ms)}: run up to there with the former '
                         f'options and --start=resume --stop={iso(until_ms)}, then again with these')
    yield f'the new layout begins at {iso(until_ms)}: going on to there with the former one'
    former = former_layout(options, plan.former)
    stop_ms = min(until_ms, align_down(plan.stop_ms, former.flush_ms)) if plan.stop_ms >= 0 else until_ms
    yield from run(dataclasses.replace(former, start='resume', stop=stop_ms))
