"""A Flink cluster seen through its REST API: what is asked of it before, during and after a job."""
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
#: Flink shows a counter of Beam as <operator>.<namespace>_<name>; readers count under this one from their first call.
READERS = '.kinesis_'
#: Where a cluster keeps checkpoints: the names of Flink 2 and 1.20, and of those before.
STORAGE = ('execution.checkpointing.dir', 'state.checkpoints.dir')
CAUSE_CHARS = 300



class JobState(NamedTuple):
    """How a job is doing: `state` as Flink names it, `tasks` of `all_tasks` running, how often it restarted."""

    job: str
    state: str
    tasks: int
    all_tasks: int
    restarts: int


class FlinkMaster:
    """The REST API at `host:port` or a URL. Methods raise FlinkError where it does not answer."""

    def __init__(self, address: str) -> None:
        self.url = (address if '://' in address else f'http://{address}').rstrip('/')
        # As Flink's own clients do, past any proxy of the environment.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def has_storage(self) -> bool:
        """Tell whether the cluster has a place of its own for checkpoints."""
        return any(item['key'] in STORAGE and item['value'] for item in self._ask('/jobmanager/config'))

    def find(self, name: str) -> str | None:
        """Give the id of the job of that name which has not ended, None where there is none."""
        jobs = self._ask('/jobs/overview')['jobs']
        return next((str(job['jid']) for job in jobs if job['name'] == name and job['state'] not in ENDED), None)

    def cancel(self, job: str) -> None:
        """Ask for the end of a job."""
        self._ask(f'/jobs/{job}?mode=cancel', method='PATCH')

    def state(self, job: str) -> JobState:
        """Tell how a job is doing."""
        found, restarts = self._ask(f'/jobs/{job}'), self._ask(f'/jobs/{job}/metrics?get=numRestarts')
        counts = [vertex['tasks'] for vertex in found['vertices']]
        return JobState(job, found['state'], sum(count['RUNNING'] for count in counts),
                        sum(sum(count.values()) for count in counts),
                        int(restarts[0]['value']) if restarts else 0)

    def was_read(self, job: str) -> bool:
        """Tell whether a reader of the job was called and came back; Flink knows some ten seconds later."""
        vertices = [vertex['id'] for vertex in self._ask(f'/jobs/{job}')['vertices']]
        return any(READERS in name for vertex in vertices for name in self._metrics(job, vertex))

    def failure(self, job: str) -> str:
        """Give the stack trace of the job's last failure, '' where it had none."""
        return self._ask(f'/jobs/{job}/exceptions').get('root-exception') or ''

    def cause(self, job: str) -> str:
        """Say in a line why the job failed last, '' where it did not."""
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
    r"""Find the line that says most in a Java stack trace, which may hold one of Python.

    >>> cause_of('java.lang.RuntimeException: x\n\tat y\nCaused by: java.io.IOException: no\n\tat z')
    'java.io.IOException: no'
    """
    _, _, python = stack.rpartition('Traceback (most recent call last):')
    lines = re.split(r'\n\s*at ', python, maxsplit=1)[0].splitlines()
    said = [line for line in lines if re.match(r'[\w.]+: ', line)] if python != stack else []
    causes = said or re.findall(r'^Caused by: (.+)', stack, re.MULTILINE) or stack.splitlines()[:1]
    return causes[-1][:CAUSE_CHARS] if causes else ''
