"""A stream and a bucket on servers that really listen, and jobs run by their real command line."""
from __future__ import annotations

import base64
import gzip
import json
import pathlib
import random
import shutil
import subprocess
import sys
import time
from typing import Any

import pytest

from pipeline.local.servers import LocalAws, Put, demo_environment
from pipeline.values import iso_ms

ROOT = pathlib.Path(__file__).parents[2]
FLUSH_MS = 1000
PLATFORMS = ('ios', 'android', 'Web', 'smart-fridge', 'Über OS', '', None)


def record_of(number: int, documents: int, rng: random.Random) -> bytes:
    """Make a record of glued documents; some end malformed."""
    parts = [json.dumps({
        'eventName': rng.choice(['Install', 'Purchase']), 'platform': rng.choice(PLATFORMS), 'number': f'{number}.{at}',
        'eventTime': f'2026-11-{rng.choice((20, 24))} {rng.choice((0, 23)):02d}:10:00', 'App Version': '1.2',
        'event_value': json.dumps({'price': rng.random(), 'items': [{'id': rng.randint(0, 9)}]})})
        for at in range(documents)]
    tail = rng.choice(['', '', '', '', '{"cut":', '[1]', 'null', '{"a":NaN}']) if rng.random() < 0.02 else ''
    return (rng.choice(['', '\n', ' ']).join(parts) + tail).encode()


class Lake:
    """One stream and one bucket of LocalAws, and what was put."""

    def __init__(self, aws: LocalAws, stream: str, shards: int) -> None:
        self.aws, self.stream = aws, stream
        aws.create_stream(stream, shards)
        aws.create_bucket(stream)
        self.puts: list[Put] = []

    def fill(self, records: int, documents: int, windows: int, seed: int) -> None:
        """Put records so that they arrive over at least `windows` flush windows of a second."""
        rng = random.Random(seed)
        each = records // (windows + 1)
        for batch in range(windows + 1):
            began = time.monotonic()
            batch_of = [(f'key-{rng.randint(0, 999)}', record_of(batch * each + at, documents, rng))
                        for at in range(each)]
            self.puts += self.aws.put_records(self.stream, batch_of)
            time.sleep(max(0.0, FLUSH_MS / 1000 - (time.monotonic() - began)))

    def command(self, prefix: str, *options: str) -> list[str]:
        """Give the command line of a job that reads the stream and writes under that prefix."""
        return [sys.executable, '-m', 'pipeline', '--stream', self.stream, '--output', f's3://{self.stream}/{prefix}',
                '--flush_interval_s', '1', '--slack_s', '1', '--kinesis_endpoint_url', self.aws.endpoint,
                '--s3_endpoint_url', self.aws.endpoint, *options]

    def start(self, prefix: str, *options: str) -> subprocess.Popen[str]:
        """Start a job."""
        return subprocess.Popen(self.command(prefix, *options), cwd=ROOT, env=demo_environment(), text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def run(self, prefix: str, *options: str, code: int = 0) -> str:
        """Run a job to its end; gives what it printed."""
        job = self.start(prefix, *options)
        out, err = job.communicate(timeout=240)
        assert job.returncode == code, (job.returncode, out, err)
        return out + err

    def objects(self, prefix: str) -> dict[str, str]:
        """Give the ETag of each object under events/, errors/ and backup/, by key below the prefix."""
        kinds = ('events/', 'errors/', 'backup/')
        return {key: tag for key, tag in self._listed(prefix).items() if key.startswith(kinds)}

    def manifests(self, prefix: str) -> dict[str, Any]:
        """Give the manifests without their positions."""
        found = {key: json.loads(self.get(prefix, key)) for key in self._listed(prefix) if key.startswith('manifests/')}
        return {key: {name: value for name, value in manifest.items() if name != 'positions'}
                for key, manifest in found.items()}

    def get(self, prefix: str, key: str) -> bytes:
        """Read an object."""
        body: bytes = self.aws.s3.get_object(Bucket=self.stream, Key=f'{prefix}/{key}')['Body'].read()
        return body

    def lines(self, prefix: str, kind: str) -> list[Any]:
        """Give every line under events/, errors/ or backup/, decoded."""
        return [json.loads(line) for key in self.objects(prefix) if key.startswith(kind)
                for line in gzip.decompress(self.get(prefix, key)).splitlines()]

    def backup(self, prefix: str) -> dict[tuple[str, str], bytes]:
        """Give the records in the backup, by shard and sequence number; fails where one is there twice."""
        lines = self.lines(prefix, 'backup/')
        found = {(line['shardId'], line['sequenceNumber']): base64.b64decode(line['data']) for line in lines}
        assert len(found) == len(lines)
        return found

    def _listed(self, prefix: str) -> dict[str, str]:
        pages = self.aws.s3.get_paginator('list_objects_v2').paginate(Bucket=self.stream, Prefix=f'{prefix}/')
        return {item['Key'][len(prefix) + 1:]: item['ETag'] for page in pages for item in page.get('Contents', ())}


def windows_of(manifests: dict[str, Any]) -> tuple[str, str]:
    """Give --start and --stop of the stretch that these manifests cover."""
    ends = sorted(manifest['window'] for manifest in manifests.values())
    last = iso_ms(ends[-1])
    assert last is not None
    return ends[0], time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime((last + FLUSH_MS) / 1000))


def needs_prism() -> None:
    """Skip where Prism is not installed: it is built with Go."""
    if not ((pathlib.Path(sys.executable).parent / 'prism').exists() or shutil.which('prism')):
        pytest.skip('needs Prism: install Go, then ./run.sh test builds it')
