"""S3 fails while the job writes: the same objects if it recovers, one clear line if it does not.

A seeded third of the matrix; MMP_ALL=1 runs all of it. The job backs off by a clock of the test.
"""
from __future__ import annotations

import itertools
import json
import os
import pathlib
import random
import re
import time
import types
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from botocore.config import Config

from pipeline import aws
from pipeline.local.servers import LocalAws
from pipeline.main import main
from pipeline.stores import s3
from tests.integration.external_servers import client, proxy, seaweedfs
from tests.integration.lake import Lake, windows_of

pytestmark = pytest.mark.timeout(300)
ADDON = pathlib.Path(__file__).with_name('spoil_s3.py')
SEED = 7
FAULTS = ('slow-down', 'error-500', 'reset-before', 'reset-after', 'time-out')
TARGETS = {
    'events': 'PUT .*/events/', 'errors': 'PUT .*/errors/', 'backup': 'PUT .*/backup/', 'manifest': 'PUT .*/manifests/',
    'layout': 'GET .*[?&]prefix=.*manifests/', 'resume': '(GET|PUT) .*/resume.json|GET .*/manifests/'}
TIMES = {'once': 1, 'five times': 5, 'for a minute': -1, 'forever': -1}
CODES = {'slow-down': 'SlowDown', 'error-500': 'InternalError', 'reset-before': 'ConnectionClosedError',
         'reset-after': 'ConnectionClosedError', 'time-out': 'ReadTimeoutError'}
