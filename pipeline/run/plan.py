"""The plan of a run: from where to where it reads, resolved once, when the job is built, by AWS's clock."""
from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import msgspec

from pipeline.commit.manifests import Placement, Settings, last_manifest
from pipeline.commit.resume_point import ResumePoint, follow, read_resume_point
from pipeline.errors import RunRefused
from pipeline.kinesis.api import KinesisApi
from pipeline.kinesis.calls import ask
from pipeline.kinesis.positions import Cursor, position_of
from pipeline.kinesis.settings import StreamInfo
from pipeline.options.options import Options
from pipeline.run.guard import check_lost, check_replay, check_resume, check_rewrite
from pipeline.run.prepare import Preparation, replaying, taking_over
from pipeline.run.settings import placement_differences, same_placement, settings_of
from pipeline.run.start import Start, fresh, from_committed, past_former, resumed
from pipeline.stores.base import Store
from pipeline.windows import DAY_MS, HOUR_MS, align_down, align_up, iso


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run is going to do. Times are window starts in epoch ms; `stop_ms` is None for a continuous run.

    `former` is the placement of resume.json if the run goes on with it up to `former_until_ms` (`--new_layout`).
    `preparation` is what comes before reading, and `replay` the number that it gave a run with `--replace` which leaves
    resume.json alone, else 0. `notes` are lines for the report.
    """

    streams: tuple[StreamInfo, ...]
    settings: Settings
    start_ms: int
    stop_ms: int | None
    since_ms: int
    cursors: tuple[Cursor, ...]
    moves_resume_point: bool
    preparation: Preparation
    replay: int = 0
    former: Placement | None = None
    former_until_ms: int = 0
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class _Facts:
    """What a plan is made from.

    `found` is what resume.json says; `committed` is the same, moved over the manifests that follow. `end_ms` bounds the
    windows that the run can commit.
    """

    options: Options
    store: Store
    api: KinesisApi
    streams: tuple[StreamInfo, ...]
    settings: Settings
    found: ResumePoint | None
    committed: ResumePoint | None
    now_ms: int
    stop_ms: int | None
    end_ms: int


def make_plan(options: Options, api: KinesisApi, store: Store) -> Plan:
    """Resolve start and stop of a run. Raise RunRefused, or ReadError if Kinesis refuses."""
    facts = _gather(options, api, store)
    if options.start == 'resume' or (facts.committed and not options.start_over and not options.replays):
        return _plan_resume(facts)
    return _plan_fresh(facts)


def now_of(api: KinesisApi, streams: Sequence[StreamInfo]) -> int:
    """Ask AWS what time it is, in epoch ms. A run that has begun waits for the answer, as its readers do."""
    return ask(api.summary, streams[0].address, math.inf).now_ms


def _gather(options: Options, api: KinesisApi, store: Store) -> _Facts:
    summaries = [ask(api.summary, stream.arn or stream.name) for stream in options.streams]
    streams = tuple(StreamInfo(stream.name, stream.arn or stream.name, stream.label, summary.created_ms,
                               summary.retention_ms)
                    for stream, summary in zip(options.streams, summaries, strict=True))
    now_ms = min(summary.now_ms for summary in summaries)
    stop_ms = align_down(now_ms, options.flush_ms) if options.stop == 'now' else options.stop
    assert not isinstance(stop_ms, str)
    writable_ms = align_up(now_ms + DAY_MS, HOUR_MS)  # no window that begins later can be committed
    found = read_resume_point(store)
    if found and found.end_ms > writable_ms:
        raise RunRefused(f'resume.json: goes on at {iso(found.end_ms)}, and AWS says that it is {iso(now_ms)}: put '
                         'back an older version')
    return _Facts(
        options=options, store=store, api=api, streams=streams, settings=settings_of(options, streams), found=found,
        committed=found and follow(store, found, found.settings), now_ms=now_ms, stop_ms=stop_ms,
        end_ms=writable_ms if stop_ms is None else min(stop_ms, writable_ms))


def _plan_resume(facts: _Facts) -> Plan:
    """Go on from resume.json, up to the next hour with its layout if this one is new."""
    options, committed = facts.options, facts.committed
    if committed is None:
        raise RunRefused('--start=resume: there is no resume.json at --output; start at earliest, latest or a time')
    until_ms = check_resume(committed, facts.settings, options.new_layout)
    former = committed.settings.placement if until_ms else None
    start = resumed(committed, options, facts.streams, facts.api, facts.now_ms)
    before, now = committed.settings.placement, facts.settings.placement
    if same_placement(before, now) and placement_differences(before, now):
        bound = f'{placement_differences(before, now)}: so for what arrives from {iso(start.ms)} on'
        start = start._replace(note='; '.join(filter(None, (start.note, bound))))
    if former is None:
        check_rewrite(facts.store, facts.settings, options, start_ms=start.ms, end_ms=facts.end_ms)
    return dataclasses.replace(_plan_at(facts, start), former=former, former_until_ms=until_ms or 0)


def _plan_fresh(facts: _Facts) -> Plan:
    """Begin at the start that was given: a new output, a replay, or a run that starts over.

    If a window is committed that ends there, its positions say where; see `from_committed`.
    """
    options, committed = facts.options, facts.committed
    if committed is None and not options.start_over:
        check_lost(last_manifest(facts.store), facts.settings, options.start)
    start = fresh(options, facts.streams, facts.now_ms)
    if options.start_over and options.start == 'earliest' and not options.replace:
        start = past_former(start, facts.store, facts.settings, end_ms=facts.end_ms, flush_ms=options.flush_ms)
    elif committed and not options.start_over:
        check_replay(facts.store, committed, facts.settings, start_ms=start.ms, end_ms=facts.end_ms,
                     replace=options.replace)
    check_rewrite(facts.store, facts.settings, options, start_ms=start.ms, end_ms=facts.end_ms)
    return _plan_at(facts, from_committed(start, facts.store, facts.streams))


def _plan_at(facts: _Facts, start: Start) -> Plan:
    committed, options = facts.committed, facts.options
    moves = committed is None or not options.replays
    if moves:
        preparation = taking_over(
            facts.found, committed, _wanted(facts, start), now_ms=facts.now_ms, end_ms=facts.end_ms,
            anew=start.anew, replace=options.replace)
    else:
        assert committed
        preparation = replaying(facts.found, committed.generation, (
            (start.ms, min(facts.end_ms, committed.end_ms)) if options.replace else None))
    return Plan(
        streams=facts.streams, settings=facts.settings, start_ms=start.ms, stop_ms=facts.stop_ms,
        since_ms=start.since_ms, cursors=start.cursors, moves_resume_point=moves, preparation=preparation,
        notes=_notes(facts, start))


def _wanted(facts: _Facts, start: Start) -> ResumePoint:
    """Return what resume.json must say of a run with this start."""
    options, committed, settings = facts.options, facts.committed, facts.settings
    if start.anew or committed is None:
        positions = {cursor.key: position_of(cursor) for cursor in start.cursors}
        wanted = ResumePoint(start.ms, start.since_ms, positions, settings)
    else:  # its streams stay those of its positions
        placement = msgspec.structs.replace(settings.placement, streams=committed.settings.placement.streams)
        wanted = msgspec.structs.replace(committed, settings=Settings(placement, settings.content))
    return msgspec.structs.replace(wanted, moved=options.separate_outputs, backup=options.backup)


def _notes(facts: _Facts, start: Start) -> tuple[str, ...]:
    options, committed, notes = facts.options, facts.committed, [start.note]
    if options.start_over:
        was = f', resume.json was at {iso(committed.end_ms)}' if committed else ''
        notes.append(f'starting over at {iso(start.ms)}{was}: leave --start_over out from now on, or each run starts '
                     'over')
    elif committed and not options.replays and options.start not in (None, 'resume'):
        told = iso(options.start) if isinstance(options.start, int) else options.start
        notes.append(f'--start={told} counts for a new output only: going on from {iso(start.ms)}')
    return tuple(filter(None, notes))
