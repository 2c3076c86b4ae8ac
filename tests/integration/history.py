"""A stream that is written, split and merged while jobs read it, and a comparison of what two jobs wrote."""
from __future__ import annotations

import gzip
import itertools
import json
import random
import sys
import time
from collections.abc import Callable
from typing import Any

from pipeline.local.servers import put_records
from pipeline.options.types import iso_ms
from tests.integration.external_servers import client
from tests.integration.lake import record_of
from tests.integration.stream import Stream

FLUSH_MS = 5000
SLACK_S = 5
BUCKET, STREAM, SHARDS = 'lake', 'events', 4
DOCUMENTS_A_RECORD, RECORDS_A_CALL = 50, 10
KINDS = ('events/', 'errors/', 'backup/')


class History:
    """One stream with a seed. Once it is written, `end` is the first window start after its last record."""

    def __init__(self, kinesis: str, s3: str, seed: int) -> None:
        self._kinesis_url, self._s3_url, self.seed = kinesis, s3, seed
        self.kinesis, self.s3 = client('kinesis', kinesis), client('s3', s3)
        self.s3.create_bucket(Bucket=BUCKET)
        self._stream = Stream(self.kinesis, STREAM, SHARDS)
        self._stream.put_to_all()  # kinesalite does not answer who reads an empty shard from a time on
        self.end = ''

    def write(self, documents: int, seconds: float, wanted: Callable[[], bool] = lambda: False) -> int:
        """Put documents over about that many seconds, and go on at that rate while `wanted`. Return their number.

        In each third of that time, a shard is split or two are merged, in turns.
        """
        rng, calls = random.Random(self.seed), documents // (DOCUMENTS_A_RECORD * RECORDS_A_CALL)
        began, call = time.monotonic(), 0
        while call < calls or wanted():
            put_records(self.kinesis, STREAM, [
                (f'key-{rng.randint(0, 999)}', record_of(call * RECORDS_A_CALL + at, DOCUMENTS_A_RECORD, rng))
                for at in range(RECORDS_A_CALL)])
            third, left = divmod(call, calls // 3)
            if left == calls // 6 and third % 2 == 0:
                self._stream.split(0)
            elif left == calls // 6:
                self._stream.merge(len(self._stream.open_shards()) - 2)
            call += 1
            time.sleep(max(0.0, began + seconds * call / calls - time.monotonic()))
        self.end = time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(time.time() // 5 * 5 + FLUSH_MS // 1000))
        return call * RECORDS_A_CALL * DOCUMENTS_A_RECORD

    def command(self, prefix: str, *options: str) -> list[str]:
        """Return the command line of a job that writes under that prefix."""
        return [sys.executable, '-m', 'pipeline', '--stream', STREAM, '--output', f's3://{BUCKET}/{prefix}',
                '--flush_interval_s', str(FLUSH_MS // 1000), '--slack_s', str(SLACK_S),
                '--kinesis_endpoint_url', self._kinesis_url, '--s3_endpoint_url', self._s3_url, *options,
                *(['--open_job_port'] if 'PrismRunner' in options else [])]

    def listed(self, prefix: str, kind: str = '') -> dict[str, Any]:
        """Return what S3 lists for each object under a prefix, by key below it."""
        pages = self.s3.get_paginator('list_objects_v2').paginate(Bucket=BUCKET, Prefix=f'{prefix}/{kind}')
        return {item['Key'].removeprefix(f'{prefix}/'): item for page in pages for item in page.get('Contents', ())}

    def get(self, prefix: str, key: str) -> bytes:
        """Read an object."""
        body: bytes = self.s3.get_object(Bucket=BUCKET, Key=f'{prefix}/{key}')['Body'].read()
        return body

    def manifests(self, prefix: str) -> dict[str, Any]:
        """Return the manifests of windows before the end, without their positions."""
        found = {key: json.loads(self.get(prefix, key)) for key in self.listed(prefix, 'manifests/')}
        return {key: {name: value for name, value in manifest.items() if name != 'positions'}
                for key, manifest in found.items() if not self.end or manifest['window'] < self.end}

    def complete(self, prefix: str) -> bool:
        """Return whether every window up to the end is committed."""
        if not (self.end and 'resume.json' in self.listed(prefix, 'resume.json')):
            return False
        done: bool = json.loads(self.get(prefix, 'resume.json'))['end_ms'] >= (iso_ms(self.end) or 0)
        return done

    def difference(self, prefix: str, whole: str) -> str | None:
        """Return the first difference between a prefix and the undisturbed one (seed, object, line), or None."""
        ours, theirs = ({key: item['ETag'] for key, item in self.listed(name).items() if key.startswith(KINDS)}
                        for name in (prefix, whole))
        for key in sorted(ours.keys() | theirs.keys()):
            if ours.get(key) != theirs.get(key):
                return f'seed {self.seed}, {prefix}/{key}: {self._first_line(prefix, whole, key)}'
        ours, theirs = self.manifests(prefix), self.manifests(whole)
        for key in sorted(ours.keys() | theirs.keys()):
            if ours.get(key) != theirs.get(key):
                return f'seed {self.seed}, {prefix}/{key}: {ours.get(key)} is not {theirs.get(key)}'
        return None if theirs else f'seed {self.seed}, {whole}: nothing is committed'

    def _first_line(self, prefix: str, whole: str, key: str) -> str:
        lines = [gzip.decompress(self.get(name, key)).splitlines() if key in self.listed(name, key) else []
                 for name in (prefix, whole)]
        for number, (ours, theirs) in enumerate(itertools.zip_longest(*lines), 1):
            if ours != theirs:
                return f'line {number} is {ours!r:.200}, in {whole} it is {theirs!r:.200}'
        return 'the same lines, compressed differently'


def newest(history: History, prefix: str) -> object:
    """Return something that changes whenever a job writes an object, also if it writes the same again."""
    return {key: (item['LastModified'], item['ETag']) for kind in ('backup/', 'manifests/')
            for key, item in history.listed(prefix, kind).items()}
