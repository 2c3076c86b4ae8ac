"""Kill processes on every runner while the stream is written, split and merged: the objects stay the same.

All runners read one live stream, each into its own prefix, and every second local job has another one beside it that
writes the same. The stream is written until the last kill is over.
36 kills; set MMP_KILLS=200 for more, MMP_SEED for others.
"""
from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import os
import pathlib
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from tests.integration.external_servers import kinesalite, seaweedfs, server
from tests.integration.flink_cluster import FlinkCluster
from tests.integration.flink_parts import JOB_MANAGER, POOL, TASK_MANAGER
from tests.integration.history import History, newest
from tests.integration.jobs import prism_failed
from tests.integration.lake import needs_prism
from tests.waiting import wait_until

pytestmark = pytest.mark.timeout(3600)
SEED = int(os.environ.get('MMP_SEED', '1'))
SCALE = -(-int(os.environ.get('MMP_KILLS', '36')) // 36)  # rounded up
DOCUMENTS, LIVE_S, TIMEOUT_S = 100_000, 240 * SCALE, 600
#: A local process restarts in seconds, a cluster in half a minute: with these pauses, their kills last as long.
PAUSE_S, FLINK_PAUSE_S = 40.0, 3.0
#: Some processes die before they have written anything.
EARLY, EARLY_S = 0.25, 8.0
#: How often a second job of the same command line writes beside the first one, until that is killed.
TWICE = 0.5
#: A cancelled job of Flink deletes its checkpoints; those of a killed JobManager stay.
CHECKPOINTS = ('--checkpointing_interval', '3000')


@dataclasses.dataclass
class Kill:
    """What was killed, and how long it took until something was written again."""

    runner: str
    victim: str
    recovered_s: float = 0.0


class Killer:
    """Kill processes of one runner's jobs at random moments; `kills` are those so far."""

    def __init__(self, history: History, folder: pathlib.Path, prefix: str, pause_s: float) -> None:
        self.history, self.prefix, self.folder = history, prefix, folder / prefix
        self._pause_s, self.over = pause_s, threading.Event()
        self.folder.mkdir()
        self.log = self.folder / 'job.log'
        self.kills: list[Kill] = []
        self._rng = random.Random(f'{SEED} {prefix}')
        self._killed_at = 0.0

    def jobs(self, *options: str) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
        """Run a job in its own session until the block ends."""
        return server(self.history.command(self.prefix, *options), self.log, {})

    def second_job(self, *options: str) -> contextlib.AbstractContextManager[object]:
        """Sometimes run a second job on the same output until the block ends, by SIGKILL."""
        if self._rng.random() >= TWICE:
            return contextlib.nullcontext()
        return server(self.history.command(self.prefix, *options), self.folder / 'second.log', {})

    def wait_for_moment(self, alive: Callable[[], bool]) -> None:
        """Wait until there was progress, or sometimes only for some seconds."""
        if self._rng.random() < EARLY:
            time.sleep(self._rng.uniform(0, EARLY_S))
        else:
            self.wait_for_progress(alive)

    def wait_for_progress(self, alive: Callable[[], bool]) -> None:
        """Wait until the prefix changes or the job has ended, then for a random time."""
        before = newest(self.history, self.prefix)
        self.wait(lambda: newest(self.history, self.prefix) != before or not alive(), 'progress')
        if self._killed_at:
            self.kills[-1].recovered_s, self._killed_at = time.monotonic() - self._killed_at, 0.0
        time.sleep(self._rng.uniform(0, self._pause_s))

    def note(self, victim: str) -> None:
        """Note that a victim is dead."""
        self.kills.append(Kill(self.prefix, victim))
        self._killed_at = time.monotonic()

    def wait(self, condition: Callable[[], object], what: str) -> None:
        """Wait until a condition holds. Fail after some minutes with the end of the job's output."""
        try:
            wait_until(condition, f'{what} under {self.prefix}', TIMEOUT_S, 0.2)
        except AssertionError as error:
            raise AssertionError(f'{error}: {self.log.read_text(errors="replace")[-3000:]}') from None


def kill_continuous(killer: Killer, victims: Sequence[str], *options: str) -> list[Kill]:
    """Kill the process of a continuous run, or its Prism, then run the same command line again."""
    while len(killer.kills) < len(victims):
        victim = victims[len(killer.kills)]
        with killer.jobs(*options) as job, killer.second_job(*options):
            wait = killer.wait_for_progress if victim == 'prism' else killer.wait_for_moment
            wait(lambda job=job: job.poll() is None)  # type: ignore[misc]
            if job.poll() is not None and prism_failed(job.poll(), _last_line(killer.log)):
                continue
            assert job.poll() is None, killer.log.read_text(errors='replace')[-3000:]
            os.kill(_prism_of(job.pid) if victim == 'prism' else job.pid, signal.SIGKILL)
            killer.note(victim)
            code = job.wait(TIMEOUT_S)
            assert code == (1 if victim == 'prism' else -signal.SIGKILL)
            if victim == 'prism':
                assert 'pipeline: error: the runner does not answer any more;' in _last_line(killer.log)
    killer.over.set()
    with killer.jobs(*options) as job:
        killer.wait_for_progress(lambda: True)
        killer.wait(lambda: killer.history.complete(killer.prefix), 'all windows')
        job.send_signal(signal.SIGTERM)
        assert job.wait(TIMEOUT_S) == 0
    return killer.kills


def kill_bounded(killer: Killer, count: int) -> list[Kill]:
    """Kill a bounded run of the whole history `count` times, then let it end; one that ends before starts again.

    A run that is not killed at all is alone on its output.
    """
    start: tuple[str, ...] = ()
    while True:
        command = '--stop', killer.history.end, *start
        with killer.jobs(*command) as job, killer.second_job(*command) if count else contextlib.nullcontext():
            killer.wait_for_moment(lambda job=job: job.poll() is None)  # type: ignore[misc]
            if len(killer.kills) == count:
                assert job.wait(TIMEOUT_S) == 0
                return killer.kills
            if job.poll() is None:
                job.kill()
                killer.note('process')
            code = job.wait(TIMEOUT_S)
            assert code in (0, -signal.SIGKILL)
            start = () if code else ('--start', 'earliest')


def kill_flink(killer: Killer, victims: Sequence[str]) -> list[Kill]:
    """Kill parts of a cluster while a job runs on it; submit the job again after its JobManager was killed."""
    command = [*killer.history.command(killer.prefix), *CHECKPOINTS]
    with FlinkCluster(killer.folder) as cluster:
        submitted = cluster.submit([*command, *cluster.options()])
        killer.log = submitted.log
        for victim in victims:
            killer.wait_for_progress(lambda: True)
            if victim == 'worker':
                os.kill(random.Random(SEED).choice(cluster.workers()), signal.SIGKILL)
                killer.note(victim)
                continue
            part, _, how = victim.partition(' ')
            job = cluster.running_job() if part == JOB_MANAGER else ''
            if how:
                killer.wait(lambda job=job: _checkpoints(killer.folder, job), 'a checkpoint')
            cluster.kill(part)
            killer.note(victim)
            cluster.start(part)
            if part == JOB_MANAGER:
                submitted.end(signal.SIGKILL)
                cluster.wait_until_up()
                saved = [f'--savepoint_path=file://{_newest_checkpoint(killer.folder, job)}'] if how else []
                submitted = cluster.submit([*command, *cluster.options(), *saved])
                killer.log = submitted.log
        killer.over.set()
        killer.wait_for_progress(lambda: True)
        killer.wait(lambda: killer.history.complete(killer.prefix), 'all windows')
        cluster.cancel(cluster.running_job())
    return killer.kills


@pytest.fixture(scope='module')
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campaign]:
    folder = tmp_path_factory.mktemp('kills')
    with kinesalite(folder) as kinesis, seaweedfs(folder) as s3, concurrent.futures.ThreadPoolExecutor() as pool:
        yield Campaign(History(kinesis, s3, SEED), folder, pool)


