"""A real Flink cluster without Docker: JobManager, TaskManager and Python worker pool, each a process of its own.

Everything listens on free ports of the loopback interface; logs, checkpoints and savepoints are below one folder.
"""
from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import pytest

from pipeline.local.servers import LOOPBACK
from tests.integration.external_servers import free_ports, server, wait_for
from tests.integration.flink_parts import (
    FLINK_VERSION,
    JOB_MANAGER,
    JOB_SERVER,
    LIBRARIES,
    POOL,
    TASK_MANAGER,
    java_command,
    pool_command,
    write_config,
)
from tests.waiting import TIMEOUT_S, wait_until

T = TypeVar('T')
ENDED = ('CANCELED', 'FAILED', 'FINISHED')


@dataclasses.dataclass
class Submitter:
    """A process that submits a job and watches it; its output goes to `log`."""

    process: subprocess.Popen[bytes]
    log: pathlib.Path

    def output(self) -> str:
        """Return what it printed so far."""
        return self.log.read_text(errors='replace')

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send it a signal. Return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(TIMEOUT_S)

    def left_behind(self) -> bool:
        """Return whether a process that it started, such as its Java job server, still runs."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, 0)
            return True
        return False


class FlinkCluster:
    """A cluster that runs until the block ends. Each part can be killed and started again.

    `rest` is the URL of its REST API. When the block ends, the submitters and their Java job servers end too.
    """

    def __init__(self, folder: pathlib.Path, slots: int = 4, settings: Mapping[str, object] | None = None,
                 pool: Sequence[object] = ('pipeline.runners.worker_pool',)) -> None:
        if not (shutil.which('java') and LIBRARIES.exists() and JOB_SERVER.exists()):
            pytest.skip('needs Flink: install Java 17 and Maven, then ./run.sh test installs it')
        rest, rpc, self._port = free_ports(3)
        self.folder, self.rest, self._pool = folder, f'http://{LOOPBACK}:{rest}', pool
        self._settings = {'rest.port': rest, 'jobmanager.rpc.port': rpc, 'taskmanager.numberOfTaskSlots': slots,
                          **(settings or {})}
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self._parts: dict[str, contextlib.ExitStack] = {}
        self._pids: dict[str, int] = {}

    def __enter__(self) -> FlinkCluster:
        write_config(self.folder, self._settings)
        try:
            for name in (JOB_MANAGER, TASK_MANAGER, POOL):
                self.start(name)
            self.wait_until_up()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        for name in [*self._parts]:
            self.kill(name)

    def start(self, name: str) -> None:
        """Start JOB_MANAGER, TASK_MANAGER or POOL, without waiting until it can be used."""
        command, environment = (pool_command(self._port, *self._pool) if name == POOL
                                else (java_command(name, self.folder), {}))
        self._run(name, command, environment)

    def wait_until_up(self) -> None:
        """Wait until the JobManager answers and a TaskManager has registered."""
        wait_for(f'{self.rest}/overview')
        self.wait(self._has_task_manager, 'a TaskManager')

    def kill(self, name: str) -> None:
        """Kill a part with all of its processes at once."""
        self._parts.pop(name).close()

    def workers(self) -> list[int]:
        """Return the process ids of the SDK workers, which are children of the pool."""
        rows = subprocess.run(['ps', '-e', '-o', 'pid=,ppid=,stat='], check=True, capture_output=True, text=True)
        found = [row.split() for row in rows.stdout.splitlines()]
        return [int(pid) for pid, parent, state in found if parent == str(self._pids[POOL]) and state[0] != 'Z']

    def options(self, parallelism: int = 2) -> list[str]:
        """Return the options that a user adds to the command line of a job for this cluster."""
        return ['--runner', 'FlinkRunner', '--flink_master', self.rest.removeprefix('http://'),
                '--flink_version', FLINK_VERSION, '--flink_job_server_jar', str(JOB_SERVER),
                '--environment_type', 'EXTERNAL', '--environment_config', f'{LOOPBACK}:{self._port}',
                '--parallelism', str(parallelism)]

    def submit(self, command: Sequence[str]) -> Submitter:
        """Start a process that submits a job, as a user would."""
        name = f'submitter{sum(part.startswith("submitter") for part in self._pids)}'
        process = self._run(name, command, {})
        return Submitter(process, self.folder / f'{name}.out')

    def jobs(self) -> dict[str, str]:
        """Return the state of every job by its id, the newest last."""
        found = sorted(self.call('/jobs/overview')['jobs'], key=lambda job: job['start-time'])
        return {job['jid']: job['state'] for job in found}

    def running_job(self) -> str:
        """Wait for a job that runs. Return its id."""
        return self.wait(lambda: next((job for job, state in self.jobs().items() if state == 'RUNNING'), ''),
                         'a job that runs')

    def cancel(self, job: str) -> None:
        """Cancel a job and wait until it has ended."""
        self.call(f'/jobs/{job}?mode=cancel', method='PATCH')
        self.wait(lambda: self.jobs()[job] in ENDED, 'the end of the job')

    def stop(self, job: str, drain: bool = False) -> Callable[[], str | None]:
        """Stop a job with a savepoint. Return a function that returns the savepoint's path once it is complete.

        That function raises RuntimeError if the savepoint failed.
        """
        body = {'targetDirectory': f'file://{self.folder}/savepoints', 'drain': drain}
        trigger = self.call(f'/jobs/{job}/stop', body)['request-id']

        def path() -> str | None:
            operation = self.call(f'/jobs/{job}/savepoints/{trigger}').get('operation') or {}
            if 'failure-cause' in operation:
                raise RuntimeError(operation['failure-cause']['stack-trace'])
            found: str | None = operation.get('location')
            return found
        return path

    def restored(self, job: str) -> int:
        """Return how often a job was restored from a checkpoint or savepoint."""
        count: int = self.call(f'/jobs/{job}/checkpoints')['counts']['restored']
        return count

    def checkpoints(self, job: str) -> int:
        """Return how many checkpoints of a job are complete."""
        count: int = self.call(f'/jobs/{job}/checkpoints')['counts']['completed']
        return count

    def call(self, path: str, body: object = None, method: str | None = None) -> Any:
        """Ask the REST API. Return the decoded answer. Raise OSError if there is none."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.rest + path, data, {'Content-Type': 'application/json'}, method=method)
        with self._opener.open(request, timeout=TIMEOUT_S) as answer:
            return json.load(answer)

    def wait(self, condition: Callable[[], T], what: str, timeout_s: float = TIMEOUT_S) -> T:
        """Wait until a condition holds. Return its value."""
        return wait_until(condition, f'{what}; the logs are in {self.folder}', timeout_s)

    def _has_task_manager(self) -> bool:
        with contextlib.suppress(urllib.error.HTTPError):  # 503 while the JobManager elects its leader
            return bool(self.call('/overview')['taskmanagers'])
        return False

    def _run(self, name: str, command: Sequence[object], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        stack = contextlib.ExitStack()
        process = stack.enter_context(server(command, self.folder / f'{name}.out', environment))
        self._parts[name], self._pids[name] = stack, process.pid
        return process
