"""The memory of a job is bounded by the bytes in flight, not by how much it reads: with records of 1 MiB."""
from __future__ import annotations

import json
import pathlib
import random
import subprocess
import time

import pytest

from pipeline.run.execute import SLICE_BYTES
from pipeline.windows import align_down, iso
from tests.integration.destinations import Folder
from tests.integration.jobs import FLUSH_MS, Jobs, finish
from tests.integration.lake import needs_prism
from tests.integration.stub import Stub, StubRecord, serve

pytestmark = pytest.mark.timeout(900)
MIB = 1 << 20
SHARDS, RECORDS = 2, 9  # a page of nearly 10 MiB a shard and window
#: Hexadecimal digits of noise: chunks are compressed for the shuffle, which halves this at best.
EVENT = json.dumps({'blob': random.Random(1).randbytes(MIB // 2 - 6).hex()}).encode()
WINDOW_BYTES = SHARDS * RECORDS * MIB


# Prism does not hold its readers back if what follows them is slow for a while: its peak differs more between runs.
@pytest.mark.parametrize(('runner', 'noise'), [('DirectRunner', 1.5), ('PrismRunner', 2)])
def test_reading_three_times_as_much_takes_no_more_memory(tmp_path: pathlib.Path, runner: str, noise: float) -> None:
    if runner == 'PrismRunner':
        needs_prism()
    windows = SLICE_BYTES // WINDOW_BYTES + 1

    once = _peak_mib(tmp_path / 'once', runner, windows)
    threefold = _peak_mib(tmp_path / 'threefold', runner, 3 * windows)

    print(f'{runner}, peak MiB: {once} for {windows * WINDOW_BYTES // MIB} MiB, {threefold} for three times as much')
    assert sum(threefold.values()) < noise * sum(once.values())


def _peak_mib(folder: pathlib.Path, runner: str, windows: int) -> dict[str, int]:
    """Read windows of 18 MiB. Return the peak of resident memory of the job's processes in MiB, by name."""
    start_ms = align_down(time.time_ns() // 1_000_000 - 3_600_000, FLUSH_MS)

    def page(shard: int, place: int) -> list[StubRecord]:
        return [StubRecord(start_ms + place * FLUSH_MS + at, EVENT) for at in range(RECORDS)]

    with serve(Stub(SHARDS, windows, page, start_ms)) as endpoint:
        jobs = Jobs(endpoint, ['events'], Folder(folder))
        job = jobs.start('job', '--start', 'earliest', '--stop', iso(start_ms + windows * FLUSH_MS),
                         '--runner', runner)
        peaks: dict[str, int] = {}
        while job.poll() is None:
            peaks.update(_peaks(job))
            time.sleep(0.2)
        finish(job)
    counts = [manifest['counts']['records'] for manifest in jobs.manifests('job').values()]
    assert counts == [SHARDS * RECORDS] * windows
    return peaks


def _peaks(job: subprocess.Popen[str]) -> dict[str, int]:
    """Return the highest resident memory so far, in MiB, of the processes in the job's session, by name."""
    found = {}
    for folder in pathlib.Path('/proc').glob('[0-9]*'):
        try:
            stat, status = (folder / 'stat').read_text(), (folder / 'status').read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        name, _, fields = stat.partition('(')[2].rpartition(')')
        if int(fields.split()[3]) == job.pid and 'VmHWM' in status:
            found[name] = int(status.split('VmHWM:')[1].split()[0]) // 1024
    return found
