"""From where to where a run reads: resolved once, when the job is built, by AWS's clock."""
from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from pipeline.commit.manifests import ResumePoint, follow, last_manifest, read_resume_point
from pipeline.errors import RunRefused
from pipeline.kinesis.api import KinesisApi
from pipeline.kinesis.calls import ask
from pipeline.kinesis.positions import Cursor
from pipeline.kinesis.settings import StreamInfo
from pipeline.options.options import Options
from pipeline.run.guard import Settings, begun_with, check_lost, check_replay, check_resume, check_rewrite, settings_of
from pipeline.run.start import Start, fresh, past_former, resumed
from pipeline.stores.base import Store
from pipeline.windows import DAY_MS, HOUR_MS, align_down, align_up, iso

#: What a group of one window may hold in memory: see the README on --output_shards.
GROUP_BYTES = 2 << 30


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a run is going to do. Times are window starts in epoch ms; `stop_ms` is -1 for a continuous run.

    `resume_point` is what resume.json is to say before the run begins, None where it stays as it is. `former` is the
    placement of resume.json where it goes on up to `former_until_ms` (`--new_layout`), else empty. `orphan_range` are
    the bounds of the windows in which a run with other settings may have left objects, None where there was none.
    `notes` are lines for the report.
    """

    streams: tuple[StreamInfo, ...]
    settings: Settings
    start_ms: int
    stop_ms: int
    since_ms: int
    cursors: tuple[Cursor, ...] = ()
    resume_point: ResumePoint | None = None
    moves_resume_point: bool = True
    former: Settings = dataclasses.field(default_factory=dict)
    former_until_ms: int = 0
    orphan_range: tuple[int, int] | None = None
    notes: tuple[str, ...] = ()


def make_plan(options: Options, calls: KinesisApi, store: Store) -> Plan:
    """Resolve start and stop of a run. Raises RunRefused, or ReadError where Kinesis refuses."""
    summaries = [ask(calls.summary, stream.arn or stream.name) for stream in options.streams]
    streams = tuple(StreamInfo(stream.name, stream.arn or stream.name, stream.label, about.created_ms,
                               about.retention_ms)
                    for stream, about in zip(options.streams, summaries, strict=True))
    _check_memory(options, sum(about.open_shards for about in summaries))
    now_ms = min(about.now_ms for about in summaries)
    settings, resume_point = settings_of(options, streams), _resume_point(store)
    resumes = options.start == 'resume' or (resume_point is not None and not options.start_over and not options.replays)
    stop_ms = _stop(options, now_ms)
    written_ms = align_up(now_ms + DAY_MS, HOUR_MS)  # no window that begins later can be committed
    end_ms = min(stop_ms, written_ms) if stop_ms >= 0 else written_ms
    until_ms, former = 0, Settings()
    if resumes:
        if resume_point is None:
            raise RunRefused('--start=resume: there is no resume.json at --output; start at earliest, latest or a time')
        until_ms = check_resume(resume_point, settings, options.new_layout) or 0
        former = resume_point.settings['placement'] if until_ms > resume_point.end_ms else {}
        start = resumed(resume_point, options, streams, calls, now_ms)
    else:
        if resume_point is None and not options.start_over:
            check_lost(last_manifest(store), settings, options.start)
        start = fresh(options, streams, now_ms)
        if options.start_over:
            start = _over(options, start, store, end_ms, settings)
        elif resume_point is not None:
            check_replay(store, resume_point, start.ms, end_ms, settings, options.replace)
    if not former:
        check_rewrite(store, start.ms, end_ms, settings, options)
    moves = resume_point is None or not options.replays
    changed = moves and resume_point is not None and resume_point.settings != settings
    # The windows beyond resume.json are those of the run that moves it.
    orphan_range = (start.ms, end_ms if moves or resume_point is None else min(end_ms, resume_point.end_ms))
    return Plan(streams, settings, start.ms, stop_ms, start.since_ms, start.cursors,
                _moved(resume_point, start, settings) if moves else None, moves, former, until_ms,
                orphan_range if options.replace or changed else None, _notes(options, resume_point, start, resumes))


def now_of(calls: KinesisApi, streams: Sequence[StreamInfo]) -> int:
    """Ask AWS what time it is, in epoch ms; a run that has begun waits for the answer, as its readers do."""
    return ask(calls.summary, streams[0].address, math.inf).now_ms


def _resume_point(store: Store) -> ResumePoint | None:
    """Read resume.json; a run that was killed may have committed windows that it does not tell of."""
    resume_point = read_resume_point(store)
    return resume_point and follow(store, resume_point, resume_point.settings)


def _over(options: Options, start: Start, store: Store, end_ms: int, settings: Settings) -> Start:
    keeps_former = options.start == 'earliest' and not options.replace
    return past_former(start, store, end_ms, settings, options.flush_ms) if keeps_former else start


def _moved(resume_point: ResumePoint | None, start: Start, settings: Settings) -> ResumePoint | None:
    """Give what resume.json is to say before anything is written: whose objects there may be from now on."""
    if start.anew or resume_point is None:
        return ResumePoint(start.ms, start.since_ms, {}, settings)
    begun = begun_with(resume_point, settings)
    return None if begun == resume_point else begun


def _notes(options: Options, resume_point: ResumePoint | None, start: Start, resumes: bool) -> tuple[str, ...]:
    notes = [start.note]
    if resumes and options.start not in (None, 'resume'):
        told = iso(options.start) if isinstance(options.start, int) else options.start
        notes.append(f'--start={told} counts for a new output only: going on from {iso(start.ms)}')
    if options.start_over:
        was = f', resume.json was at {iso(resume_point.end_ms)}' if resume_point else ''
        notes.append(f'starting over at {iso(start.ms)}{was}: leave --start_over out from now on, or each run starts '
                     'over')
    return tuple(filter(None, notes))


def _stop(options: Options, now_ms: int) -> int:
    if isinstance(options.stop, int):
        return options.stop
    return align_down(now_ms, options.flush_ms) if options.stop == 'now' else -1


def _check_memory(options: Options, open_shards: int) -> None:
    largest = max(1, GROUP_BYTES // options.flush_bytes)
    if -(-open_shards // options.output_shards) > largest:
        raise RunRefused(f'--output_shards: got {options.output_shards}, must be {-(-open_shards // largest)} or more '
                         f'for {open_shards} open shards: an object may gather --flush_size_mb from each, 2 GiB in all')
