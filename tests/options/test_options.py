from __future__ import annotations

import argparse
import dataclasses
import os
import pickle
import shlex
import subprocess
import sys
from typing import Any

import pytest

from pipeline.errors import OptionRefused
from pipeline.options.options import Options, Stream, check_together, parse_options
from transforms import CONVENTION, EVENT_VALUE, JsonFields, Rules

BASE = ['--stream', 'events', '--output', '/lake']
TIME = 'an ISO 8601 time from 2000 to 2999 such as 2026-11-23T10:15:00Z'
BUCKET = 's3://bucket/prefix with a bucket name by S3\'s rules (3 to 63 of a-z, 0-9, "-" and ".", no reserved form)'
PREFIX = 's3://bucket/prefix without empty parts, ".", "..", "?", "#", "\\" and outer spaces'
SCHEME = 's3://bucket/prefix or a folder; there are no other schemes. A folder of such a name can be given as ./NAME'
URL = 'http(s)://host or http(s)://host:port'
LOCAL = ('https: plain http is not encrypted, so it is allowed only for localhost, 127.0.0.0/8 and [::1]. If the '
         'endpoint is in a container, publish its port here or share its network (network_mode), and give '
         'http://localhost:PORT; or put an https proxy before it')
KEY = 'arn:aws:kms:eu-west-1:123456789012:alias/lake'
NAME = ('[LABEL=]NAME, a name of 1 to 128 of a-z, A-Z, 0-9, "_", "." and "-", '
        'or [LABEL=]arn:aws:kinesis:REGION:ACCOUNT:stream/NAME')
LABEL = 'LABEL=STREAM with a label of 1 to 32 of a-z, 0-9, "_" and "-"'
FIELD = 'the name of a field, 1 to 1024 characters without outer spaces'
INTERVAL = 'a whole number of seconds that divides 3600, such as 60, 300 or 900'
RUNNER = 'DirectRunner, PrismRunner, FlinkRunner, DataflowRunner or FnApiRunner'
ONCE = 'given once: shards are told apart by the name of their stream'
CHAIN = ("not allowed, because other users can see a command line: leave credentials to the AWS SDK's default chain "
         '(environment, profile or role)')
A, B = 'arn:aws:kinesis:eu-west-1:123456789012:stream/', 'arn:aws:kinesis:us-east-1:123456789012:stream/'
PLATFORMS = ('names of platforms with commas between, each once and of 1 to 32 of a-z, 0-9, "_" and "-", such as '
             'ios,android,web; or any')

