"""Where a run begins to read: at the positions of resume.json, at a time, or after a gap."""
from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pipeline.commit.manifests import ResumePoint, manifests_between
from pipeline.errors import RunRefused
from pipeline.kinesis.api import KinesisApi
from pipeline.kinesis.calls import ask
from pipeline.kinesis.fetch import MARGIN_MS
from pipeline.kinesis.positions import Cursor, cursor_at
from pipeline.kinesis.retention import LEAST_MS
from pipeline.kinesis.settings import StreamInfo
from pipeline.options.options import Options
from pipeline.run.guard import Settings, made_again
from pipeline.stores.base import Store
from pipeline.windows import align_down, align_up, iso


class Start(NamedTuple):
    """Where reading begins, and from which positions.

    `anew` tells that these are not those of resume.json; `note` says what is skipped.
    """

    ms: int
    since_ms: int
    cursors: tuple[Cursor, ...] = ()
    note: str = ''
    anew: bool = True


def resumed(resume_point: ResumePoint, options: Options, streams: Sequence[StreamInfo], calls: KinesisApi,
            now_ms: int) -> Start:
    """Go on from resume.json. Raises RunRefused where a stream no longer holds what comes next."""
    gaps = [stream for stream in streams if stream.horizon_ms(now_ms) > resume_point.end_ms]
    # Retention that was raised brings back nothing: the least there can be is what is surely kept.
    gaps = gaps or [dataclasses.replace(stream, retention_ms=LEAST_MS) for stream in streams
                    if resume_point.end_ms < now_ms - LEAST_MS and _has_lost(stream, resume_point, calls, now_ms)]
    if gaps:
        return _after_gap('--start=resume', resume_point.end_ms, options, gaps, now_ms)
    names = {stream.name for stream in streams}
    known = [cursor_at(key, position) for key, position in sorted(resume_point.positions.items())]
    added = [stream for stream in streams if stream.name not in resume_point.settings['placement']['streams']]
    cursors = (*(cursor for cursor in known if cursor.stream in names), *_beginnings(calls, added, resume_point.end_ms))
    note = '; '.join(f'stream {stream.name} is new: read from {iso(resume_point.end_ms)} on' for stream in added)
    return Start(resume_point.end_ms, resume_point.since_ms, cursors, note, anew=False)


def _has_lost(stream: StreamInfo, resume_point: ResumePoint, calls: KinesisApi, now_ms: int) -> bool:
    """Tell whether the last record that was read is gone, though the retention of now says that it is kept."""
    cursors = [cursor_at(key, position) for key, position in resume_point.positions.items()]
    read = [cursor for cursor in cursors if cursor.stream == stream.name and cursor.sequence]
    last = max(read, key=lambda cursor: cursor.arrival_ms, default=None)
    if last is None or last.arrival_ms < stream.horizon_ms(now_ms):
        return False
    return not ask(lambda address: calls.holds(address, last.shard, last.sequence), stream.address)


def _beginnings(calls: KinesisApi, streams: Sequence[StreamInfo], start_ms: int) -> Iterator[Cursor]:
    """Give the cursors of streams that were added: unlike shards that are new, theirs hold what arrived before."""
    for stream in streams:
        shards, _ = ask(calls.list_shards, stream.address)
        yield from (Cursor(stream.name, shard.shard, since_ms=start_ms) for shard in shards)


def fresh(options: Options, streams: Sequence[StreamInfo], now_ms: int) -> Start:
    """Begin at a time, `latest`, or else `earliest`. Raises RunRefused where a stream no longer holds that time."""
    flush_ms = options.flush_ms
    if options.start == 'latest':
        return _at(align_down(now_ms, flush_ms))
    created_ms = align_down(min(stream.created_ms for stream in streams), flush_ms)
    if isinstance(options.start, int):
        if options.start > now_ms:
            raise RunRefused(f'--start: got {iso(options.start)}, must not be in the future; AWS says {iso(now_ms)}')
        start_ms = max(options.start, created_ms)
        gaps = [stream for stream in streams if stream.horizon_ms(now_ms) > start_ms - MARGIN_MS]
        return _after_gap('--start', start_ms, options, gaps, now_ms) if gaps else _at(start_ms)
    truncated = [stream for stream in streams if stream.horizon_ms(now_ms)]
    whole = [align_down(stream.created_ms, flush_ms) for stream in streams if stream not in truncated]
    bounds = [_first_whole(stream, now_ms, flush_ms) for stream in truncated]
    start_ms = max([*bounds, min(whole + bounds)])
    note = f'what arrived before {iso(start_ms)} was skipped: its retention ends' if truncated else ''
    return _at(start_ms, note)


def past_former(start: Start, store: Store, end_ms: int, settings: Settings, flush_ms: int) -> Start:
    """Move a start at `earliest` past the windows committed from a former stream of the same name.

    What they hold is nowhere else. What the streams of now brought meanwhile goes into the first window that is open.
    """
    former = [manifest for manifest in manifests_between(store, start.ms, end_ms)
              if made_again(manifest['settings'], settings)]
    if not former:
        return start
    reached_ms = former[-1]['end_ms']
    all_new = len(made_again(former[-1]['settings'], settings)) == len(settings['placement']['streams'])
    notes = (start.note, f'windows up to {iso(reached_ms)} stay as they are: they hold what the former stream held')
    return Start(align_up(reached_ms, flush_ms), start.since_ms if all_new else reached_ms,
                 note='; '.join(filter(None, notes)))


def _after_gap(option: str, start_ms: int, options: Options, gaps: Sequence[StreamInfo], now_ms: int) -> Start:
    next_ms = max(_first_whole(stream, now_ms, options.flush_ms) for stream in gaps)
    lost = (f'stream {gaps[0].name} keeps only what arrived since {iso(gaps[0].horizon_ms(now_ms))}, '
            f'what arrived from {iso(start_ms)} on is lost in part')
    if options.on_gap == 'fail':
        raise RunRefused(f'{option}: {lost}; --on_gap=skip goes on at {iso(next_ms)}')
    return _at(next_ms, f'{lost}: went on at {iso(next_ms)}')


def _at(start_ms: int, note: str = '') -> Start:
    return Start(start_ms, start_ms, note=note)


def _first_whole(stream: StreamInfo, now_ms: int, flush_ms: int) -> int:
    return align_up(stream.horizon_ms(now_ms) + max(flush_ms, MARGIN_MS), flush_ms)
