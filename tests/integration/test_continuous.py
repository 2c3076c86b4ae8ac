"""A run without --stop: it goes on until it is ended, leaves nothing behind, and the next one goes on from there."""
from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest

from pipeline.local.servers import LocalAws
from tests.integration.lake import Lake, needs_prism, windows_of

pytestmark = pytest.mark.timeout(300)
ENDED = 'pipeline: ended; what is committed stays, go on with --start=resume\n'


@pytest.fixture(scope='module')
def lake() -> Iterator[Lake]:
    with LocalAws() as aws:
        lake = Lake(aws, 'events', 2)
        lake.fill(300, 3, 3, seed=5)
        yield lake


def committed(lake: Lake, prefix: str) -> int:
    return len(lake.manifests(prefix))


def wait_until(done: Callable[[], bool], job: subprocess.Popen[str]) -> None:
    """Wait for what a job is to bring about."""
    deadline = time.monotonic() + 120
    while not done():
        assert job.poll() is None and time.monotonic() < deadline, job.communicate()
        time.sleep(0.05)


def children_of(pid: int) -> set[int]:
    """Give the processes below that one."""
    found: set[int] = set()
    for stat in pathlib.Path('/proc').glob('[0-9]*/stat'):
        try:
            fields = stat.read_text().rpartition(')')[2].split()
        except OSError:  # it has ended meanwhile
            continue
        if int(fields[1]) == pid:
            child = int(stat.parent.name)
            found |= {child} | children_of(child)
    return found


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return pathlib.Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0] != 'Z'


@pytest.mark.parametrize('runner', ['DirectRunner', 'PrismRunner'])
@pytest.mark.parametrize('numbers', [[signal.SIGINT], [signal.SIGTERM]], ids=['Ctrl-C', 'SIGTERM'])
def test_a_run_that_is_ended_leaves_nothing_and_the_next_goes_on(lake: Lake, runner: str, numbers: list[int]) -> None:
    if runner == 'PrismRunner':
        needs_prism()
    prefix = f'{runner}-{numbers[0]}'
    for runs in (1, 2):
        before = committed(lake, prefix)
        job = lake.start(prefix, '--runner', runner)
        wait_until(lambda before=before: committed(lake, prefix) > before + 1, job)  # type: ignore[misc]
        below = children_of(job.pid)

        for number in numbers:
            job.send_signal(number)
        _, err = job.communicate(timeout=60)

        assert (job.returncode, err) == (0, ENDED)
        assert [pid for pid in below if is_running(pid)] == []
        assert (runner == 'PrismRunner') == bool(below), runs

    start, stop = windows_of(lake.manifests(prefix))
    lake.run(f'{prefix}-bounded', '--start', start, '--stop', stop)

    assert lake.objects(prefix) == lake.objects(f'{prefix}-bounded')
    assert lake.manifests(prefix) == lake.manifests(f'{prefix}-bounded')


def test_an_impatient_ctrl_c_ends_a_run_too(lake: Lake) -> None:
    job = lake.start('impatient', '--start', 'latest')
    wait_until(lambda: committed(lake, 'impatient') > 0, job)

    for _ in range(3):
        if job.poll() is None:
            job.send_signal(signal.SIGINT)
    _, err = job.communicate(timeout=60)

    assert job.returncode in (0, -signal.SIGINT)
    assert 'Traceback' not in err


def test_a_bounded_run_that_is_ended_says_so_by_its_exit_code(lake: Lake) -> None:
    job = lake.start('future', '--start', 'latest', '--stop', '2999-01-01T00:00:00Z')
    wait_until(lambda: committed(lake, 'future') > 0, job)

    job.send_signal(signal.SIGTERM)
    _, err = job.communicate(timeout=60)

    assert (job.returncode, err) == (130, ENDED)
