"""The settings of a run that decide what its objects are, and the guard against mixing two sets of them."""
from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from pipeline.kinesis.settings import StreamInfo
from pipeline.manifests import Anchor, manifests_between
from pipeline.options import Options, Stream
from pipeline.stores import Store
from pipeline.windows import HOUR_MS, align_up, iso

#: Raised whenever the same stream and options give other objects than before.
LAYOUT_VERSION = 1
TRANSFORMS_VERSION = 2
Settings = dict[str, Any]


class RunRefused(Exception):
    """The run cannot begin: one line that says what is in the way and what to do."""


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


def check_resume(anchor: Anchor, settings: Settings, new_layout: bool) -> int | None:
    """Compare the placement with that of resume.json.

    Gives None where they agree, else the full hour (epoch ms) from which `--new_layout` takes the new one. Raises
    RunRefused where it was not given, and for a stream that was deleted and made again.
    """
    before, now = anchor.settings['placement'], settings['placement']
    for name, stream in now['streams'].items():
        known = before['streams'].get(name, stream)
        if known['created_ms'] != stream['created_ms']:
            raise RunRefused(
                f'--stream {name}: was created at {iso(stream["created_ms"])}, but resume.json goes on in one created '
                f'at {iso(known["created_ms"])}: its positions mean nothing here; start anew with --start=earliest, '
                'or write to another --output')
    if before == now:
        return None
    if not new_layout:
        raise RunRefused(f'{", ".join(_differences(before, now))}: resume.json goes on with the former; keep to it, or '
                         'give --new_layout to change from the next full hour on')
    return align_up(anchor.end_ms, HOUR_MS)


def begun_with(anchor: Anchor, settings: Settings) -> Anchor:
    """Give resume.json for a run of these settings that goes on from it: its streams stay those of its positions."""
    placement = {**settings['placement'], 'streams': anchor.settings['placement']['streams']}
    return dataclasses.replace(anchor, settings={**settings, 'placement': placement})


def check_rewrite(store: Store, start_ms: int, end_ms: int, settings: Settings, options: Options) -> None:
    """Raise RunRefused where [start, end) holds committed windows of other settings and `--replace` was not given.

    Also where their errors or backups are in another place, whatever was given: they would stay there as doubles.
    """
    for manifest in manifests_between(store, start_ms, end_ms):
        _check_moved(manifest, options)
        if manifest['settings'] == settings:
            continue
        if not options.replace:
            raise RunRefused(f'window {manifest["window"]} is committed with other settings '
                             f'({_all_differences(manifest["settings"], settings)}): give --replace to write it again')
        flush_ms = settings['placement']['flush_interval_s'] * 1000
        within = [f'{option} {iso(ms)}' for option, ms in (('--start', start_ms), ('--stop', end_ms)) if ms % HOUR_MS]
        if within and manifest['end_ms'] - manifest['window_ms'] != flush_ms:
            raise RunRefused('--replace with another --flush_interval_s: must begin and end at full hours, got '
                             + ' and '.join(within))


def _check_moved(manifest: dict[str, Any], options: Options) -> None:
    for kind in ('errors', 'backup') if options.backup else ('errors',):
        was, now = (moved.get(kind, options.output) for moved in (manifest.get('moved', {}), options.moved))
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
            yield f'--stream: was {_named(before[name])}, is {_named(now[name])}'
        elif name == 'layout':
            yield f'the version of the layout: was {before.get(name)}, is {now.get(name)}'
        else:
            yield f'--{name}: was {before.get(name)}, is {now.get(name)}'


def _all_differences(before: Settings, now: Settings) -> str:
    found = list(_differences(before['placement'], now['placement']))
    if before['content'] != now['content']:
        found.append('--rename, --json_field or the version of the transforms')
    return ', '.join(found)


def _named(streams: Settings) -> str:
    return ' '.join(f'{about["label"]}={name}' if about['label'] else name for name, about in streams.items())