class Campaign:
    """The live history and the runs on it, all at the same time; `whole` is the undisturbed bounded run."""

    def __init__(self, history: History, folder: pathlib.Path, pool: concurrent.futures.Executor) -> None:
        self.history = history
        live = [Killer(history, folder, prefix, pause_s) for prefix, pause_s in (
            ('local', PAUSE_S), ('prism', PAUSE_S), ('flink', FLINK_PAUSE_S))]
        later = [Killer(history, folder, prefix, FLINK_PAUSE_S) for prefix in ('bounded', 'whole')]
        self._written = pool.submit(history.write, DOCUMENTS, LIVE_S,
                                    lambda: not all(killer.over.is_set() for killer in live))
        self._runs = {
            'local': pool.submit(self._to_the_end, kill_continuous, live[0], ['process'] * 8 * SCALE),
            'prism': pool.submit(self._to_the_end, kill_continuous, live[1], ['prism', 'process'] * 4 * SCALE,
                                 '--runner', 'PrismRunner'),
            'flink': pool.submit(self._to_the_end, kill_flink, live[2], [
                TASK_MANAGER, 'worker', POOL, f'{JOB_MANAGER} checkpoint', 'worker', TASK_MANAGER, JOB_MANAGER,
                'worker', POOL, TASK_MANAGER] * SCALE),
            'bounded': pool.submit(self._after, kill_bounded, later[0], 10 * SCALE),
            'whole': pool.submit(self._after, kill_bounded, later[1], 0)}

    def kills(self, prefix: str) -> list[Kill]:
        """Wait for the end of a run. Return its kills."""
        return self._runs[prefix].result()

    def difference(self, prefix: str) -> str | None:
        """Return how the objects of a run differ from those of the undisturbed run, or None."""
        self.kills('whole')
        return self.history.difference(prefix, 'whole')

    def documents(self) -> int:
        """Return the number of documents that were put."""
        return self._written.result()

    def _to_the_end(self, run: Callable[..., list[Kill]], killer: Killer, *args: object) -> list[Kill]:
        try:
            return run(killer, *args)
        finally:
            killer.over.set()  # the producer must not wait for a run that failed

    def _after(self, run: Callable[[Killer, int], list[Kill]], killer: Killer, count: int) -> list[Kill]:
        self._written.result()
        time.sleep(1)
        return run(killer, count)


