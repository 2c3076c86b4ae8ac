from __future__ import annotations

import argparse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import OptionRefused
from pipeline.options.types import (
    DAY_MS,
    Stream,
    check_streams,
    flush_interval,
    iso_ms,
    one_of,
    plain,
    read_stream,
    shown,
    start_time,
    stop_time,
    whole_number,
)

TEN_FIFTEEN = 1_795_428_900_000
ARN = 'arn:aws:kinesis:eu-west-1:123456789012:stream/app.events_1-x'
CHINA = 'arn:aws-cn:kinesis:cn-north-1:123456789012:stream/app'


@pytest.mark.parametrize('text', [
    '2026-11-23T10:15:00Z', '2026-11-23 10:15', '2026-11-23T10:15', '2026-11-23T10:15:00.000',
    '2026-11-23T12:15:00+02:00', '2026-11-23T05:15-0500', '2026-11-23T15:45:00+05:30', '2026-11-23T11:15+01',
    '2026-11-23T10:15:00,000000Z'])
def test_every_spelling_of_one_time(text: str) -> None:
    assert iso_ms(text) == TEN_FIFTEEN


@pytest.mark.parametrize(('text', 'ms'), [
    ('2000-01-01', 946_684_800_000), ('2026-11-23T10:15:00.1', TEN_FIFTEEN + 100),
    ('2026-11-23T10:15:00.123999999Z', TEN_FIFTEEN + 123), ('1970-01-01', 0), ('1969-12-31T23:59:59.999Z', -1)])
def test_milliseconds_are_cut_not_rounded(text: str, ms: int) -> None:
    assert iso_ms(text) == ms


@pytest.mark.parametrize('text', [
    '', '2026', '2026-11', '20261123', '2026-W48', '2026-11-23T', '2026-11-23T10', '2026-11-23T10:15:60',
    '2026-11-23Z', '2026-11-23t10:15', '2026-11-23T10:15z', ' 2026-11-23', '2026-11-23\n', '2026-13-01', '0000-01-01',
    '2026-11-23T10:15+25:00', '2026-11-23T10:15:00.', '٢٠٢٦-11-23', '23.11.2026', '1700000000'])
def test_what_is_not_strictly_iso_8601_is_no_time(text: str) -> None:
    assert iso_ms(text) is None


@given(st.text())
def test_any_text_is_a_time_or_not(text: str) -> None:
    assert iso_ms(text) is None or text[:4].isdigit()


def test_start_may_be_up_to_a_day_ahead_of_the_local_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('pipeline.options.types.time.time', lambda: (TEN_FIFTEEN - DAY_MS) / 1000)

    assert start_time('2026-11-23T10:15Z') == TEN_FIFTEEN
    with pytest.raises(argparse.ArgumentTypeError) as refused:
        start_time('2026-11-23T10:15:01Z')
    assert str(refused.value) == "got '2026-11-23T10:15:01Z', must be a time that is not in the future"


def test_stop_may_be_in_the_future() -> None:
    assert (stop_time('2999-12-31T23:59:59Z'), stop_time('now')) == (32_503_679_999_000, 'now')


@pytest.mark.parametrize('text', ['9999-12-31T23:59-14:00', '0001-01-01T00:00+14:00'])
def test_times_at_the_edges_of_the_calendar_are_refused_not_an_overflow(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        stop_time(text)


def test_a_flush_interval_divides_the_hour() -> None:
    intervals = [seconds for seconds in range(1, 3601) if 3600 % seconds == 0]

    assert [flush_interval(str(seconds)) for seconds in intervals] == intervals


@pytest.mark.parametrize('text', ['', '+5', ' 5', '5 ', '1_0', '0x5', '5.0', '٥', '1e1', '9' * 5000])
def test_numbers_are_plain_decimal_digits(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        whole_number(0)(text)


def test_words_are_accepted_only_as_they_are_written() -> None:
    assert one_of('gzip', 'none')('none') == 'none'
    with pytest.raises(argparse.ArgumentTypeError) as refused:
        one_of('a', 'b', 'c')('A')
    assert str(refused.value) == "got 'A', must be a, b or c"


@pytest.mark.parametrize(('value', 'expected'), [
    ('a\nb\x1b', "'a\\nb\\x1b'"), ("it's", '"it\'s"'), ('x' * 300, f"'{'x' * 195}...'"),
    ('https://me:secret@host/x', "'https://***@host/x'"), ('s3://k:se/c@ret@bucket', "'s3://***@bucket'")])
def test_a_value_is_shown_on_one_short_line_without_a_password(value: str, expected: str) -> None:
    assert shown(value) == expected


@pytest.mark.parametrize(('message', 'expected'), [
    ('argument --label/--labels: expected one argument', '--label: must be followed by a value'),
    ("argument --streaming: ignored explicit argument 'x'", "--streaming: got 'x', takes no value"),
    ('two\n  lines', 'two lines')])
def test_messages_of_argparse_are_reworded(message: str, expected: str) -> None:
    assert plain(message) == expected


@pytest.mark.parametrize(('text', 'stream'), [
    ('events', Stream('events')),
    ('ios=events', Stream('events', None, 'ios')),
    (ARN, Stream('app.events_1-x', ARN, '')),
    (f'roku_tv-1={ARN}', Stream('app.events_1-x', ARN, 'roku_tv-1')),
    (CHINA, Stream('app', CHINA)),
    (f'{"l" * 32}={"N" * 128}', Stream('N' * 128, None, 'l' * 32))])
def test_a_stream_is_a_name_or_an_arn_with_or_without_label(text: str, stream: Stream) -> None:
    assert read_stream(text) == stream


@pytest.mark.parametrize('text', [
    '', '=', '=events', 'ios=', 'iOS=events', 'a=b=events', f'{"l" * 33}=events', 'N' * 129, 'events\n', 'é',
    ARN + '/consumer/x:1', ARN.replace('kinesis', 'firehose'), ARN.replace('123456789012', '1'), 'arn:aws:kinesis'])
def test_what_is_neither_a_name_nor_an_arn_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError) as refused:
        read_stream(text)
    assert str(refused.value).startswith(f'got {text!r}, must be ')


def test_the_region_is_that_of_the_arns() -> None:
    assert check_streams([read_stream(ARN), Stream('b')], None) == 'eu-west-1'
    assert check_streams([read_stream(ARN)], 'eu-west-1') == 'eu-west-1'
    assert check_streams([Stream('b')], 'us-east-1') == 'us-east-1'
    assert check_streams([], None) is None


def test_streams_with_one_label_are_fine_and_with_one_name_are_not() -> None:
    assert check_streams([Stream('a', None, 'ios'), Stream('b', None, 'ios')], None) is None
    with pytest.raises(OptionRefused):
        check_streams([Stream('a', None, 'ios'), Stream('a', None, 'android')], None)


def test_streams_of_two_regions_are_refused() -> None:
    with pytest.raises(OptionRefused):
        check_streams([read_stream(ARN), read_stream(CHINA)], None)
