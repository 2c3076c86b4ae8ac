"""One run, from its plan to its report."""
from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator

from apache_beam.options.pipeline_options import PipelineOptions
from botocore.exceptions import BotoCoreError

from pipeline.aws import default_region
from pipeline.commit.manifests import Placement
from pipeline.commit.resume_point import follow, update_resume_point
from pipeline.errors import GO_ON, Gap, ManifestError, ReadError, RunRefused, StoreError
from pipeline.kinesis.api import KinesisApi
from pipeline.kinesis.client import connect
from pipeline.options.options import Options
from pipeline.progress import PROGRESS, ProgressLine
from pipeline.run.execute import check_complete, execute
from pipeline.run.outputs import check_outputs, outputs_of
from pipeline.run.plan import Plan, make_plan
from pipeline.run.prepare import PlanOutdated, prepare
from pipeline.run.report import sum_up
from pipeline.run.settings import former_arguments, former_layout
from pipeline.runners.runners import beam_options, check_runner, runs_alone, runs_dry, runs_here
from pipeline.stores.base import Store
from pipeline.windows import align_down, iso

Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class _Session:
    """Checked options, what Beam makes of them, and the connections that a run needs."""

    options: Options
    beam: PipelineOptions
    api: KinesisApi
    store: Store


def run(options: Options, say: Say) -> None:
    """Run the job to its end, or until it is ended without `--stop`. `say` takes the lines to print.

    Raise RunRefused before anything was written; after that ReadError, ManifestError and StoreError, each with one line
    that says what to do, and Incomplete if windows were not committed.
    """
    todo = [options]
    while todo:
        todo += _run_once(todo.pop(), say)


def _run_once(options: Options, say: Say) -> list[Options]:
    """Run the job once. Return the runs that have to follow, the next one last."""
    session = _open(options)
    with _refusing():
        plan = make_plan(session.options, session.api, session.store)
    if plan.former:
        return _former_first(session, plan, plan.former, say)
    try:
        _run_plan(session, plan, say)
    except PlanOutdated:
        return [options]
    except Gap:
        if options.on_gap == 'fail' or not plan.moves_resume_point:
            raise
        say('retention ran ahead of reading: going on after what is lost')
        return [dataclasses.replace(options, start='resume', start_over=False)]
    return []


def _former_first(session: _Session, plan: Plan, placement: Placement, say: Say) -> list[Options]:
    """Return the run with the former layout, up to the hour of the new one, and behind it the run with the new one."""
    until_ms, options = plan.former_until_ms, session.options
    if not runs_here(options.runner):
        raise RunRefused(f'--new_layout: the new layout begins at {iso(until_ms)}: add '
                         f'{former_arguments(placement, plan.settings.placement)} --start=resume '
                         f'--stop={iso(until_ms)} to go on to there with the former one, then run again without them')
    say(f'the new layout begins at {iso(until_ms)}: going on to there with the former one')
    former = former_layout(options, placement)
    stop_ms = until_ms if plan.stop_ms is None else min(until_ms, align_down(plan.stop_ms, former.flush_ms))
    first = dataclasses.replace(former, start='resume', stop=stop_ms)
    reaches_stop = plan.stop_ms is not None and plan.stop_ms <= until_ms
    return [first] if reaches_stop else [options, first]


def _open(options: Options) -> _Session:
    beam = beam_options(options)
    with _refusing():
        if not runs_dry(beam):
            check_outputs(options)
        # Workers elsewhere may have no configuration that names one.
        options = dataclasses.replace(options, aws_region=options.aws_region or default_region())
        return _Session(options, beam, connect(options.kinesis_endpoint_url, options.aws_region),
                        outputs_of(options)['events'])


@contextlib.contextmanager
def _refusing() -> Iterator[None]:
    """Turn a failure before anything is written into a refusal."""
    try:
        yield
    except (BotoCoreError, ManifestError, ReadError, StoreError) as error:
        raise RunRefused(str(error)) from error


def _run_plan(session: _Session, plan: Plan, say: Say) -> None:
    options, dry = session.options, runs_dry(session.beam)
    if plan.stop_ms is not None and plan.stop_ms <= plan.start_ms:
        if plan.moves_resume_point and not dry:  # a run that was killed may have committed more than resume.json says
            update_resume_point(session.store, lambda before: before and follow(session.store, before, before.settings))
        say(f'nothing to do yet: reading goes on at {iso(plan.start_ms)}, and --stop is {iso(plan.stop_ms)}')
        return
    check_runner(options, session.beam)
    PROGRESS.replays = not plan.moves_resume_point
    if not dry:
        replay = prepare(plan.preparation, options, session.store, plan.settings,
                         moves_resume_point=plan.moves_resume_point, say=say)
        plan = dataclasses.replace(plan, replay=replay)
    say(f'reading from {iso(plan.start_ms)} to '
        f'{"the tip, until ended" if plan.stop_ms is None else iso(plan.stop_ms)}')
    if plan.stop_ms is None:
        for note in plan.notes:  # the report of a bounded run has them
            say(note)
    began = time.monotonic()
    with ProgressLine():
        execute(options, plan, session.api, session.store, session.beam)
    if dry:
        say('a dry run: nothing was read, nothing written')
    else:
        _report(session, plan, time.monotonic() - began, say)


def _report(session: _Session, plan: Plan, seconds: float, say: Say) -> None:
    if plan.stop_ms is None:
        say('Dataflow runs the job from here on; cancel it there (never drain it) and go on with --start=resume'
            if runs_alone(session.options) else
            f'the runner has ended the job; {GO_ON}')
        return
    report = sum_up(session.store, plan.start_ms, plan.stop_ms, session.options.flush_ms, plan.settings)
    report.seconds, report.notes = seconds, plan.notes
    say(report.text())
    check_complete(report, plan, session.options.replace)
