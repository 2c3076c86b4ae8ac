from __future__ import annotations

import msgspec

from pipeline.commit.manifests import Settings
from pipeline.options.options import Options
from pipeline.run.settings import former_arguments, former_layout, settings_of
from tests.command_lines import options_of
from tests.run.test_guard import CREATED, info, settings


def test_settings_are_what_decides_where_lines_go_and_what_they_hold() -> None:
    assert msgspec.to_builtins(settings(streams=[info('b', 'web'), info('a')])) == {
        'placement': {
            'layout': 2, 'flush_interval_s': 300, 'flush_size_mb': 64, 'output_shards': 1, 'compression': 'gzip',
            'partition_time': 'event', 'platform_field': 'platform', 'time_field': 'event_time',
            'max_event_age_days': 400, 'platforms': (),
            'streams': {'a': {'label': '', 'created_ms': CREATED}, 'b': {'label': 'web', 'created_ms': CREATED}}},
        'content': {'json_fields': ('event_value',), 'transforms': 3, 'rename': options_of().rules.digest()}}


OTHER_LAYOUT = ('--output_shards', '2', '--flush_interval_s', '60', '--flush_size_mb', '8', '--compression', 'none',
                '--partition_time', 'arrival', '--platform_field', 'os', '--time_field', 'at all',
                '--rename', 'none', '--platforms', 'ios,web', '--max_event_age_days', '30')


def test_the_former_layout_comes_back_as_options_and_the_streams_stay_those_of_now() -> None:
    before = settings(*OTHER_LAYOUT, streams=[info('app', 'ios'), info('old')])
    now = options_of('--stream', 'app', '--stream', 'new', '--new_layout', '--slack_s', '3')

    former: Options = former_layout(now, before.placement)

    assert settings_of(former, [info('app', 'ios'), info('old')]).placement == before.placement
    assert former.streams == now.streams
    assert (former.new_layout, former.slack_s) == (True, 3)


def test_the_former_layout_is_named_by_the_options_that_differ() -> None:
    assert former_arguments(settings(*OTHER_LAYOUT).placement, settings().placement) == (
        '--flush_interval_s=60 --flush_size_mb=8 --output_shards=2 --compression=none --partition_time=arrival '
        "--platform_field=os '--time_field=at all' --max_event_age_days=30 --platforms=ios,web")
    assert former_arguments(settings('--output_shards', '2', streams=[info('b')]).placement,
                            settings().placement) == '--output_shards=2'


def test_a_former_layout_without_bounds_on_folders_is_named_by_options_that_bring_it_back() -> None:
    before = msgspec.structs.replace(settings().placement, max_event_age_days=None)
    words = former_arguments(before, settings('--platforms', 'ios').placement)

    assert words == '--max_event_age_days=none --platforms=any'
    assert settings('--platforms', 'ios', *words.split()).placement == before


def test_the_layout_of_before_the_bounds_on_folders_comes_back_without_them() -> None:
    before = msgspec.structs.replace(settings().placement, max_event_age_days=None, platforms=())

    former = former_layout(options_of('--platforms', 'ios', '--new_layout'), before)

    assert (former.max_event_age_days, former.platforms) == (None, ())


def test_settings_survive_json() -> None:
    known = settings('--platforms', 'web,ios')

    assert msgspec.json.decode(msgspec.json.encode(known), type=Settings) == known