MINUTE_S = 60.0
CELLS = list(itertools.product(FAULTS, TARGETS, TIMES))
CHOSEN = CELLS if os.environ.get('MMP_ALL') else sorted(random.Random(SEED).sample(CELLS, len(CELLS) // 3))


class Clock:
    """A clock that moves only while someone sleeps. `at` sets a call to make at a time."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._at_s, self._call = float('inf'), None

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        if self._call and self.now_s >= self._at_s:
            call, self._call = self._call, None
            call()

    def at(self, seconds: float, call: Any) -> None:
        self._at_s, self._call = seconds, call


class Site(NamedTuple):
    """A stream, an S3 behind a proxy, and what one undisturbed run wrote: to `whole`, and half of it to `half`."""

    lake: Lake
    s3: Any
    endpoint: str
    control: pathlib.Path
    spoiled: pathlib.Path
    stop: str

    def spoil(self, fault: str = '', pattern: str = '', times: int = 0) -> None:
        """Set what the proxy spoils from now on: nothing without arguments."""
        new = {'cell': f'{time.monotonic_ns()}', 'pattern': pattern, 'fault': fault, 'times': times}
        partial = self.control.with_suffix('.part')
        partial.write_text(json.dumps(new))
        partial.replace(self.control)

    def run(self, prefix: str, *options: str) -> int:
        """Run the job in this process, by its command line."""
        return main(['--stream', self.lake.stream, '--output', f's3://lake/{prefix}', '--flush_interval_s', '1',
                     '--slack_s', '1', '--kinesis_endpoint_url', self.lake.aws.endpoint, '--s3_endpoint_url',
                     self.endpoint, '--stop', self.stop, *options])

    def tags(self, prefix: str) -> dict[str, str]:
        """Return the ETag of every object under a prefix, read from S3 without the proxy."""
        pages = self.s3.get_paginator('list_objects_v2').paginate(Bucket='lake', Prefix=f'{prefix}/')
        return {item['Key'].removeprefix(f'{prefix}/'): item['ETag'] for page in pages
                for item in page.get('Contents', ())}

    def copy(self, source: str, target: str) -> None:
        """Copy all objects of a prefix."""
        for key in self.tags(source):
            self.s3.copy_object(Bucket='lake', Key=f'{target}/{key}', CopySource=f'lake/{source}/{key}')

    def json(self, prefix: str, key: str) -> Any:
        """Read an object as JSON."""
        return json.loads(self.s3.get_object(Bucket='lake', Key=f'{prefix}/{key}')['Body'].read())

    def written(self, prefix: str) -> dict[str, str]:
        """Return what must be equal: ETags of objects, and manifests without positions."""
        return {key: json.dumps({**self.json(prefix, key), 'positions': None}) if key.startswith('manifests/') else tag
                for key, tag in self.tags(prefix).items() if key != 'resume.json'}

    def hits(self) -> list[str]:
        """Return the requests that were spoiled since `spoil`."""
        cell = json.loads(self.control.read_text())['cell']
        return [line for line in self.spoiled.read_text().splitlines() if line.startswith(cell)]


@pytest.fixture(scope='module')
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp('faults')
    control, spoiled = folder / 'control.json', folder / 'spoiled.txt'
    with LocalAws() as aws, seaweedfs(folder) as s3_url:
        direct = client('s3', s3_url)
        direct.create_bucket(Bucket='lake')
        lake = Lake(aws, 'events', 2)
        site = Site(lake, direct, s3_url, control, spoiled, 'now')
        site.spoil()
        for window in range(3):
            aws.put_records('events', [(str(at), _record(window, at)) for at in range(4)])
            time.sleep(1)  # past the window of these
        assert site.run('whole', '--start', 'earliest') == 0
        manifests = {key: site.json('whole', key) for key in site.tags('whole') if key.startswith('manifests/')}
        busy = [manifest['window'] for _, manifest in sorted(manifests.items()) if manifest['counts']['records']]
        assert site._replace(stop=busy[1]).run('half', '--start', 'earliest') == 0
        with proxy(folder, s3_url, ADDON, S3_FAULT=str(control), S3_SPOILED=str(spoiled)) as endpoint:
            yield site._replace(endpoint=endpoint, stop=windows_of(manifests)[1])


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Let the job back off by a clock of the test."""
    clock = Clock()
    monkeypatch.setattr(aws, 'time', types.SimpleNamespace(monotonic=clock.monotonic, sleep=clock.sleep))
    return clock


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the job wait a second for an answer, not a minute."""
    monkeypatch.setattr(s3, 'CONFIG', s3.CONFIG.merge(Config(read_timeout=1)))
    s3._s3_client.cache_clear()
    yield
    s3._s3_client.cache_clear()


@pytest.mark.parametrize(('fault', 'target', 'times'), CHOSEN)
def test_s3_that_fails_changes_no_byte(site: Site, clock: Clock, impatient: None, capsys: pytest.CaptureFixture[str],
                                       fault: str, target: str, times: str) -> None:
    prefix = f'{fault}-{target}-{times}'.replace(' ', '-')
    site.copy('half', prefix)
    site.spoil(fault, TARGETS[target], TIMES[times])
    clock.at(MINUTE_S if times == 'for a minute' else float('inf'), site.spoil)

    code = site.run(prefix, '--start', 'resume')

    hits = site.hits()
    errors = [line for line in capsys.readouterr().err.splitlines() if not re.search(' (INFO|WARNING) ', line)]
    site.spoil()
    if times == 'forever':
        assert code == (2 if target in ('layout', 'resume') else 1)  # 2: nothing was written yet
        assert len(errors) == 1
        assert re.fullmatch(f'pipeline: error: S3 (PutObject|GetObject|ListObjectsV2) on s3://lake/{prefix}/.* '
                            rf'still fails with {CODES[fault]} after 120 s: .*go on with --start=resume.*',
                            errors[0])
        assert set(site.written(prefix).items()) <= set(site.written('whole').items())
        code = site.run(prefix, '--start', 'resume')
    else:
        assert len(hits) == TIMES[times] or times == 'for a minute' and clock.now_s >= MINUTE_S
    assert code == 0
    assert site.written(prefix) == site.written('whole')


@pytest.mark.parametrize(('fault', 'requests', 'line'), [
    ('denied', 'PUT', '--output: S3 PutObject on s3://lake/refused/.write-check failed with AccessDenied: grant s3:'),
    ('no-bucket', '/nothing/',
     '--errors_output: S3 PutObject on s3://nothing/errors/.write-check failed with NoSuchBucket: create the bucket'),
    ('moved', '.*',
     '--output: S3 PutObject on s3://lake/refused/.write-check failed with PermanentRedirect: the bucket is in an'),
    ('other-region', '.*', '--output: S3 PutObject on s3://lake/refused/.write-check failed with '
     'AuthorizationHeaderMalformed: the bucket is in another region'),
])
def test_a_bucket_that_refuses_is_told_before_the_stream_is_read(
        site: Site, capsys: pytest.CaptureFixture[str], fault: str, requests: str, line: str) -> None:
    site.spoil(fault, requests, -1)

    code = site.run('refused', '--start', 'earliest', '--errors_output', 's3://nothing/errors')

    site.spoil()
    shown = capsys.readouterr()
    assert (code, shown.out) == (2, '')
    assert shown.err.startswith(f'pipeline: error: {line}')
    assert len(shown.err.splitlines()) == 1
    assert site.tags('refused') == {}


def test_a_resume_that_cannot_be_read_is_never_taken_for_none(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.spoil('denied', 'GET .*/resume.json', -1)

    code = site.run('unread', '--start', 'earliest')

    site.spoil()
    assert code == 2
    assert capsys.readouterr().err.startswith(
        'pipeline: error: S3 GetObject on s3://lake/unread/resume.json failed with AccessDenied: grant s3:ListBucket')
    assert site.tags('unread') == {}


def _record(window: int, at: int) -> bytes:
    event = {'platform': 'ios', 'number': f'{window}.{at}', 'eventTime': '2026-11-20 10:00:00'}
    return json.dumps(event).encode() + (b'{' if at == 3 else b'')
