"""Watch a job on a Flink cluster: warn if it does not read, and cancel it when its submitter ends."""
from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType

from pipeline.errors import FlinkError, ReadError
from pipeline.runners.failures import read_error_in
from pipeline.runners.flink_api import FlinkMaster, JobState, cause_of

LOOK_S = 5.0
#: Short enough to warn within a minute. A reader's first call takes seconds, and Flink shows it ten seconds later.
NEVER_READ_S = 50.0
AGAIN_S = 60.0
CANCEL_S = 60.0
_log = logging.getLogger(__name__)


@contextlib.contextmanager
def watching(master: FlinkMaster, name: str) -> Iterator[None]:
    """Watch the job of that name while the block submits it and waits for its end. Then cancel it if it still runs.

    Beam's own cancel ends only the job server's part, and a Ctrl-C ends the job server before it can pass it on. Raise
    FlinkError if the job may still be running, and ReadError (or Gap) if its readers cannot continue: Flink would
    restart them forever.
    """
    watch = FlinkWatch(master, name)
    try:
        with watch:
            yield
    finally:
        cancel_job(master, name)
        if watch.failure:
            raise watch.failure


def cancel_job(master: FlinkMaster, name: str, sleep: Callable[[float], None] = time.sleep) -> None:
    """Cancel the job of that name, if any, and wait until it has ended. Raise FlinkError if it does not end."""
    job = master.find(name)
    if job is None:
        return
    master.cancel(job)
    for _ in range(int(CANCEL_S)):
        if master.find(name) is None:
            return
        sleep(1.0)
    raise FlinkError(f'job {job} has not ended {CANCEL_S:.0f} s after it was cancelled: see {master.url}')


class FlinkWatch:
    """Warn if no reader is called, if the job restarts, and if the cluster does not answer.

    If the readers cannot continue, cancel the job; `failure` is then their error.
    """

    def __init__(self, master: FlinkMaster, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._master, self._name, self._clock = master, name, clock
        self._began, self._due = clock(), NEVER_READ_S
        self.failure: ReadError | None = None
        self._job = ''
        self._restarts = 0
        self._was_read = self._is_lost = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name='flink', daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()

    def look(self) -> None:
        """Look at the job once, and warn about anything new."""
        try:
            job = self._master.find(self._name)
            state = self._master.state(job) if job else None
            self._look_at(state)
            self._is_lost = False
        except FlinkError as error:
            if not self._is_lost:
                _log.warning('%s; the job may still be running', error)
            self._is_lost = True

    def _look_at(self, state: JobState | None) -> None:
        if state and state.job != self._job:  # until now it was being submitted
            self._job, self._began, self._due = state.job, self._clock(), NEVER_READ_S
        if state and state.restarts > self._restarts:
            self._restarts, stack = state.restarts, self._master.failure(state.job)
            _log.warning('job %s was restarted (%d so far): %s', state.job, state.restarts, cause_of(stack))
            self.failure = self.failure or read_error_in(stack)
            if self.failure:
                self._master.cancel(state.job)
        self._was_read = self._was_read or bool(state and self._master.was_read(state.job))
        waited_s = self._clock() - self._began
        if not self._was_read and waited_s >= self._due:
            self._due += AGAIN_S
            _log.warning('no reader was called in %d s: %s', waited_s, self._reason(state))

    def _reason(self, state: JobState | None) -> str:
        if state is None:
            return f'{self._master.url} has no job {self._name} yet'
        if state.tasks < state.all_tasks or not state.all_tasks:  # no task is there yet
            return (f'{state.tasks} of {state.all_tasks} tasks of job {state.job} run, which is {state.state}: the '
                    f'cluster needs a free slot for each of --parallelism. {self._master.cause(state.job)}'.rstrip())
        return (f'all tasks of job {state.job} run, so its workers do not answer (see --environment_config), or its '
                'start was lost: stop this run, and start it again')

    def _watch(self) -> None:
        while not self._ended.wait(LOOK_S):
            self.look()
