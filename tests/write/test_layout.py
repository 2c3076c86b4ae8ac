from __future__ import annotations

import pytest

from pipeline.options.types import iso_ms
from pipeline.write.layout import Layout
from transforms import Origin

ARRIVAL = iso_ms('2026-11-23T10:17:21.500Z') or 0
WINDOW = iso_ms('2026-11-23T10:15:00Z') or 0
ORIGIN = Origin('app', 'shardId-000000000003', '49', arrival_ms=ARRIVAL, label='web', window_ms=WINDOW, part=2)
NAME = '20261123T101500Z-p00002-00000-of-00001.json.gz'


def placed(event: dict[str, object], dropped: dict[str, object] | None = None, layout: Layout | None = None,
           origin: Origin = ORIGIN) -> str:
    layout = layout or Layout()
    return layout.event(event, dropped or {}, origin, layout.hour_of(event, dropped or {}, origin), layout.name(origin))


@pytest.mark.parametrize(('event', 'folder'), [
    ({'event_time': '2022-06-21 00:12:30', 'platform': 'iOS'}, 'year=2022/month=06/day=21/hour=00/platform=ios'),
    ({'event_time': '2022-06-21 00:12:30'}, 'year=2022/month=06/day=21/hour=00/platform=web'),
    ({'event_time': '2022-06-21 00:12:30', 'platform': None}, 'year=2022/month=06/day=21/hour=00/platform=web'),
    ({'event_time': '2022-06-21 00:12:30', 'platform': 'a/b'}, 'year=2022/month=06/day=21/hour=00/platform=other'),
    ({'event_time': 'soon', 'platform': 'ios'}, 'year=2026/month=11/day=23/hour=10/platform=ios'),
    ({}, 'year=2026/month=11/day=23/hour=10/platform=web')])
def test_an_event_is_in_the_folder_of_its_own_hour_and_platform(event: dict[str, object], folder: str) -> None:
    assert placed(event) == f'events/{folder}/{NAME}'


def test_the_name_is_that_of_the_arrival_however_late_the_event() -> None:
    assert placed({'event_time': '2026-11-20T00:00:00Z'}).endswith(f'day=20/hour=00/platform=web/{NAME}')


def test_without_a_label_the_platform_is_unknown() -> None:
    assert '/platform=unknown/' in placed({}, origin=ORIGIN._replace(label=''))


def test_fields_that_renaming_dropped_still_decide_the_folder() -> None:
    dropped: dict[str, object] = {'event_time': '2022-06-21 00:12:30', 'platform': 'android'}

    assert placed({}, dropped) == f'events/year=2022/month=06/day=21/hour=00/platform=android/{NAME}'
    assert '/platform=ios/' in placed({'platform': 'ios'}, dropped)
    assert '/year=2020/' in placed({'event_time': '2020-01-01 00:00:00'}, dropped)
    assert '/platform=web/' in placed({'platform': None}, dropped)  # a field that renaming made counts, even if null


def test_without_a_time_an_event_is_in_the_hour_of_its_own_arrival_even_if_its_window_begins_later() -> None:
    overtaken = ORIGIN._replace(arrival_ms=WINDOW - 3_600_000)

    assert placed({}, origin=overtaken) == f'events/year=2026/month=11/day=23/hour=09/platform=web/{NAME}'


def test_other_fields_may_hold_time_and_platform() -> None:
    layout = Layout(platform_field='os', time_field='at')

    assert placed({'os': 'tv', 'at': 1_655_771_550, 'platform': 'ios', 'event_time': '2020-01-01 00:00:00'},
                  layout=layout) == f'events/year=2022/month=06/day=21/hour=00/platform=tv/{NAME}'


def test_by_arrival_the_hour_of_the_event_does_not_matter() -> None:
    event, layout = {'event_time': '2022-06-21 00:12:30'}, Layout(partition_time='arrival')

    path = layout.event(event, {}, ORIGIN, None, NAME)

    assert path == f'events/year=2026/month=11/day=23/hour=10/platform=web/{NAME}'


def test_an_event_without_an_hour_belongs_to_a_count_by_what_its_time_is() -> None:
    layout = Layout(max_event_age_days=400)
    times = ['2026-11-20 00:00', '2022-06-21 00:12:30', 'soon', '1999-01-01 00:00', ' ', None]

    faults = [layout.hour_of(event, {}, ORIGIN) is None and layout.time_fault(event, {}, ORIGIN)
              for event in ({'event_time': time} for time in times)]

    assert faults == [False, 'old_times', 'unreadable_times', 'unreadable_times', None, None]


def test_errors_and_backup_are_in_the_hour_of_the_flush_window() -> None:
    # The record's own arrival may be before its window, if a record before it in its shard has a later stamp.
    origin = ORIGIN._replace(arrival_ms=WINDOW - 3_600_000)

    assert Layout().failure('invalid-json', origin) == f'errors/invalid-json/year=2026/month=11/day=23/hour=10/{NAME}'
    assert Layout().backup(origin) == f'backup/year=2026/month=11/day=23/hour=10/{NAME}'


def test_shards_are_spread_over_output_shards_by_stream_and_shard() -> None:
    names = {Layout(output_shards=4).name(Origin('app', f'shardId-{shard:012d}', '1')) for shard in range(64)}

    assert sorted(names) == [f'19700101T000000Z-p00000-{shard:05d}-of-00004.json.gz' for shard in range(4)]
