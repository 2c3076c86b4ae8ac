"""The settings of a run that decide what its objects are, and how two sets of them differ."""
from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from pipeline.commit.manifests import Content, Placement, Settings, StreamSettings
from pipeline.kinesis.settings import StreamInfo
from pipeline.options.options import Options
from pipeline.windows import iso

#: Raised whenever the same stream and options give other objects than before.
LAYOUT_VERSION = 2
TRANSFORMS_VERSION = 3

#: The options of the layout, as a placement holds them.
LAYOUT_OPTIONS = tuple(name for name in Placement.__struct_fields__ if name not in ('layout', 'streams'))

Streams = Mapping[str, StreamSettings]


def settings_of(options: Options, streams: Sequence[StreamInfo]) -> Settings:
    """Return what manifests say of the settings: the placement of lines, and their content."""
    by_name = sorted(streams, key=lambda stream: stream.name)
    return Settings(
        Placement(
            layout=LAYOUT_VERSION, flush_interval_s=options.flush_interval_s, flush_size_mb=options.flush_size_mb,
            output_shards=options.output_shards, compression=options.compression,
            partition_time=options.partition_time, platform_field=options.platform_field,
            time_field=options.time_field, max_event_age_days=options.max_event_age_days,
            platforms=options.platforms,
            streams={stream.name: StreamSettings(stream.label, stream.created_ms) for stream in by_name}),
        Content(TRANSFORMS_VERSION, options.rules.digest(), options.json_fields.names))


def former_layout(options: Options, placement: Placement) -> Options:
    """Return the options with the layout of resume.json; the streams stay those of the options."""
    return dataclasses.replace(options, **{name: getattr(placement, name) for name in LAYOUT_OPTIONS})


def former_arguments(before: Placement, now: Placement) -> str:
    """Return the options that bring the former layout back: `--output_shards=1`."""
    return shlex.join(f'--{name}={_said(getattr(before, name))}' for name in LAYOUT_OPTIONS
                      if getattr(before, name) != getattr(now, name))


def same_layout(before: Placement, now: Placement) -> bool:
    """Return whether two placements differ by their streams and the version of the layout at most.

    A first bound on the age of events is no difference: the program of before had none, and its command line stays as
    it is.
    """
    if before.max_event_age_days is None:
        before = msgspec.structs.replace(before, max_event_age_days=now.max_event_age_days)
    return all(getattr(before, name) == getattr(now, name) for name in LAYOUT_OPTIONS)


def same_placement(before: Placement, now: Placement) -> bool:
    """Return whether two placements differ by the version of the layout at most, which no option can change back."""
    return same_layout(before, now) and before.streams == now.streams


def made_again(before: Settings, now: Settings) -> list[str]:
    """Return the names of the streams that were deleted and made again between two sets of settings."""
    known = before.placement.streams
    return [name for name, stream in now.placement.streams.items()
            if name in known and known[name].created_ms != stream.created_ms]


def differences(before: Settings, now: Settings) -> str:
    """Say how two sets of settings differ: `--output_shards: was 1, is 2, --rename ...`."""
    found = [*_placement_differences(before.placement, now.placement)]
    if before.placement.layout != now.placement.layout:
        found.append(f'the version of the layout: was {before.placement.layout}, is {now.placement.layout}')
    if before.content != now.content:
        found.append('--rename, --json_field or the version of the transforms')
    return ', '.join(found)


def placement_differences(before: Placement, now: Placement) -> str:
    """Say how two placements differ by options: `--output_shards: was 1, is 2`."""
    return ', '.join(_placement_differences(before, now))


def stream_difference(before: Streams, now: Streams) -> str:
    """Say how the streams differ: `--stream: was ios=a b, is b`; by their creation if the names are the same."""
    was, now_is = _named(before), _named(now)
    if was == now_is:
        was, now_is = (f'{was} created at {_created(streams)}' for streams in (before, now))
    return f'--stream: was {was}, is {now_is}'


def _placement_differences(before: Placement, now: Placement) -> Iterator[str]:
    for name in LAYOUT_OPTIONS:
        was, now_is = getattr(before, name), getattr(now, name)
        if was != now_is:
            yield f'--{name}: was {_said(was)}, is {_said(now_is)}'
    if before.streams != now.streams:
        yield stream_difference(before.streams, now.streams)


def _said(value: object) -> str:
    """Return a value as the command line has it."""
    if isinstance(value, tuple):
        return ','.join(value) or 'any'
    return 'none' if value is None else str(value)


def _named(streams: Streams) -> str:
    return ' '.join(f'{stream.label}={name}' if stream.label else name for name, stream in streams.items())


def _created(streams: Streams) -> str:
    return ' '.join(iso(stream.created_ms) for stream in streams.values())
