"""From where to where a run reads: resolved once, when the job is built, by AWS's clock."""
from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from pipeline.kinesis.accounts import cursor_at
from pipeline.kinesis.calls import Calls, Summary
from pipeline.kinesis.errors import PassingError, ReadError
from pipeline.kinesis.pages import MARGIN_MS
from pipeline.kinesis.positions import Cursor
from pipeline.kinesis.settings import StreamInfo
from pipeline.manifests import Anchor, read_anchor
from pipeline.options import Options
from pipeline.settings import RunRefused, Settings, check_resume, check_rewrite, settings_of
from pipeline.stores import Store
from pipeline.windows import align_down, align_up, iso

DAY_MS = 86_400_000
#: What a group of one window may hold in memory: see the README on --output_shards.
GROUP_BYTES = 2 << 30
TRIES = 8


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a run is going to do. Times are window starts in epoch ms; `stop_ms` is -1 for a continuous run.

    `anchor` is what resume.json is to say before the run begins, None where it stays as it is. `former` is the
    placement of resume.json where it goes on up to `former_until_ms` (`--new_layout`), else empty. `notes` are lines
    for the report.
    """

    streams: tuple[StreamInfo, ...]
    settings: Settings
    start_ms: int
    stop_ms: int
    since_ms: int
    cursors: tuple[Cursor, ...] = ()
    anchor: Anchor | None = None
    moves_anchor: bool = True
    former: Settings = dataclasses.field(default_factory=dict)
    former_until_ms: int = 0
    notes: tuple[str, ...] = ()


class Start(NamedTuple):
    """Where reading begins, and from which positions."""

    ms: int
    since_ms: int
    cursors: tuple[Cursor, ...] = ()
    note: str = ''


def make_plan(options: Options, calls: Calls, store: Store) -> Plan:
    """Resolve start and stop of a run. Raises RunRefused, or ReadError where Kinesis refuses."""
    summaries = [patiently(calls.summary, stream.arn or stream.name) for stream in options.streams]
    streams = tuple(StreamInfo(stream.name, stream.arn or stream.name, stream.label, about.created_ms,
                               about.retention_ms)
                    for stream, about in zip(options.streams, summaries, strict=True))
    _check_memory(options, sum(about.open_shards for about in summaries))
    now_ms = min(about.now_ms for about in summaries)
    settings, anchor = settings_of(options, streams), read_anchor(store)
    resumes = options.start == 'resume' or (options.start is None and anchor is not None)
    until_ms, former = 0, Settings()
    if resumes:
        if anchor is None:
            raise RunRefused('--start=resume: there is no resume.json at --output; start at earliest, latest or a time')
        until_ms = check_resume(anchor, settings, options.new_layout) or 0
        former = anchor.settings['placement'] if until_ms > anchor.end_ms else {}
        start = _resumed(anchor, options, streams, now_ms)
    else:
        start = _fresh(options, streams, now_ms)
    stop_ms = _stop(options, now_ms)
    end_ms = stop_ms if stop_ms >= 0 else align_up(now_ms + DAY_MS, options.flush_ms)
    if not former:
        check_rewrite(store, start.ms, end_ms, settings, options.replace)
    moves = resumes or anchor is None or stop_ms < 0
    moved = Anchor(start.ms, start.since_ms, {}, settings) if moves and (not resumes or start.note) else None
    return Plan(streams, settings, start.ms, stop_ms, start.since_ms, start.cursors, moved, moves,
                former, until_ms, (start.note,) if start.note else ())


def now_of(calls: Calls, streams: Sequence[StreamInfo]) -> int:
    """Ask AWS what time it is, in epoch ms."""
    return patiently(calls.summary, streams[0].address).now_ms


def patiently(call: Callable[[str], Summary], stream: str, sleep: Callable[[float], None] = time.sleep) -> Summary:
    """Make a call again while it fails for now, about a minute long; raises ReadError then."""
    for attempt in range(TRIES):
        try:
            return call(stream)
        except PassingError as error:
            problem = error
            sleep(min(20.0, 0.5 * 2 ** attempt))
    raise ReadError(f'Kinesis does not answer for stream {stream} ({problem}): check the endpoint, the region and the '
                    'network')


def _resumed(anchor: Anchor, options: Options, streams: Sequence[StreamInfo], now_ms: int) -> Start:
    gaps = [stream for stream in streams if _horizon(stream, now_ms) > anchor.end_ms]
    if not gaps:
        cursors = tuple(cursor_at(key, position) for key, position in sorted(anchor.positions.items()))
        return Start(anchor.end_ms, anchor.since_ms, cursors)
    return _after_gap('--start=resume', anchor.end_ms, options, gaps, now_ms)


def _fresh(options: Options, streams: Sequence[StreamInfo], now_ms: int) -> Start:
    flush_ms = options.flush_ms
    if options.start == 'latest':
        return _at(align_down(now_ms, flush_ms))
    created_ms = align_down(min(stream.created_ms for stream in streams), flush_ms)
    if isinstance(options.start, int):
        if options.start > now_ms:
            raise RunRefused(f'--start: got {iso(options.start)}, must not be in the future; AWS says {iso(now_ms)}')
        start_ms = max(options.start, created_ms)
        gaps = [stream for stream in streams if _horizon(stream, now_ms) > start_ms - MARGIN_MS]
        return _after_gap('--start', start_ms, options, gaps, now_ms) if gaps else _at(start_ms)
    truncated = [stream for stream in streams if _horizon(stream, now_ms)]
    whole = [align_down(stream.created_ms, flush_ms) for stream in streams if stream not in truncated]
    bounds = [_first_whole(stream, now_ms, flush_ms) for stream in truncated]
    start_ms = max([*bounds, min(whole + bounds)])
    note = f'what arrived before {iso(start_ms)} was skipped: its retention ends' if truncated else ''
    return _at(start_ms, note)


def _after_gap(option: str, start_ms: int, options: Options, gaps: Sequence[StreamInfo], now_ms: int) -> Start:
    next_ms = max(_first_whole(stream, now_ms, options.flush_ms) for stream in gaps)
    lost = (f'stream {gaps[0].name} keeps only what arrived since {iso(_horizon(gaps[0], now_ms))}, '
            f'what arrived from {iso(start_ms)} on is lost in part')
    if options.on_gap == 'fail':
        raise RunRefused(f'{option}: {lost}; --on_gap=skip goes on at {iso(next_ms)}')
    return _at(next_ms, f'{lost}: went on at {iso(next_ms)}')


def _at(start_ms: int, note: str = '') -> Start:
    return Start(start_ms, start_ms, note=note)


def _horizon(stream: StreamInfo, now_ms: int) -> int:
    """Give the time before which the stream has dropped records, 0 where it is younger than its retention."""
    horizon_ms = now_ms - stream.retention_ms
    return horizon_ms if stream.created_ms < horizon_ms else 0


def _first_whole(stream: StreamInfo, now_ms: int, flush_ms: int) -> int:
    return align_up(_horizon(stream, now_ms) + max(flush_ms, MARGIN_MS), flush_ms)


def _stop(options: Options, now_ms: int) -> int:
    if isinstance(options.stop, int):
        return options.stop
    return align_down(now_ms, options.flush_ms) if options.stop == 'now' else -1


def _check_memory(options: Options, open_shards: int) -> None:
    largest = max(1, GROUP_BYTES // options.flush_bytes)
    if -(-open_shards // options.output_shards) > largest:
        raise RunRefused(f'--output_shards: got {options.output_shards}, must be {-(-open_shards // largest)} or more '
                         f'for {open_shards} open shards: an object may gather --flush_size_mb from each, 2 GiB in all')
