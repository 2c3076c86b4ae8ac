"""The worst known records, one of each kind, on a real Kinesis server: the whole job takes them within 2 GiB."""
from __future__ import annotations

import base64
import collections
import pathlib
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

from pipeline.local.servers import LocalAws
from tests.integration.destinations import Folder
from tests.integration.jobs import Jobs, finish
from tests.kinesis.aggregates import field, number, sealed

pytestmark = pytest.mark.timeout(300)
KIB, MIB = 1 << 10, 1 << 20
LIMIT_MIB = 2048


def _aggregate(key: bytes, data: bytes, count: int) -> bytes:
    return sealed(field(1, key) + field(3, number(1, 0) + field(3, data)) * count)


def _bomb(key: int, members: int) -> bytes:
    return b'{"%s":[%s]}' % (b'k' * key, b','.join([b'0'] * members))


#: Each within what Kinesis takes by default: 1 MiB, its partition key included.
WORST = {
    'long keys and broken records, 184 KB': _aggregate(b'k' * 92_000, b'{', 13_000),
    'long keys and broken records, 135 KB': _aggregate(b'k' * 67_000, b'{', 9700),
    'broken records of 7 bytes': _aggregate(b'k', b'{', 148_000),
    'as many with the longest key': _aggregate(b'\x01' * 256, b'{', 148_000),
    'records of 8 bytes': _aggregate(b'k', b'{}', 129_000),
    'one bomb': _bomb(1000, MIB // 2 - 1000),
    'a bomb that fits': _bomb(1000, 15_000) + b' ' * (MIB - 40_000),
    'bombs': _bomb(1000, 8000) * 60,
    'a bomb, then tiny documents': _bomb(1000, 5000) + b'{}' * (126_301),
    'documents of 65 levels': (b'{"":' + b'[' * 64 + b']' * 64 + b'}') * 7800,
    'documents of 2,000 levels': (b'{"":' + b'[' * 2000 + b']' * 2000 + b'}') * 260,
    'keys of 1,000 bytes': b'{"%s":0}' % (b'k' * 1000) * 1030,
    'keys of 1,025 bytes': b'{"%s":0}' % (b'k' * 1025) * 1010,
    'one key of 1,000 bytes over many members': _bomb(1000, 16_500),
    'tiny documents': b'{}' * (MIB // 2 - 100),
    'tiny documents, the last cut off': b'{}' * (MIB // 2 - 100) + b'{"a',
    'quotes': b'{"a":' + b'"' * (MIB - 200),
    'binary': bytes(range(256)) * 4090,
}


class Run:
    """What one bounded run over these records wrote, and the peak of resident memory of all its processes together."""

    def __init__(self, jobs: Jobs, job: subprocess.Popen[str]) -> None:
        self.jobs, self.peak_mib = jobs, 0
        while job.poll() is None:
            self.peak_mib = max(self.peak_mib, _resident_mib(job.pid))
            time.sleep(0.1)
        self.printed = finish(job)
        self.manifests = list(jobs.manifests('job').values())

    def counted(self, name: str) -> int:
        return sum(int(manifest['counts'][name]) for manifest in self.manifests)


@pytest.fixture(scope='module')
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    with LocalAws() as aws:
        aws.create_stream('hostile', 2)
        aws.put_records('hostile', WORST.items())
        time.sleep(1.1)  # past the window of the last put
        jobs = Jobs(aws.endpoint, ['hostile'], Folder(tmp_path_factory.mktemp('hostile')))
        yield Run(jobs, jobs.start('job', '--start', 'earliest', '--stop', 'now'))


def test_every_record_is_committed_and_in_the_backup(run: Run) -> None:
    assert run.counted('records') == len(WORST)
    backup = {line['partitionKey']: base64.b64decode(line['data']) for line in run.jobs.lines('job', 'backup/')}
    assert backup == WORST


def test_the_processes_of_the_job_stay_within_two_gibibytes(run: Run) -> None:
    print(f'peak of the whole job: {run.peak_mib} MiB for {sum(map(len, WORST.values())) / MIB:.1f} MiB of records')
    assert 0 < run.peak_mib < LIMIT_MIB


def test_every_document_is_a_line_or_stands_in_an_error_line(run: Run) -> None:
    assert run.counted('documents') == run.counted('lines') + run.counted('document_errors')
    errors = collections.Counter(line['errorCode'] for line in run.jobs.lines('job', 'errors/'))
    counted = [collections.Counter[str](manifest['counts']['errors']) for manifest in run.manifests]
    assert errors == sum(counted, collections.Counter())
    assert errors.total() < 1000


def test_the_error_lines_take_a_few_times_the_bytes_of_the_records(run: Run) -> None:
    """A record of the stream becomes at most one line for what ends it, and a hundred for other documents."""
    written = collections.Counter[str]()
    for line in run.jobs.lines('job', 'errors/'):
        written[_name(line)] += len(line['rawData']) + 512

    print({name: f'{written[name] / len(WORST[name]):.2f} x' for name in sorted(written)})
    assert all(size < 2 * len(WORST[name]) for name, size in written.items())


def _name(line: dict[str, Any]) -> str:
    assert line['partitionKey'] in WORST, 'a record within an aggregate has no error line of its own here'
    return str(line['partitionKey'])


def _resident_mib(session: int) -> int:
    """Return the resident memory of all processes in a session, in MiB."""
    pages = 0
    for folder in pathlib.Path('/proc').glob('[0-9]*'):
        try:
            fields = (folder / 'stat').read_text().rpartition(')')[2].split()
            pages += int((folder / 'statm').read_text().split()[1]) if int(fields[3]) == session else 0
        except (FileNotFoundError, ProcessLookupError):
            continue
    return pages * 4096 // MIB