@pytest.mark.parametrize(('runner', 'victims'), [
    ('local', {'process'}), ('bounded', {'process'}), ('prism', {'prism', 'process'}),
    ('flink', {TASK_MANAGER, JOB_MANAGER, f'{JOB_MANAGER} checkpoint', 'worker', POOL})])
def test_kills_change_no_byte(campaign: Campaign, runner: str, victims: set[str]) -> None:
    if runner == 'prism':
        needs_prism()

    kills = campaign.kills(runner)

    for victim in sorted(victims):
        chosen = [kill for kill in kills if kill.victim == victim]
        times = [kill.recovered_s for kill in chosen if kill.recovered_s] or [0.0]
        print(f'{runner:8} {victim:24} {len(chosen):3} kills, going again after {min(times):.1f} to {max(times):.1f} s')
    assert {kill.victim for kill in kills} == victims
    assert campaign.documents() >= DOCUMENTS
    assert campaign.difference(runner) is None


def _prism_of(pid: int) -> int:
    rows = subprocess.run(['ps', '-e', '-o', 'pid=,sid=,comm='], check=True, capture_output=True, text=True).stdout
    found = [row.split(maxsplit=2) for row in rows.splitlines()]
    return next(int(one) for one, session, name in found if session == str(pid) and name.startswith('prism'))


def _last_line(log: pathlib.Path) -> str:
    return log.read_text(errors='replace').splitlines()[-1]


def _newest_checkpoint(folder: pathlib.Path, job: str) -> pathlib.Path:
    return max(_checkpoints(folder, job), key=lambda path: path.stat().st_mtime).parent


def _checkpoints(folder: pathlib.Path, job: str) -> list[pathlib.Path]:
    return list(folder.glob(f'checkpoints/{job}/chk-*/_metadata'))
