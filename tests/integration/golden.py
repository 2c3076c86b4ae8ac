"""What the whole job writes for the records in tests/data, without what depends on their arrival.

`python -m tests.integration.golden` prints it. Its output, checked by hand, is tests/data/golden.json.
"""
from __future__ import annotations

import base64
import collections
import gzip
import hashlib
import json
import pathlib
import re
import sys
import time
from typing import Any

from pipeline.local.servers import LocalAws
from tests.integration.jobs import ROOT
from tests.integration.lake import Lake

DATA = ROOT / 'tests' / 'data'
ARRIVAL = {'arrivalTimestamp', 'attemptEndingTimestamp', 'sequenceNumber', 'approximateArrivalTimestamp'}
NAME = re.compile(r'/\d{8}T\d{6}Z-')
LONG = 500


def golden_records() -> list[tuple[str, bytes]]:
    """Return the records, each with a partition key that names it."""
    malformed = [json.loads(line) for line in _lines('malformed.ndjson')]
    return [('seed', (DATA / 'seed_before.txt').read_bytes()),
            *((row['name'], base64.b64decode(row['record_b64'])) for row in malformed),
            *((f'odd {number}', line.encode()) for number, line in enumerate(_lines('odd_events.ndjson'), 1)),
            # Its lines exceed 16 times its bytes and 64 KiB only when they are written: 1e15 takes 18 bytes then.
            ('large', b'{"n":"small"}{"%s":[%s]}{"n":"late"}' % (b'k' * 70, b','.join([b'1e15'] * 5000)))]


def golden_lake(aws: LocalAws) -> dict[str, list[Any]]:
    """Put the records on a stream and run the job by its command line. Return the lines by path."""
    lake = Lake(aws, 'golden', 1)
    lake.puts = aws.put_records('golden', golden_records())
    time.sleep(5.1)  # past the window of the last put
    lake.run('lake', '--start', 'earliest', '--stop', 'now', '--flush_interval_s', '5',
             '--max_event_age_days', 'none')
    return normalised(lake)


def normalised(lake: Lake) -> dict[str, list[Any]]:
    """Return the lines by path; the name of the window and the hour of arrival become words."""
    hours = {path.split('/', 1)[1].rsplit('/', 1)[0] for path in lake.objects('lake') if path.startswith('backup/')}
    found = collections.defaultdict(list)
    for path in sorted(lake.objects('lake'), key=lambda path: path.rsplit('/', 1)[-1]):
        plain = NAME.sub('/WINDOW-', path)
        for hour in hours:
            plain = plain.replace(hour, 'HOUR')
        found[plain] += map(_plain, gzip.decompress(lake.get('lake', path)).decode().split('\n')[:-1])
    return dict(sorted(found.items()))


def _plain(line: str) -> Any:
    value = json.loads(line)
    if 'shardId' in value:
        line = json.dumps({name: 'ARRIVAL' if name in ARRIVAL else item for name, item in value.items()})
    return line if len(line) <= LONG else f'{line[:60]} ... {len(line)} {hashlib.sha256(line.encode()).hexdigest()}'


def _lines(name: str) -> list[str]:
    return pathlib.Path(DATA, name).read_text(encoding='utf-8').split('\n')[:-1]


if __name__ == '__main__':
    with LocalAws() as local:
        json.dump(golden_lake(local), sys.stdout, indent=1, ensure_ascii=False)
        print()
