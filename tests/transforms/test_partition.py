from __future__ import annotations

import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.partition import event_hour_ms, is_time_given, platform_of

HOUR = 1_655_769_600_000  # 2022-06-21T00:00Z
ARRIVAL = HOUR + 20 * 60_000
DAY = 86_400_000


@pytest.mark.parametrize('value', [
    '2022-06-21 00:12:30.017', '2022-06-21T00:12:30', '2022-06-21t00:12:30z', '2022-06-21 00:12', '2022-06-21T00:12Z',
    '2022-06-21 00:59:59.999999999', '2022-06-21 00:12:30 Z', '2022-06-21 09:00:24.931+0900',
    '2022-06-21 09:00:24.931 +09:00', '2022-06-20T19:00:00-05', '2022-06-21 05:30:00+05:30', '2022-06-20 23:45-0015',
    '2022-06-21T00:12:30-00:00', 1655771550, 1655771550.017, 1655771550017, 1655771550017.5, '1655771550',
    '1655771550.017', '1655771550017', '1655771550017.25', '2022-06-21 00:12:30,017', ' 2022-06-21 00:12:30',
    '2022-06-21 00:12:30 UTC', '2022-06-21 00:12:30.017 GMT', '2022-06-21 00:12UTC', '2022-06-21 00:12\n',
    '\t2022-06-21T00:12Z ', 1655771550017123, '1655771550017123', '1655771550017123456', 1655771550017123456,
    '1655771550,017', ' 1655771550 ', 1655771550017123.5])
def test_every_spelling_of_one_hour(value: object) -> None:
    assert event_hour_ms(value, ARRIVAL) == HOUR


@pytest.mark.parametrize(('value', 'hour'), [
    ('2000-01-01 00:00:00', 946_684_800_000), ('2022-06-20 23:59:59.999', HOUR - 3_600_000),
    ('2022-02-28 12:00', 1_646_049_600_000), ('2022-06-21 05:29:59+05:30', HOUR - 3_600_000),
    ('1000000000', 999_997_200_000), (1_000_000_000_000, 999_997_200_000)])
def test_hours_of_the_past(value: object, hour: int) -> None:
    assert event_hour_ms(value, ARRIVAL) == hour


@pytest.mark.parametrize('value', [
    None, '', ' ', 'yesterday', '2022-06-21', '2022-06-21 00', '20220621T001230Z', '2022-6-21 0:12',
    '2022-06-21  00:12', '2022-06-21 24:00', '2022-06-21 23:60', '2022-06-21 23:59:60', '2022-06-31 00:00',
    '2022-13-01 00:00', '0000-01-01 00:00', '2022-02-29 12:00', '2022-06-21 00:12:30,', '2022-06-21 00:12:30.',
    '2022-06-21 00:12+24',
    '2022-06-21 00:12+09:60', '2022-06-21 00:12+9', '2022-06-21 00:12  Z', '2022-06-21 00:12 CET',
    '2022-06-21 00:12\u00a0', '2022-06-21 00:12 UTC+1', '16557715500171', '165577155001712345',
    '٢٠٢٢-06-21 00:12', '１６５５７７１５５０', '165577155', '16557715500', '+1655771550',
    '1655771550.', '-1655771550', -1655771550, 0, 165577155, 16557715500, 10 ** 4000, -(10 ** 4000), float('inf'),
    float('nan'), 1e300, True, False, {}, [], {'a': 1}, b'2022-06-21 00:12'])
def test_a_time_that_cannot_be_read_is_none(value: object) -> None:
    assert event_hour_ms(value, ARRIVAL) is None


@pytest.mark.parametrize(('value', 'expected'), [
    (None, False), ('', False), (' ', False), ('yesterday', True), (0, True), (False, True), ({}, True)])
def test_a_blank_time_is_not_given(value: object, expected: bool) -> None:
    assert is_time_given(value) == expected


@pytest.mark.parametrize(('value', 'hour'), [
    ('1999-12-31 23:59:59', None), ('2000-01-01 00:30+01:00', None),
    ('2022-06-22 00:20:00', HOUR + DAY), ('2022-06-22 00:20:01', None), ('9999-12-31 23:59:59-23:59', None),
    (1655857200, HOUR + DAY), (1655857201, None), (9_999_999_999, None), (9_999_999_999_999, None)])
