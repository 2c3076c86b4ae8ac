"""The REST API of a Flink cluster: what this program asks it before, during and after a job."""
from __future__ import annotations

import http.client
import json
import re
import urllib.request
from collections.abc import Iterator
from typing import Any, NamedTuple

from pipeline.errors import FlinkError

TIMEOUT_S = 10
ENDED = frozenset({'CANCELED', 'FAILED', 'FINISHED'})
#: Flink shows a counter of Beam as <operator>.<namespace>_<name>. Readers use this namespace from their first call on.
READERS = '.kinesis_'
#: The settings of a cluster that say where it keeps checkpoints: of Flink 1.20 and 2, and of older versions.
STORAGE = ('execution.checkpointing.dir', 'state.checkpoints.dir')
CAUSE_CHARS = 300


class JobState(NamedTuple):
    """The state of a job, by Flink's name, with its number of running tasks, of all tasks, and of restarts."""

    job: str
    state: str
    tasks: int
    all_tasks: int
    restarts: int


class FlinkMaster:
    """The REST API at `host:port` or a URL. Every method raises FlinkError if it does not answer."""

    def __init__(self, address: str) -> None:
        self.url = (address if '://' in address else f'http://{address}').rstrip('/')
        # Like Flink's own clients, use no proxy from the environment.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def has_storage(self) -> bool:
        """Return whether the cluster's configuration has a place for checkpoints."""
        return any(item['key'] in STORAGE and item['value'] for item in self._ask('/jobmanager/config'))

    def find(self, name: str) -> str | None:
        """Return the id of the job of that name that has not ended, or None."""
        jobs = self._ask('/jobs/overview')['jobs']
        return next((str(job['jid']) for job in jobs if job['name'] == name and job['state'] not in ENDED), None)

    def cancel(self, job: str) -> None:
        """Cancel a job. It ends some time later."""
        self._ask(f'/jobs/{job}?mode=cancel', method='PATCH')

    def state(self, job: str) -> JobState:
        """Return the state of a job."""
        found, restarts = self._ask(f'/jobs/{job}'), self._ask(f'/jobs/{job}/metrics?get=numRestarts')
        counts = [vertex['tasks'] for vertex in found['vertices']]
        return JobState(job, found['state'], sum(count['RUNNING'] for count in counts),
                        sum(sum(count.values()) for count in counts),
                        int(restarts[0]['value']) if restarts else 0)

    def was_read(self, job: str) -> bool:
        """Return whether a call of one of the job's readers has returned. Flink knows some ten seconds later."""
        vertices = [vertex['id'] for vertex in self._ask(f'/jobs/{job}')['vertices']]
        return any(READERS in name for vertex in vertices for name in self._metrics(job, vertex))

    def failure(self, job: str) -> str:
        """Return the stack trace of the job's last failure, or '' if it had none."""
        return self._ask(f'/jobs/{job}/exceptions').get('root-exception') or ''

    def cause(self, job: str) -> str:
        """Return why the job last failed, in one line, or '' if it did not fail."""
        return cause_of(self.failure(job))

    def _metrics(self, job: str, vertex: str) -> Iterator[str]:
        return (metric['id'] for metric in self._ask(f'/jobs/{job}/vertices/{vertex}/subtasks/metrics'))

    def _ask(self, path: str, method: str = 'GET') -> Any:
        try:
            with self._opener.open(urllib.request.Request(self.url + path, method=method), timeout=TIMEOUT_S) as answer:
                return json.load(answer)
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise FlinkError(f'--flink_master: {self.url} does not answer as Flink does '
                             f'({type(error).__name__}: {error})') from error


def cause_of(stack: str) -> str:
    r"""Return the most useful line of a Java stack trace, which may contain a traceback of Python.

    >>> cause_of('java.lang.RuntimeException: x\n\tat y\nCaused by: java.io.IOException: no\n\tat z')
    'java.io.IOException: no'
    """
    _, _, python = stack.rpartition('Traceback (most recent call last):')
    lines = re.split(r'\n\s*at ', python, maxsplit=1)[0].splitlines()
    errors = [line for line in lines if re.match(r'[\w.]+: ', line)] if python != stack else []
    causes = errors or re.findall(r'^Caused by: (.+)', stack, re.MULTILINE) or stack.splitlines()[:1]
    return causes[-1][:CAUSE_CHARS] if causes else ''
