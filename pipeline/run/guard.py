"""The settings of a run that decide what its objects are, and the guard against mixing two sets of them."""
from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from pipeline.commit.manifests import ResumePoint, manifests_between
from pipeline.errors import RunRefused
from pipeline.kinesis.settings import StreamInfo
from pipeline.options.options import Options, Stream
from pipeline.stores.base import Store
from pipeline.windows import HOUR_MS, align_up, iso

#: Raised whenever the same stream and options give other objects than before.
LAYOUT_VERSION = 1
TRANSFORMS_VERSION = 2
Settings = dict[str, Any]



def settings_of(options: Options, streams: Sequence[StreamInfo]) -> Settings:
    """Give what manifests say of the settings: `placement` of lines, and `content` of lines."""
    return {
        'placement': {
            'layout': LAYOUT_VERSION, 'flush_interval_s': options.flush_interval_s,
            'flush_size_mb': options.flush_size_mb, 'output_shards': options.output_shards,
            'compression': options.compression, 'partition_time': options.partition_time,
            'platform_field': options.platform_field, 'time_field': options.time_field,
            'streams': {stream.name: {'label': stream.label, 'created_ms': stream.created_ms}
                        for stream in sorted(streams, key=lambda stream: stream.name)}},
        'content': {'transforms': TRANSFORMS_VERSION, 'rename': options.rules.digest(),
                    'json_fields': list(options.json_fields.names)}}


def check_resume(resume_point: ResumePoint, settings: Settings, new_layout: bool) -> int | None:
    """Compare the placement with that of resume.json.

    Return None if they agree, else the full hour (epoch ms) from which `--new_layout` takes the new one. Raise
    RunRefused if it was not given, and for a stream that was deleted and made again.
    """
    check_made_again(resume_point, settings)
    before, now = resume_point.settings['placement'], settings['placement']
    if before == now:
        return None
    if not new_layout:
        raise RunRefused(f'{", ".join(_differences(before, now))}: resume.json goes on with the former; keep to it, or '
                         'give --new_layout to change from the next full hour on')
    return align_up(resume_point.end_ms, HOUR_MS)


def made_again(before: Settings, now: Settings) -> list[str]:
    """Return the names of the streams that were deleted and made again between two sets of settings."""
    known = before['placement']['streams']
    return [name for name, stream in now['placement']['streams'].items()
            if name in known and known[name]['created_ms'] != stream['created_ms']]


def check_made_again(resume_point: ResumePoint, settings: Settings) -> None:
    """Raise RunRefused if a stream is not the one that resume.json goes on in, but a new one of the same name."""
    for name in made_again(resume_point.settings, settings):
        then, now = (some['placement']['streams'][name]['created_ms'] for some in (resume_point.settings, settings))
        raise RunRefused(
            f'--stream {name}: was created at {iso(now)}, but resume.json goes on in one created at {iso(then)}: its '
            'positions mean nothing here; start over with --start=earliest --start_over, or write to another --output')


def check_replay(store: Store, resume_point: ResumePoint, start_ms: int, end_ms: int, settings: Settings,
                 replace: bool) -> None:
    """Raise RunRefused if a bounded run would leave windows in the way of the job that resume.json belongs to.

    A replay with another placement (other streams, another layout) may only write windows again: all of them before
    resume.json, and without `--replace` all of them committed.
    """
    check_made_again(resume_point, settings)
    before, now = resume_point.settings['placement'], settings['placement']
    if before == now:
        return
    differing = ', '.join(_differences(before, now))
    if end_ms > resume_point.end_ms:
        raise RunRefused(f'{differing}: resume.json goes on at {iso(resume_point.end_ms)} with the former, and windows '
                         'of this run would be in its way; keep to it, or write to another --output')
    committed = manifests_between(store, start_ms, end_ms)
    if not replace and sum(manifest['end_ms'] - manifest['window_ms'] for manifest in committed) < end_ms - start_ms:
        raise RunRefused(f'{differing}: resume.json goes on with the former, and not every window from '
                         f'{iso(start_ms)} to {iso(end_ms)} is committed; keep to it, give --replace, or write to '
                         'another --output')


def check_lost(last: dict[str, Any] | None, settings: Settings, start: str | int | None) -> None:
    """Raise RunRefused if an output has lost its resume.json, and a run without it would mix streams or skip data."""
    if last is None:
        return
    end, gone = iso(last['end_ms']), f'there is no resume.json at --output, but windows up to {iso(last["end_ms"])} are'
    before, now = last['settings']['placement']['streams'], settings['placement']['streams']
    if _created(before) != _created(now):
        raise RunRefused(f'{_streams(before, now)}: {gone} committed from the former; put it back, write to another '
                         f'--output, or begin after them with --start={end} --start_over')
    if start == 'latest':
        raise RunRefused(f'--start=latest: {gone} committed; put it back, or go on after the last window before which '
                         f'none is missing: --start={end}, if none is')