#: What follows BASE, and what the error says is allowed: `--option: got <the value>, must be <this>`.
WRONG_VALUES = {
    '--flush_interval_s 7': INTERVAL,
    '--flush_interval_s 0': INTERVAL,
    '--flush_interval_s -300': INTERVAL,
    '--flush_interval_s 7200': INTERVAL,
    '--flush_interval_s 5m': INTERVAL,
    '--flush_size_mb 0': 'a whole number from 1 to 1024',
    '--flush_size_mb 1025': 'a whole number from 1 to 1024',
    '--flush_size_mb 1.5': 'a whole number from 1 to 1024',
    '--slack_s -1': 'a whole number, 0 or more',
    '--slack_s 1_0': 'a whole number, 0 or more',
    '--output_shards 0': 'a whole number from 1 to 1000',
    '--output_shards 1001': 'a whole number from 1 to 1000',
    '--readers 0': 'a whole number, 1 or more',
    '--compression zstd': 'gzip or none',
    '--partition_time processing': 'event or arrival',
    '--max_event_age_days 0': 'a whole number from 1 to 36500, or none',
    '--max_event_age_days 36501': 'a whole number from 1 to 36500, or none',
    '--max_event_age_days None': 'a whole number from 1 to 36500, or none',
    '--platforms ""': PLATFORMS,
    '--platforms ios,': PLATFORMS,
    '--platforms "ios, web"': PLATFORMS,
    '--platforms ios,web,iOS': PLATFORMS,
    f'--platforms {"x" * 33}': PLATFORMS,
    '--platforms ../x': PLATFORMS,
    '--on_gap ignore': 'fail or skip',
    '--platform_field ""': FIELD,
    '--time_field " event_time"': FIELD,
    '--json_field ""': FIELD,
    '--runner SparkRunner': RUNNER,
    '--runner directrunner': RUNNER,
    '--output s3://': BUCKET,
    '--output s3:///x': BUCKET,
    '--output s3://My_Bucket/x': BUCKET,
    '--output s3://ab': BUCKET,
    '--output s3://a..b/x': BUCKET,
    '--output s3://192.168.0.1/x': BUCKET,
    '--output s3://xn--bucket/x': BUCKET,
    '--output s3://bucket--x-s3/x': BUCKET,
    '--output s3://bucket-/x': BUCKET,
    '--output s3://bucket:9000/x': BUCKET,
    '--output s3://bucket/a?versionId=1': PREFIX,
    '--output s3://bucket/a#b': PREFIX,
    '--output s3://bucket/a//b': PREFIX,
    '--output s3://bucket/a//': PREFIX,
    '--output s3://bucket//': PREFIX,
    '--output s3://bucket/../b': PREFIX,
    '--output s3://bucket/./b': PREFIX,
    '--output gs://bucket/x': SCHEME,
    '--output s3a://bucket/x': SCHEME,
    '--output file:///tmp/x': SCHEME,
    '--output s3:/bucket/x': SCHEME,
    '--output s3:bucket': SCHEME,
    '--output ""': 's3://bucket/prefix or a folder, without outer spaces and control characters',
    '--errors_output http://bucket/x': SCHEME,
    '--backup_output s3://Bucket': BUCKET,
    '--start yesterday': f'resume, earliest, latest or {TIME}',
    '--start now': f'resume, earliest, latest or {TIME}',
    '--start 1700000000': f'resume, earliest, latest or {TIME}',
    '--start 2026-02-30': f'resume, earliest, latest or {TIME}',
    '--start 2026-11-23T24:00': f'resume, earliest, latest or {TIME}',
    '--start 2026-11-23T10': f'resume, earliest, latest or {TIME}',
    '--start 1999-12-31T23:59:59Z': f'resume, earliest, latest or {TIME}',
    '--start 2999-01-01': 'a time that is not in the future',
    '--stop latest': f'now or {TIME}',
    '--stop 1999-12-31': f'now or {TIME}',
    '--stop 3000-01-01': f'now or {TIME}',
    '--stream ""': NAME,
    '--stream "my events"': NAME,
    '--stream arn:aws:kinesis:eu-west-1:12:stream/events': NAME,
    '--stream arn:aws:firehose:eu-west-1:123456789012:stream/events': NAME,
    '--stream iOS=events': LABEL,
    '--stream =events': LABEL,
    '--kinesis_endpoint_url http://kinesis.example.com': LOCAL,
    '--kinesis_endpoint_url http://localhost.example.com:4566': LOCAL,
    '--kinesis_endpoint_url localhost:4566': URL,
    '--kinesis_endpoint_url http://127.0.0.1:4566/path': URL,
    '--kinesis_endpoint_url http://127.0.0.1:99999': URL,
    '--s3_endpoint_url http://10.0.0.1:9000': LOCAL,
    '--s3_endpoint_url ftp://localhost': URL,
    '--s3_endpoint_url https://': URL,
    '--s3_verify false': 'a file of CA certificates that exists',
    '--s3_sse aes256': 'AES256 or aws:kms',
    '--s3_kms_key_id "a key"': 'an ID, ARN or alias of a KMS key',
    '--aws_region "eu west"': 'a region such as eu-west-1',
}
#: Other errors: what follows BASE, and the whole line of the answer.
WRONG_LINES = {
    '--output /etc/passwd': "--output: got '/etc/passwd', must be a folder, but '/etc/passwd' is not one",
    '--output /etc/passwd/lake': "--output: got '/etc/passwd/lake', must be a folder, but '/etc/passwd' is not one",
    '--output s3://KEY:SECRET@bucket/x': f"--output: got 's3://***@bucket/x', must be {BUCKET}",
    '--s3_endpoint_url https://me:SECRET@host': f"--s3_endpoint_url: got 'https://***@host', must be {URL}",
    '--output': '--output: must be followed by a value',
    '--replace=yes': "--replace: got 'yes', takes no value",
    '--stream events': f"--stream: got 'events' 2 times, must be {ONCE}",
    f'--stream ios={A}events': f"--stream: got 'events' 2 times, must be {ONCE}",
    f'--stream {A}a --stream {B}a': f"--stream: got 'a' 2 times, must be {ONCE}",
    f'--stream {A}a --stream {B}b': '--stream: got ARNs in eu-west-1 and us-east-1, must be in one region',
    f'--stream {A}a --aws_region us-east-1': "--aws_region: got 'us-east-1', must be eu-west-1 as in the ARN of "
                                             '--stream',
    '--start 2026-02-01 --stop 2026-02-01': '--start: got 2026-02-01T00:00:00Z, must be before --stop, '
                                            '2026-02-01T00:00:00Z (both aligned down to a window)',
    '--start 2026-02-01T00:01 --stop 2026-02-01T00:04': '--start: got 2026-02-01T00:00:00Z, must be before --stop, '
                                                        '2026-02-01T00:00:00Z (both aligned down to a window)',
    '--start latest --stop now': "--stop: got 'now', must be absent or a later time with --start latest: both are "
                                 'now, nothing would be read',
    '--start earliest --stop now --new_layout': "--new_layout: must go with --start resume, got 'earliest': only a "
                                                'resumed run has a layout before it',
    '--start 2026-02-01 --stop now --new_layout': '--new_layout: must go with --start resume, got '
                                                  '2026-02-01T00:00:00Z: only a resumed run has a layout before it',
    '--start earliest --start_over --new_layout': '--new_layout: must not be given with --start_over, which uses '
                                                  'the new layout from the start',
    '--start_over': '--start_over: must go with --start earliest, latest or a time, got none',
    '--start resume --start_over': "--start_over: must go with --start earliest, latest or a time, got 'resume'",
    '--no_backup --backup_output /b': '--no_backup: must not be given with --backup_output',
    '--runner PrismRunner --readers 2': "--readers: got '2', must be 1 on PrismRunner, which closes windows too early "
                                        'with more',
    '--runner PrismRunner': '--open_job_port: must be given with PrismRunner: the job port of Prism listens on all '
                            'interfaces and runs what it is given, and Prism has no option against it: let no other '
                            'machine reach the ports of this one, or use DirectRunner',
    '--open_job_port': '--open_job_port: must go with --runner PrismRunner, got DirectRunner',
    '--s3_disable_ssl': '--s3_disable_ssl: must not be given: use an --s3_endpoint_url that begins with http:// '
                        'instead',
    f'--output s3://lake --s3_kms_key_id {KEY}': '--s3_kms_key_id: must go with --s3_sse aws:kms, got none',
    f'--output s3://lake --s3_sse AES256 --s3_kms_key_id {KEY}':
        '--s3_kms_key_id: must go with --s3_sse aws:kms, got AES256',
    '--s3_sse AES256': '--s3_sse: must go with an output on S3, s3://bucket/prefix: the files of a folder are not '
                       'encrypted',
    '--platform_field Platform': "--platform_field: got 'Platform', must be a name that renaming can give a field, "
                                 "such as 'platform'",
    '--runner DataflowRunner': '--output: must be s3://bucket/prefix on DataflowRunner, and so must --errors_output '
                               'and --backup_output: the folders of a worker are lost when it ends',
    '--s3_access_key_id SECRET': f'--s3_access_key_id: {CHAIN}',
    '--s3_secret_access_key=SECRET': f'--s3_secret_access_key: {CHAIN}',
    '--s3_session_token': f'--s3_session_token: {CHAIN}',
    '--flush-interval-s 60': '--flush-interval-s: no such option, did you mean --flush_interval_s?',
    '--strem more': '--strem: no such option, did you mean --stream?',
    '--compres none': '--compres: no such option, did you mean --compression?',
    'stray': "'stray': is not an option, nor the value of one",
    '--rename /no/such/file': "--rename: got '/no/such/file', must be none or a JSON or YAML file of old to new names: "
                              'No such file or directory',
}