def test_a_time_before_2000_or_over_a_day_after_arrival_is_none(value: object, hour: int | None) -> None:
    assert event_hour_ms(value, ARRIVAL) == hour


@pytest.mark.parametrize(('age_days', 'value', 'hour'), [
    (1, '2022-06-20 00:20:00', HOUR - DAY), (1, '2022-06-20 00:19:59.999', None),
    (2, '2022-06-20 00:19:59.999', HOUR - DAY), (1, 1655684400, HOUR - DAY), (1, 1655684399, None),
    (36500, '2000-01-01 00:00', 946_684_800_000),
    (36500, '1999-12-31 23:59', None), (1, '2022-06-22 00:20:01', None), (None, '2000-01-01 00:00', 946_684_800_000)])
def test_a_time_that_is_older_than_the_bound_is_none(age_days: int | None, value: object, hour: int | None) -> None:
    assert event_hour_ms(value, ARRIVAL, age_days) == hour


@given(st.datetimes(datetime.datetime(2000, 1, 3), datetime.datetime(2022, 6, 20)),  # noqa: DTZ001 - zones are drawn
       st.timezones().map(lambda zone: zone.utcoffset(datetime.datetime(2020, 1, 1))),  # noqa: DTZ001
       st.sampled_from([' ', 'T']))
def test_every_time_is_in_its_hour(
        moment: datetime.datetime, offset: datetime.timedelta | None, between: str) -> None:
    zone = datetime.timezone(datetime.timedelta(minutes=(offset or datetime.timedelta()).total_seconds() // 60))
    aware = moment.replace(tzinfo=zone)

    seconds = int(aware.timestamp() // 3600 * 3600)
    assert event_hour_ms(aware.isoformat(between), ARRIVAL) == seconds * 1000


@pytest.mark.parametrize(('value', 'label', 'platform'), [
    ('ios', '', 'ios'), ('iOS', '', 'ios'), ('Android', 'web', 'android'), ('fire-tv_2', '', 'fire-tv_2'),
    ('x' * 32, '', 'x' * 32), ('x' * 33, '', 'other'), (None, 'web', 'web'), ('', 'web', 'web'), (None, '', 'unknown'),
    ('', '', 'unknown'), (' ', 'web', 'other'), ('ios ', '', 'other'), ('ios\n', '', 'other'), ('../x', '', 'other'),
    ('a/b', '', 'other'), ('a=b', '', 'other'), ('a.b', '', 'other'), ('..', '', 'other'), ('\0', '', 'other'),
    ('іos', '', 'other'), ('ｉｏｓ', '', 'other'), ('İOS', '', 'other'), (0, 'web', 'other'), (1, '', 'other'),
    (False, 'web', 'other'), (True, '', 'other'), ({}, 'web', 'other'), ([], 'web', 'other'), (1.5, '', 'other')])
def test_platforms(value: object, label: str, platform: str) -> None:
    assert platform_of(value, label) == platform


@pytest.mark.parametrize(('value', 'label', 'platform'), [
    ('iOS', 'tv', 'ios'), ('android', 'tv', 'other'), ('tv', 'tv', 'other'), ('../x', 'tv', 'other'),
    (0, 'tv', 'other'), (None, 'tv', 'tv'), ('', '', 'unknown'), ('unknown', '', 'other')])
def test_a_platform_that_is_not_listed_is_other_and_labels_need_not_be(
        value: object, label: str, platform: str) -> None:
    assert platform_of(value, label, frozenset({'ios', 'web'})) == platform


ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.text(alphabet='a/.=\n\0İK'),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2))


@given(ANYTHING)
def test_no_data_changes_the_number_or_the_order_of_path_parts(value: object) -> None:
    path = f'events/platform={platform_of(value, "web")}/object'

    assert path.count('/') == 2
    assert path.count('=') == 1
    assert path.isascii()
    assert path.isprintable()
    assert '..' not in path


@given(ANYTHING | st.text(alphabet='0123456789-: TZ.+'), st.integers(0, 10 ** 13))
def test_any_value_is_a_plausible_hour_or_none(value: object, arrival_ms: int) -> None:
    hour = event_hour_ms(value, arrival_ms)

    assert hour is None or (hour % 3_600_000 == 0 and 946_684_800_000 <= hour <= arrival_ms + DAY)
