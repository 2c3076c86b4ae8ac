"""The command line as a process of its own: signals, and what the AWS SDK finds in the environment."""
from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import sys

import pytest

from pipeline.local.servers import LOOPBACK, demo_environment

ARGS = ['--stream', 'app', '--output', '/tmp/lake']


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_process_whatever_it_is_doing(number: int) -> None:
    script = ('import time, pipeline.options.beam_options, pipeline.main as program\n'
              'pipeline.options.beam_options.import_beam()\n'
              'import pipeline.run.run\n'
              'def run(options, say):\n'
              '    say("reading")\n'
              '    try:\n'
              '        for _ in range(600):\n'  # Python may miss a signal on its way into one long sleep
              '            time.sleep(0.1)\n'
              '    except BaseException:\n'
              '        raise RuntimeError("as Beam does it")\n'
              'pipeline.run.run.run = run\n'
              f'program.leave(program.main({ARGS!r}))\n')
    job = subprocess.Popen([sys.executable, '-c', script], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert job.stdout and job.stdout.readline() == 'reading\n'

    job.send_signal(number)
    out, err = job.communicate(timeout=50)

    assert (job.returncode, out, err) == (
        0, '', 'pipeline: ended; what is committed stays, go on with --start=resume\n')


def test_an_output_that_cannot_be_written_is_refused_before_kinesis_is_asked(tmp_path: pathlib.Path) -> None:
    (tmp_path / 'file').touch()
    args = ['--stream', 'app', '--output', str(tmp_path / 'lake'), '--errors_output', str(tmp_path / 'errors'),
            '--stop', 'now', '--kinesis_endpoint_url', 'http://127.0.0.1:1']
    (tmp_path / 'errors').mkdir(mode=0o500)
    if os.geteuid() == 0:  # root may write anywhere but below a file
        (tmp_path / 'errors' / '.write-check').mkdir()

    job = subprocess.run([sys.executable, '-m', 'pipeline', *args], text=True, capture_output=True)

    assert (job.returncode, job.stdout, job.stderr.count('\n')) == (2, '', 1)
    assert job.stderr.startswith(f'pipeline: error: --errors_output: cannot write {tmp_path}/errors/.write-check: ')


@pytest.mark.parametrize(('service', 'option'), [('KINESIS', ''), ('S3', '--output: ')])
def test_a_configuration_that_the_aws_sdk_refuses_is_told_in_a_line(
        tmp_path: pathlib.Path, service: str, option: str) -> None:
    output = 's3://lake' if service == 'S3' else str(tmp_path)
    environment = {**demo_environment(), f'AWS_ENDPOINT_URL_{service}': 'garbage'}
    del environment['AWS_IGNORE_CONFIGURED_ENDPOINT_URLS']

    job = subprocess.run([sys.executable, '-m', 'pipeline', '--stream', 'app', '--output', output], text=True,
                         capture_output=True, env=environment)

    assert (job.returncode, job.stdout, job.stderr.count('\n')) == (2, '', 1)
    assert job.stderr.startswith(f'pipeline: error: {option}{service.title()} ')
    assert job.stderr.endswith('failed with ValueError: check the configuration of the AWS SDK, and the credentials '
                               'that it finds; the AWS SDK says: Invalid endpoint: garbage\n')


@pytest.mark.parametrize(('output', 'name', 'words'), [
    ('s3://lake', 'AWS_WEB_IDENTITY_TOKEN_FILE', "[Errno 2] No such file or directory: '{folder}/none'"),
    ('{folder}/lake', 'AWS_WEB_IDENTITY_TOKEN_FILE', "[Errno 2] No such file or directory: '{folder}/none'"),
    ('{folder}/lake', 'credential_process', "[Errno 2] No such file or directory: '{folder}/none'"),
    ('s3://lake', 'AWS_CA_BUNDLE', '[Errno 2] No such file or directory')])
def test_credentials_that_cannot_be_had_are_refused_at_once(
        tmp_path: pathlib.Path, output: str, name: str, words: str) -> None:
    environment = demo_environment()
    if name != 'AWS_CA_BUNDLE':
        del environment['AWS_ACCESS_KEY_ID'], environment['AWS_SECRET_ACCESS_KEY']
    (tmp_path / 'config').write_text(f'[default]\n{name} = {tmp_path}/none\n')
    with contextlib.closing(socket.create_server((LOOPBACK, 0))) as server:
        endpoint = f'{"https" if name == "AWS_CA_BUNDLE" else "http"}://{LOOPBACK}:{server.getsockname()[1]}'
        job = subprocess.run(
            [sys.executable, '-m', 'pipeline', '--stream', 'app', '--output', output.format(folder=tmp_path),
             '--kinesis_endpoint_url', endpoint, '--s3_endpoint_url', endpoint],
            text=True, capture_output=True, timeout=50,
            env={**environment, name: f'{tmp_path}/none', 'AWS_ROLE_ARN': 'arn:aws:iam::123456789012:role/x',
                 'AWS_CONFIG_FILE': f'{tmp_path}/config'})

    assert (job.returncode, job.stdout, job.stderr.count('\n')) == (2, '', 1), job.stderr
    assert job.stderr.startswith('pipeline: error: ') and words.format(folder=tmp_path) in job.stderr


@pytest.mark.parametrize(('variable', 'rest'), [
    ({}, ''), ({'AWS_REGION': 'eu-west-1'}, ', not AWS_REGION, which is set')])
def test_a_region_that_nobody_names_is_asked_for_with_the_variable_that_boto3_reads(
        tmp_path: pathlib.Path, variable: dict[str, str], rest: str) -> None:
    environment = {**demo_environment(), **variable}
    del environment['AWS_DEFAULT_REGION']

    done = subprocess.run([sys.executable, '-m', 'pipeline', '--stream', 'events', '--output', str(tmp_path)],
                          env=environment, text=True, capture_output=True, timeout=50)

    assert (done.returncode, done.stdout, done.stderr) == (2, '', (
        "pipeline: error: --aws_region: must be given: no ARN in --stream names a region, nor does the AWS SDK's "
        f'configuration: boto3 reads AWS_DEFAULT_REGION and the profile{rest}\n'))