def refusal(args: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as exit_:
        parse_options(args)
    out, err = capsys.readouterr()
    assert (exit_.value.code, out, err.count('\n')) == (2, '', 1)
    return err


def options(line: str = '') -> Options:
    return parse_options([*BASE, *shlex.split(line)])


@pytest.mark.parametrize(('line', 'allowed'), WRONG_VALUES.items())
def test_the_error_for_a_wrong_value_has_option_value_and_what_is_allowed(
        line: str, allowed: str, capsys: pytest.CaptureFixture[str]) -> None:
    option, value = shlex.split(line)

    answer = refusal([*BASE, option, value], capsys)

    assert answer == f'pipeline: error: {option}: got {value!r}, must be {allowed}; see --help\n'


@pytest.mark.parametrize(('line', 'answer'), WRONG_LINES.items())
def test_a_wrong_command_line_is_answered_with_one_line(
        line: str, answer: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert refusal([*BASE, *shlex.split(line)], capsys) == f'pipeline: error: {answer}; see --help\n'


@pytest.mark.parametrize(('line', 'missing'), [
    ('', '--stream and --output'), ('--stream a', '--output'), ('--output /lake', '--stream')])
def test_stream_and_output_are_required(line: str, missing: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert refusal(shlex.split(line), capsys) == f'pipeline: error: {missing}: must be given; see --help\n'


def test_a_secret_under_a_misspelt_name_is_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    for args in (['--s3_secret_key', 'SECRET'], ['--s3_secret_key=SECRET'], ['--s3_secret_access_key SECRET']):
        assert 'SECRET' not in refusal([*BASE, *args], capsys)


def test_defaults() -> None:
    assert options() == Options(
        streams=(Stream('events', None, ''),), output='/lake', errors_output=None, backup_output=None, start=None,
        start_over=False, stop=None, flush_interval_s=300, flush_size_mb=64, slack_s=10, output_shards=1, readers=None,
        compression='gzip', json_fields=EVENT_VALUE, rules=CONVENTION, platform_field='platform',
        time_field='event_time', partition_time='event', max_event_age_days=400, platforms=(), backup=True,
        on_gap='fail', replace=False, new_layout=False, aws_region=None,
        kinesis_endpoint_url=None, s3_endpoint_url=None, s3_region_name=None,
        s3_verify=None, s3_sse=None, s3_kms_key_id=None, runner='DirectRunner', beam_args=('--runner=FnApiRunner',))


@pytest.mark.parametrize(('line', 'values'), [
    (f'--stream android={A}app', {'streams': (Stream('events'), Stream('app', f'{A}app', 'android')),
                                  'aws_region': 'eu-west-1'}),
    ('--output s3://bucket/a/b/', {'output': 's3://bucket/a/b'}),
    ('--errors_output s3://errors --backup_output /b/', {'errors_output': 's3://errors', 'backup_output': '/b'}),
    ('--start resume', {'start': 'resume'}),
    ('--start earliest --stop now', {'start': 'earliest', 'stop': 'now'}),
    ('--start latest', {'start': 'latest'}),
    ('--start latest --start_over', {'start': 'latest', 'start_over': True}),
    ('--start 2020-01-01T02:04:59+02:00', {'start': 1577836800000}),
    ('--stop 2030-01-01T00:59:59.999', {'stop': 1893459300000}),
    ('--stop 2030-01-01T00:59:59 --flush_interval_s 3600', {'stop': 1893456000000, 'flush_interval_s': 3600}),
    ('--flush_interval_s 1 --flush_size_mb 1024 --slack_s 0', {'flush_interval_s': 1, 'flush_size_mb': 1024,
                                                               'slack_s': 0}),
    ('--output_shards 1000 --readers 8', {'output_shards': 1000, 'readers': 8}),
    ('--compression none', {'compression': 'none'}),
    ('--rename none', {'rules': Rules(convention=False)}),
    ('--json_field eventValue --json_field "Custom Data"', {'json_fields': JsonFields(('custom_data', 'event_value'))}),
    ('--platform_field os --time_field event_at', {'platform_field': 'os', 'time_field': 'event_at'}),
    ('--rename none --time_field "Event Time"', {'rules': Rules(convention=False), 'time_field': 'Event Time'}),
    ('--partition_time arrival --on_gap skip', {'partition_time': 'arrival', 'on_gap': 'skip'}),
    ('--max_event_age_days none --platforms web,iOS,fire-tv_2',
     {'max_event_age_days': None, 'platforms': ('fire-tv_2', 'ios', 'web')}),
    ('--platforms any', {}),
    ('--max_event_age_days 36500 --platforms other', {'max_event_age_days': 36500, 'platforms': ('other',)}),
    ('--no_backup --replace --new_layout', {'backup': False, 'replace': True, 'new_layout': True}),
    ('--aws_region eu-west-1', {'aws_region': 'eu-west-1'}),
    ('--kinesis_endpoint_url http://localhost:4566/', {'kinesis_endpoint_url': 'http://localhost:4566'}),
    ('--output s3://lake --s3_sse AES256', {'output': 's3://lake', 's3_sse': 'AES256'}),
    (f'--output s3://lake --s3_sse aws:kms --s3_kms_key_id {KEY}',
     {'output': 's3://lake', 's3_sse': 'aws:kms', 's3_kms_key_id': KEY}),
    ('--runner FnApiRunner', {}),
    ('--runner PrismRunner --open_job_port --readers 1', {'runner': 'PrismRunner', 'readers': 1, 'beam_args': (
        '--runner=PrismRunner',)}),
    ('--runner FlinkRunner --checkpointing_interval 2000', {'runner': 'FlinkRunner', 'beam_args': (
        '--runner=FlinkRunner', '--checkpointing_interval', '2000')}),
])
def test_each_option_sets_its_values_and_nothing_else(line: str, values: dict[str, Any]) -> None:
    assert options(line) == dataclasses.replace(options(), **values)


def test_s3_options_of_beam_are_taken_and_passed_on() -> None:
    got = options(f'--s3_endpoint_url http://[::1]:9000 --s3_region_name eu-west-1 --s3_verify {__file__} '
                  '--streaming')

    assert (got.s3_endpoint_url, got.s3_region_name, got.s3_verify) == ('http://[::1]:9000', 'eu-west-1', __file__)
    assert got.beam_args == ('--runner=FnApiRunner', '--streaming', '--s3_endpoint_url=http://[::1]:9000',
                             '--s3_region_name=eu-west-1', f'--s3_verify={__file__}')


def test_lengths_are_also_in_milliseconds_and_bytes() -> None:
    got = options('--flush_interval_s 60 --flush_size_mb 2 --slack_s 3')

    assert (got.flush_ms, got.flush_bytes, got.slack_ms) == (60_000, 2_097_152, 3_000)


def test_options_are_frozen_and_can_be_pickled() -> None:
    got = options()

    assert pickle.loads(pickle.dumps(got)) == got
    with pytest.raises(dataclasses.FrozenInstanceError):
        got.output = 'elsewhere'  # type: ignore[misc]


@pytest.mark.parametrize(('line', 'code'), [
    ('--help', 0), ('--flush_interval_s 7', 2), ('--start latest --stop now', 2), ('--stream a', 2)])
def test_help_and_a_wrong_option_of_ours_are_answered_without_beam(line: str, code: int) -> None:
    script = ('import sys\nfrom pipeline.options.options import parse_options\n'
              'try:\n    parse_options(sys.argv[1:])\n'
              'finally:\n    assert not {"apache_beam", "boto3", "yaml"} & set(sys.modules)\n')

    done = subprocess.run([sys.executable, '-c', script, *shlex.split(line)], capture_output=True, text=True,
                          timeout=30, env={**os.environ, 'PYTHONPATH': '.'})

    assert (done.returncode, done.stderr.count('\n')) == (code, code // 2)


def test_importing_beam_prints_nothing() -> None:
    script = 'import sys\nfrom pipeline.options.options import parse_options\nparse_options(sys.argv[1:])\n'

    done = subprocess.run([sys.executable, '-c', script, *BASE, '--bogus'], capture_output=True, text=True, timeout=60,
                          env={**os.environ, 'PYTHONPATH': '.'})

    assert (done.returncode, done.stdout, done.stderr) == (
        2, '', 'pipeline: error: --bogus: no such option; see --help\n')


#: Options that go together; each case below replaces some of them.
COMPATIBLE: dict[str, object] = {
    'start': None, 'start_over': False, 'stop': None, 'new_layout': False, 'no_backup': False, 'backup_output': None,
    'output': '/lake', 'errors_output': None, 'runner': 'DirectRunner', 'readers': None, 's3_disable_ssl': False,
    'open_job_port': False, 's3_sse': None, 's3_kms_key_id': None}


@pytest.mark.parametrize('values', [
    {}, {'start': 0, 'stop': 300_000}, {'start': 'latest', 'stop': 300_000}, {'start': 'earliest', 'stop': 'now'},
    {'start': 0, 'stop': 'now'}, {'new_layout': True}, {'new_layout': True, 'start': 'resume'},
    {'new_layout': True, 'start': 'latest'}, {'start_over': True, 'start': 'earliest'},
    {'start_over': True, 'start': 0, 'stop': 'now'},
    {'readers': 9}, {'readers': 9, 'runner': 'FlinkRunner'},
    {'readers': 1, 'runner': 'PrismRunner', 'open_job_port': True},
    {'no_backup': True}, {'backup_output': '/b'}, {'backup_output': '/lake'}, {'errors_output': '/lake/events-errors'},
    {'runner': 'DataflowRunner', 'output': 's3://lake', 'errors_output': 's3://errors'},
    {'s3_sse': 'AES256', 'output': 's3://lake'}, {'s3_sse': 'aws:kms', 'errors_output': 's3://lake'},
    {'s3_sse': 'aws:kms', 's3_kms_key_id': 'alias/x', 'output': 's3://lake'}])
def test_compatible_options_are_taken_together(values: dict[str, object]) -> None:
    check_together(argparse.Namespace(**{**COMPATIBLE, **values}))


@pytest.mark.parametrize('values', [
    {'start': 300_000, 'stop': 300_000}, {'start': 300_000, 'stop': 0}, {'start': 'latest', 'stop': 'now'},
    {'new_layout': True, 'start': 'earliest', 'stop': 'now'}, {'new_layout': True, 'start': 0, 'stop': 'now'},
    {'new_layout': True, 'start': 0, 'start_over': True}, {'start_over': True},
    {'start_over': True, 'start': 'resume'}, {'readers': 2, 'runner': 'PrismRunner', 'open_job_port': True},
    {'runner': 'PrismRunner'}, {'open_job_port': True},
    {'no_backup': True, 'backup_output': '/b'}, {'s3_disable_ssl': True}, {'runner': 'DataflowRunner'},
    {'errors_output': '/lake/events'}, {'backup_output': '/lake/manifests/b'},
    {'runner': 'DataflowRunner', 'output': 's3://lake', 'backup_output': '/b'},
    {'s3_kms_key_id': 'x', 'output': 's3://lake'}, {'s3_sse': 'AES256', 's3_kms_key_id': 'x', 'output': 's3://lake'},
    {'s3_sse': 'aws:kms'}])
def test_contradictory_options_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(OptionRefused):
        check_together(argparse.Namespace(**{**COMPATIBLE, **values}))