def begun_with(resume_point: ResumePoint, settings: Settings) -> ResumePoint:
    """Give resume.json for a run of these settings that goes on from it: its streams stay those of its positions."""
    placement = {**settings['placement'], 'streams': resume_point.settings['placement']['streams']}
    return dataclasses.replace(resume_point, settings={**settings, 'placement': placement})


def check_rewrite(store: Store, start_ms: int, end_ms: int, settings: Settings, options: Options) -> None:
    """Raise RunRefused where [start, end) holds committed windows of other settings and `--replace` was not given.

    Also where their errors or backups are in another place, whatever was given: they would stay there as doubles.
    """
    manifests = manifests_between(store, start_ms, end_ms)
    for manifest in manifests:
        _check_moved(manifest, options)
        if manifest['settings'] == settings:
            continue
        if not options.replace:
            raise RunRefused(_other_settings([manifest, *manifests], settings, options))
        flush_ms = settings['placement']['flush_interval_s'] * 1000
        within = [f'{option} {iso(ms)}' for option, ms in (('--start', start_ms), ('--stop', end_ms)) if ms % HOUR_MS]
        if within and manifest['end_ms'] - manifest['window_ms'] != flush_ms:
            raise RunRefused('--replace with another --flush_interval_s: must begin and end at full hours, got '
                             + ' and '.join(within))


def _other_settings(committed: list[dict[str, Any]], settings: Settings, options: Options) -> str:
    """Say why these windows are not written again, and what to do; the first of them has other settings."""
    first = committed[0]
    text = (f'window {first["window"]} is committed with other settings '
            f'({_all_differences(first["settings"], settings)})')
    former = [manifest['end_ms'] for manifest in committed if made_again(manifest['settings'], settings)]
    if former:
        over = '' if options.replays else ' --start_over'
        return f'{text}, and holds what the former stream held: begin after it with --start={iso(former[-1])}{over}'
    return f'{text}: give --replace to write it again'


def _check_moved(manifest: dict[str, Any], options: Options) -> None:
    for kind in ('errors', 'backup') if options.backup else ('errors',):
        was, now = (moved.get(kind, options.output) for moved in (manifest.get('moved', {}), options.separate_outputs))
        if was != now:
            raise RunRefused(f'--{kind}_output: got {now}, must be {was}, where window {manifest["window"]} has its '
                             'objects')


def former_layout(options: Options, placement: Settings) -> Options:
    """Give the options with the placement that a manifest or resume.json tells of."""
    known = {stream.name: stream for stream in options.streams}
    streams = tuple(Stream(name, known[name].arn if name in known else None, about['label'])
                    for name, about in placement['streams'].items())
    names = ('flush_interval_s', 'flush_size_mb', 'output_shards', 'compression', 'partition_time', 'platform_field',
             'time_field')
    return dataclasses.replace(options, streams=streams, new_layout=False,
                               **{name: placement[name] for name in names})


def _differences(before: Settings, now: Settings) -> Iterator[str]:
    for name in {**now, **before}:
        if before.get(name) == now.get(name):
            continue
        if name == 'streams':
            yield _streams(before[name], now[name])
        elif name == 'layout':
            yield f'the version of the layout: was {before.get(name)}, is {now.get(name)}'
        else:
            yield f'--{name}: was {before.get(name)}, is {now.get(name)}'


def _all_differences(before: Settings, now: Settings) -> str:
    found = list(_differences(before['placement'], now['placement']))
    if before['content'] != now['content']:
        found.append('--rename, --json_field or the version of the transforms')
    return ', '.join(found)


def _streams(before: Settings, now: Settings) -> str:
    was, now_is = _named(before), _named(now)
    if was == now_is:
        was, now_is = (f'{was} created at {_dates(streams)}' for streams in (before, now))
    return f'--stream: was {was}, is {now_is}'


def _named(streams: Settings) -> str:
    return ' '.join(f'{about["label"]}={name}' if about['label'] else name for name, about in streams.items())


def _dates(streams: Settings) -> str:
    return ' '.join(iso(about['created_ms']) for about in streams.values())


def _created(streams: Settings) -> dict[str, int]:
    return {name: about['created_ms'] for name, about in streams.items()}
