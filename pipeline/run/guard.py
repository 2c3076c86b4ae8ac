"""The guard: no run mixes two sets of settings, or two streams of one name, in one output. It refuses before it starts.
"""
from __future__ import annotations

from collections.abc import Sequence

from pipeline.commit.manifests import Manifest, Settings, manifests_between
from pipeline.commit.resume_point import ResumePoint
from pipeline.errors import RunRefused
from pipeline.options.options import Options
from pipeline.run.settings import (
    differences,
    made_again,
    placement_differences,
    same_layout,
    same_placement,
    stream_difference,
)
from pipeline.stores.base import Store
from pipeline.windows import HOUR_MS, align_up, iso


def check_resume(resume_point: ResumePoint, settings: Settings, new_layout: bool) -> int | None:
    """Compare the placement with that of resume.json.

    Return None if the run goes on with this one at once, else the full hour (epoch ms) from which `--new_layout` takes
    it. Raise RunRefused if it was not given, and for a stream that was deleted and made again. Other streams need no
    full hour: windows stay as they are, and a stream that is gone cannot be read up to one.
    """
    check_made_again(resume_point, settings)
    before, now = resume_point.settings.placement, settings.placement
    if same_placement(before, now):
        return None
    from_ms = resume_point.end_ms if same_layout(before, now) else align_up(resume_point.end_ms, HOUR_MS)
    if not new_layout:
        hour = iso(from_ms) if same_layout(before, now) else 'the next full hour'
        raise RunRefused(f'{placement_differences(before, now)}: resume.json goes on with the former; keep to it, or '
                         f'give --new_layout to change from {hour} on')
    return from_ms if from_ms > resume_point.end_ms else None


def check_made_again(resume_point: ResumePoint, settings: Settings) -> None:
    """Raise RunRefused if a stream is not the one that resume.json goes on in, but a new one of the same name."""
    for name in made_again(resume_point.settings, settings):
        then, now = (some.placement.streams[name].created_ms for some in (resume_point.settings, settings))
        raise RunRefused(
            f'--stream {name}: was created at {iso(now)}, but resume.json goes on in one created at {iso(then)}: its '
            'positions mean nothing here; start over with --start=earliest --start_over, or write to another --output')


def check_replay(store: Store, resume_point: ResumePoint, settings: Settings, *, start_ms: int, end_ms: int,
                 replace: bool) -> None:
    """Raise RunRefused if a bounded run would leave windows in the way of the job that resume.json belongs to.

    A replay with other settings may only write windows again, all of them before resume.json. With another placement
    (other streams, another layout) and without `--replace`, all of them must be committed.
    """
    check_made_again(resume_point, settings)
    if end_ms > resume_point.end_ms and resume_point.settings != settings:
        end = iso(resume_point.end_ms)
        sooner = f'end at --stop={end}, ' if start_ms < resume_point.end_ms else ''
        raise RunRefused(f'{differences(resume_point.settings, settings)}: resume.json goes on at {end} with the '
                         f'former, and windows of this run would be in its way; keep to it, {sooner}or write to '
                         'another --output')
    before, now = resume_point.settings.placement, settings.placement
    if same_placement(before, now):
        return
    committed = manifests_between(store, start_ms, end_ms)
    if not replace and sum(manifest.end_ms - manifest.window_ms for manifest in committed) < end_ms - start_ms:
        raise RunRefused(f'{placement_differences(before, now)}: resume.json goes on with the former, and not every '
                         f'window from {iso(start_ms)} to {iso(end_ms)} is committed; keep to it, give --replace, or '
                         'write to another --output')


def check_lost(last: Manifest | None, settings: Settings, start: str | int | None) -> None:
    """Raise RunRefused if an output has lost its resume.json, and a run without it would mix streams or skip data.

    `last` is the manifest of the last window, None if there is none.
    """
    if last is None:
        return
    end, gone = iso(last.end_ms), f'there is no resume.json at --output, but windows up to {iso(last.end_ms)} are'
    before, now = last.settings.placement, settings.placement
    if before.created_ms != now.created_ms:
        raise RunRefused(f'{stream_difference(before.streams, now.streams)}: {gone} committed from the former; '
                         f'put it back, write to another --output, or begin after them with --start={end} --start_over')
    if start == 'latest':
        raise RunRefused(f'--start=latest: {gone} committed; put it back, or go on after the last window before which '
                         f'none is missing: --start={end}, if none is')


def check_rewrite(store: Store, settings: Settings, options: Options, *, start_ms: int, end_ms: int) -> None:
    """Raise RunRefused if [start, end) holds committed windows of other settings and `--replace` was not given.

    Also raise it if their errors or backups are in another place, whatever was given: they would stay there as doubles.
    """
    manifests = manifests_between(store, start_ms, end_ms)
    for manifest in manifests:
        _check_moved(manifest, options)
        if manifest.settings == settings:
            continue
        if not options.replace:
            raise RunRefused(_other_settings([manifest, *manifests], settings, options.replays))
        flush_ms = settings.placement.flush_interval_s * 1000
        within = [f'{option} {iso(ms)}' for option, ms in (('--start', start_ms), ('--stop', end_ms)) if ms % HOUR_MS]
        if within and manifest.end_ms - manifest.window_ms != flush_ms:
            raise RunRefused('--replace with another --flush_interval_s: must begin and end at full hours, got '
                             + ' and '.join(within))


def _other_settings(committed: Sequence[Manifest], settings: Settings, replays: bool) -> str:
    """Say why these windows are not written again, and what to do; the first of them has other settings."""
    first = committed[0]
    text = f'window {first.window} is committed with other settings ({differences(first.settings, settings)})'
    former = [manifest.end_ms for manifest in committed if made_again(manifest.settings, settings)]
    if former:
        over = '' if replays else ' --start_over'
        return f'{text}, and holds what the former stream held: begin after it with --start={iso(former[-1])}{over}'
    kept = settings.placement.streams
    lost = sorted({name for manifest in committed for name in manifest.settings.placement.streams if name not in kept})
    return f'{text}: give --replace to write it again' + (f', without what {" ".join(lost)} brought' if lost else '')


def _check_moved(manifest: Manifest, options: Options) -> None:
    for kind in ('errors', 'backup') if options.backup else ('errors',):
        was, now = (moved.get(kind, options.output) for moved in (manifest.moved, options.separate_outputs))
        if was != now:
            raise RunRefused(f'--{kind}_output: got {now}, must be {was}, which holds the objects of window '
                             f'{manifest.window}')
