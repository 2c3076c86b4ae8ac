"""The start of a run: the positions of resume.json, a time, or the first whole window after a gap."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pipeline.commit.manifests import Manifest, Settings, manifest_before, manifests_between
from pipeline.commit.resume_point import ResumePoint
from pipeline.errors import RunRefused
from pipeline.kinesis.api import KinesisApi
from pipeline.kinesis.calls import ask
from pipeline.kinesis.fetch import MARGIN_MS
from pipeline.kinesis.positions import Cursor, cursor_at
from pipeline.kinesis.retention import LEAST_MS
from pipeline.kinesis.settings import StreamInfo
from pipeline.options.options import Options
from pipeline.run.settings import made_again
from pipeline.stores.base import Store
from pipeline.windows import align_down, align_up, iso


class Start(NamedTuple):
    """Where reading begins (epoch ms, a window start), and from which positions.

    A shard that is not among `cursors` is read from `since_ms`. `anew` is False if these are the positions of
    resume.json; `note` says what is skipped.
    """

    ms: int
    since_ms: int
    cursors: tuple[Cursor, ...] = ()
    note: str = ''
    anew: bool = True


class _Gap(NamedTuple):
    """A stream that has dropped records, and the time (epoch ms) since which it surely keeps them."""

    stream: str
    kept_since_ms: int


def resumed(resume_point: ResumePoint, options: Options, streams: Sequence[StreamInfo], api: KinesisApi,
            now_ms: int) -> Start:
    """Go on from resume.json. Raise RunRefused if a stream no longer holds what comes next."""
    names = {stream.name for stream in streams}
    notes = [f'stream {name} is left out: what arrived in it from {iso(resume_point.end_ms)} on is not read, and lost '
             'if the stream is deleted' for name in resume_point.settings.placement.streams if name not in names]
    gaps = list(_gaps_behind(resume_point, streams, api, now_ms))
    if gaps:
        start = _after_gap('--start=resume', resume_point.end_ms, options, gaps)
        return start._replace(note='; '.join([start.note, *notes]))
    added = [stream for stream in streams if stream.name not in resume_point.settings.placement.streams]
    cursors = (*_cursors_of(resume_point, streams), *_beginnings(api, added, resume_point.end_ms))
    notes += [f'stream {stream.name} is new: read from {iso(resume_point.end_ms)} on' for stream in added]
    return Start(resume_point.end_ms, resume_point.since_ms, cursors, '; '.join(notes), anew=False)


def _gaps_behind(resume_point: ResumePoint, streams: Sequence[StreamInfo], api: KinesisApi,
                 now_ms: int) -> Iterator[_Gap]:
    """Yield the streams that no longer hold all that comes after resume.json.

    Raising the retention does not restore expired records. So if the last record that was read is gone, the stream
    surely keeps no more than the least retention that there is.
    """
    dropped = [stream for stream in streams if stream.horizon_ms(now_ms) > resume_point.end_ms]
    if dropped:
        yield from (_Gap(stream.name, stream.horizon_ms(now_ms)) for stream in dropped)
    elif resume_point.end_ms < now_ms - LEAST_MS:
        for stream in streams:
            if _has_lost(stream, resume_point, api, now_ms):
                yield _Gap(stream.name, now_ms - LEAST_MS)


def _has_lost(stream: StreamInfo, resume_point: ResumePoint, api: KinesisApi, now_ms: int) -> bool:
    """Return whether the last record that was read is gone, though the retention of now says that it is kept."""
    cursors = [cursor_at(key, position) for key, position in resume_point.positions.items()]
    read = [cursor for cursor in cursors if cursor.stream == stream.name and cursor.sequence]
    last = max(read, key=lambda cursor: cursor.arrival_ms, default=None)
    if last is None or last.arrival_ms < stream.horizon_ms(now_ms):
        return False
    return not ask(lambda address: api.holds(address, last.shard, last.sequence), stream.address)


def _beginnings(api: KinesisApi, streams: Sequence[StreamInfo], start_ms: int) -> Iterator[Cursor]:
    """Yield the cursors of streams that were added: unlike new shards, theirs hold what arrived before."""
    for stream in streams:
        shards, _ = ask(api.list_shards, stream.address)
        yield from (Cursor(stream.name, shard.shard, since_ms=start_ms) for shard in shards)


def fresh(options: Options, streams: Sequence[StreamInfo], now_ms: int) -> Start:
    """Begin at a time, `latest`, or else `earliest`. Raise RunRefused if a stream no longer holds that time."""
    if options.start == 'latest':
        return _at(align_down(now_ms, options.flush_ms))
    if isinstance(options.start, int):
        return _at_time(options.start, options, streams, now_ms)
    return _earliest(options.flush_ms, streams, now_ms)


def _at_time(start_ms: int, options: Options, streams: Sequence[StreamInfo], now_ms: int) -> Start:
    if start_ms > now_ms:
        raise RunRefused(f'--start: got {iso(start_ms)}, must not be in the future; AWS says {iso(now_ms)}')
    created_ms = align_down(min(stream.created_ms for stream in streams), options.flush_ms)
    start_ms = max(start_ms, created_ms)
    gaps = [_Gap(stream.name, stream.horizon_ms(now_ms)) for stream in streams
            if stream.horizon_ms(now_ms) > start_ms - MARGIN_MS]
    return _after_gap('--start', start_ms, options, gaps) if gaps else _at(start_ms)


def _earliest(flush_ms: int, streams: Sequence[StreamInfo], now_ms: int) -> Start:
    whole_since = [_first_whole(stream.horizon_ms(now_ms), flush_ms) for stream in streams if stream.horizon_ms(now_ms)]
    if not whole_since:
        return _at(align_down(min(stream.created_ms for stream in streams), flush_ms))
    start_ms = max(whole_since)
    return _at(start_ms, f'what arrived before {iso(start_ms)} was skipped: its retention ends')


def past_former(start: Start, store: Store, settings: Settings, *, end_ms: int, flush_ms: int) -> Start:
    """Move a start at `earliest` past the windows committed from a former stream of the same name.

    What they hold is nowhere else. What the streams of now brought meanwhile goes into the first window that is open.
    """
    former = [manifest for manifest in manifests_between(store, start.ms, end_ms)
              if made_again(manifest.settings, settings)]
    if not former:
        return start
    reached_ms = former[-1].end_ms
    all_new = len(made_again(former[-1].settings, settings)) == len(settings.placement.streams)
    notes = (start.note, f'windows up to {iso(reached_ms)} stay as they are: they hold what the former stream held')
    return Start(align_up(reached_ms, flush_ms), start.since_ms if all_new else reached_ms,
                 note='; '.join(filter(None, notes)))


def from_committed(start: Start, store: Store, streams: Sequence[StreamInfo]) -> Start:
    """Begin from the positions of the window that ends at the start, if it is committed from the same streams.

    A record that was overtaken into the first window of the run may have any earlier arrival: only the positions lead
    to it. Without them, reading begins at MARGIN_MS before the start. A record of the first window that is not found
    from there is not lost: if the window has a manifest, the reader fails before anything is written again.
    """
    before = manifest_before(store, start.ms)
    if before is None:
        return start
    created_ms = before.settings.placement.created_ms
    if any(created_ms.get(stream.name) != stream.created_ms for stream in streams):
        return start
    return start._replace(since_ms=0, cursors=_cursors_of(before, streams))  # shards it does not know are younger


def _cursors_of(reached: ResumePoint | Manifest, streams: Sequence[StreamInfo]) -> tuple[Cursor, ...]:
    names = {stream.name for stream in streams}
    known = (cursor_at(key, position) for key, position in sorted(reached.positions.items()))
    return tuple(cursor for cursor in known if cursor.stream in names)


def _after_gap(option: str, start_ms: int, options: Options, gaps: Sequence[_Gap]) -> Start:
    next_ms = max(_first_whole(gap.kept_since_ms, options.flush_ms) for gap in gaps)
    lost = (f'stream {gaps[0].stream} keeps only what arrived since {iso(gaps[0].kept_since_ms)}, '
            f'what arrived from {iso(start_ms)} on is lost in part')
    if options.on_gap == 'fail':
        raise RunRefused(f'{option}: {lost}; --on_gap=skip goes on at {iso(next_ms)}')
    return _at(next_ms, f'{lost}: went on at {iso(next_ms)}')


def _at(start_ms: int, note: str = '') -> Start:
    return Start(start_ms, start_ms, note=note)


def _first_whole(kept_since_ms: int, flush_ms: int) -> int:
    """Return the start of the first window of which nothing has been dropped, with the margin for disordered stamps."""
    return align_up(kept_since_ms + max(flush_ms, MARGIN_MS), flush_ms)
