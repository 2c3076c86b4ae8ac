"""A stream and a bucket on real local servers, and jobs run by their real command line."""
from __future__ import annotations

import contextlib
import json
import pathlib
import random
import shutil
import sys
import time
from collections.abc import Iterator

import pytest

from pipeline.local.servers import LocalAws, Put
from tests.integration.destinations import Bucket
from tests.integration.jobs import FLUSH_MS, Jobs, windows_of

__all__ = ['Lake', 'needs_prism', 'record_of', 'windows_of']

PLATFORMS = ('ios', 'android', 'Web', 'smart-fridge', 'Über OS', '', None)


def record_of(number: int, documents: int, rng: random.Random) -> bytes:
    """Return a record of concatenated documents; some end malformed."""
    parts = [json.dumps({
        'eventName': rng.choice(['Install', 'Purchase']), 'platform': rng.choice(PLATFORMS), 'number': f'{number}.{at}',
        'eventTime': f'2026-11-{rng.choice((20, 24))} {rng.choice((0, 23)):02d}:10:00', 'App Version': '1.2',
        'event_value': json.dumps({'price': rng.random(), 'items': [{'id': rng.randint(0, 9)}]})})
        for at in range(documents)]
    tail = rng.choice(['', '', '', '', '{"cut":', '[1]', 'null', '{"a":NaN}']) if rng.random() < 0.02 else ''
    return (rng.choice(['', '\n', ' ']).join(parts) + tail).encode()


class Lake(Jobs):
    """One stream and one bucket of LocalAws; `puts` are the records that were put."""

    def __init__(self, aws: LocalAws, stream: str, shards: int) -> None:
        super().__init__(aws.endpoint, [stream], Bucket(aws.s3, stream, ('--s3_endpoint_url', aws.endpoint)))
        self.aws, self.stream = aws, stream
        aws.create_stream(stream, shards)
        aws.create_bucket(stream)
        self.puts: list[Put] = []

    def fill(self, records: int, documents: int, windows: int, seed: int) -> None:
        """Put records so that they arrive in more than `windows` flush windows of a second, at two times in most."""
        rng = random.Random(seed)
        each = records // (windows + 1)
        for batch in range(windows + 1):
            pairs = [(f'key-{rng.randint(0, 999)}', record_of(batch * each + at, documents, rng)) for at in range(each)]
            time.sleep((FLUSH_MS - time.time_ns() // 1_000_000 % FLUSH_MS) / 1000)  # to the beginning of a window
            for part in (pairs[:each // 2], pairs[each // 2:]):  # all records of one call arrive in one millisecond
                self.puts += self.aws.put_records(self.stream, part)
                time.sleep(0.3)


@contextlib.contextmanager
def lake_read_once(records: int, documents: int, windows: int, seed: int) -> Iterator[Lake]:
    """Fill a stream of 4 shards and read it with one bounded run into `one`."""
    with LocalAws() as aws:
        lake = Lake(aws, 'events', 4)
        lake.fill(records, documents, windows, seed)
        time.sleep(1.1)  # past the window of the last put
        lake.run('one', '--start', 'earliest', '--stop', 'now')
        yield lake


def needs_prism() -> None:
    """Skip the test if Prism is not installed: it is built with Go."""
    if not ((pathlib.Path(sys.executable).parent / 'prism').exists() or shutil.which('prism')):
        pytest.skip('needs Prism: install Go, then ./run.sh test builds it')
