"""A run without --stop: it goes on until it is ended and leaves no process behind; the next one continues there."""
from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
from collections.abc import Iterator

import pytest

from pipeline.local.servers import LocalAws
from tests.integration.jobs import wait_for_job
from tests.integration.lake import Lake, needs_prism, windows_of
from tests.waiting import TIMEOUT_S

pytestmark = pytest.mark.timeout(600)
RECORDS = 300
ENDED = 'pipeline: ended; what is committed stays, go on with --start=resume\n'


@pytest.fixture(scope='module')
def lake() -> Iterator[Lake]:
    with LocalAws() as aws:
        lake = Lake(aws, 'events', 2)
        lake.fill(RECORDS, 3, 3, seed=5)
        yield lake


def committed(lake: Lake, prefix: str) -> list[str]:
    """Return the keys of manifests before the end of resume.json: Prism commits later windows before earlier ones."""
    tags = lake.output.tags(prefix)
    end = json.loads(lake.get(prefix, 'resume.json'))['end'] if 'resume.json' in tags else ''
    stamp = end.replace('-', '').replace(':', '')
    return sorted(key for key in tags if key.startswith('manifests/') and key.rsplit('/', 1)[-1] < stamp)


def records(lake: Lake, prefix: str) -> int:
    """Return the number of records in the committed windows."""
    return sum(json.loads(lake.get(prefix, key))['counts']['records'] for key in committed(lake, prefix))


def started(lake: Lake, prefix: str, *options: str, windows: int = 1, total: int = 0) -> subprocess.Popen[str]:
    """Start a run, and wait until it has committed that many windows, and all runs together that many records."""
    before = len(committed(lake, prefix))
    job = lake.start(prefix, *options)
    wait_for_job(job, lambda: len(committed(lake, prefix)) >= before + windows, f'{windows} more windows')
    wait_for_job(job, lambda: records(lake, prefix) >= total, f'{total} committed records')
    return job


def ended(job: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for the end of a run. Return its exit code and stderr, without the log line of every minute."""
    _, err = job.communicate(timeout=TIMEOUT_S)
    return job.returncode, ''.join(line for line in err.splitlines(keepends=True) if ' INFO ' not in line)


def interrupt(job: subprocess.Popen[str]) -> None:
    """Press Ctrl-C: a terminal sends SIGINT to all processes of the run."""
    os.killpg(job.pid, signal.SIGINT)


def group_of(job: subprocess.Popen[str]) -> list[int]:
    """Return the process ids of a run, its own among them."""
    found = []
    for stat in pathlib.Path('/proc').glob('[0-9]*/stat'):
        try:
            state, _, group = stat.read_text().rpartition(')')[2].split()[:3]
        except OSError:  # it has ended meanwhile
            continue
        if int(group) == job.pid and state != 'Z':
            found.append(int(stat.parent.name))
    return found


@pytest.mark.parametrize(('runner', 'processes'), [('DirectRunner', 1), ('PrismRunner', 2)])
def test_runs_that_are_ended_leave_nothing_and_go_on_where_they_stopped(
        lake: Lake, runner: str, processes: int) -> None:
    if runner == 'PrismRunner':
        needs_prism()

    by_ctrl_c = started(lake, runner, '--runner', runner, windows=2)
    assert len(group_of(by_ctrl_c)) == processes
    interrupt(by_ctrl_c)
    assert (ended(by_ctrl_c), group_of(by_ctrl_c)) == ((0, ENDED), [])

    by_sigterm = started(lake, runner, '--runner', runner, windows=2, total=RECORDS)
    by_sigterm.terminate()
    assert (ended(by_sigterm), group_of(by_sigterm)) == ((0, ENDED), [])

    start, stop = windows_of({key: json.loads(lake.get(runner, key)) for key in committed(lake, runner)})
    lake.run(f'{runner}-bounded', '--start', start, '--stop', stop)
    assert lake.manifests(f'{runner}-bounded').items() <= lake.manifests(runner).items()
    assert lake.objects(f'{runner}-bounded').items() <= lake.objects(runner).items()
    assert sum(manifest['counts']['records'] for manifest in lake.manifests(f'{runner}-bounded').values()) == RECORDS


def test_an_impatient_ctrl_c_ends_a_run_too(lake: Lake) -> None:
    job = started(lake, 'impatient', '--start', 'latest')

    interrupt(job)
    interrupt(job)
    code, err = ended(job)

    assert code in (0, -signal.SIGINT)
    assert 'Traceback' not in err


def test_a_bounded_run_that_is_ended_says_so_by_its_exit_code(lake: Lake) -> None:
    job = started(lake, 'future', '--start', 'latest', '--stop', '2999-01-01T00:00:00Z')

    job.terminate()

    assert ended(job) == (130, ENDED)
