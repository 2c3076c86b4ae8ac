from __future__ import annotations

import argparse

import pytest

from pipeline.errors import OptionRefused
from pipeline.options.types import Stream, check_streams, read_stream

ARN = 'arn:aws:kinesis:eu-west-1:123456789012:stream/app.events_1-x'
CHINA = 'arn:aws-cn:kinesis:cn-north-1:123456789012:stream/app'


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
def test_everything_else_is_refused(text: str) -> None:
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
