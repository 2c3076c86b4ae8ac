"""A JobManager's REST API by script: answers what it was told, notes what it was asked to change."""
from __future__ import annotations

import contextlib
import http.server
import json
from collections.abc import Iterator
from typing import Any

from tests.http_server import running

JOB, OTHER = 'a' * 32, 'b' * 32
NAME = 'mmp-pipeline-lake'
PATH = f'/jobs/{JOB}'


class FlinkRest(dict[str, Any]):
    """Answers by path; a path that is not there is answered by 404. `url` is where it listens, `changes` what came by
    PATCH: a cancelled job ends at once."""

    url: str

    def __init__(self, **tasks: int) -> None:
        super().__init__({
            '/jobs/overview': {'jobs': [{'jid': OTHER, 'name': NAME, 'state': 'FAILED'},
                                        {'jid': JOB, 'name': NAME, 'state': 'RUNNING'}]},
            '/jobmanager/config': [{'key': 'rest.port', 'value': '8081'},
                                   {'key': 'state.checkpoints.dir', 'value': 's3://state/checkpoints'}],
            PATH: {'state': 'RUNNING', 'vertices': [
                {'id': 'source', 'tasks': {'RUNNING': 1}},
                {'id': 'readers', 'tasks': {'RUNNING': 0, **(tasks or {'RUNNING': 2})}}]},
            f'{PATH}/metrics?get=numRestarts': [{'id': 'numRestarts', 'value': '0'}],
            f'{PATH}/vertices/source/subtasks/metrics': [{'id': 'numRecordsOut'}],
            f'{PATH}/vertices/readers/subtasks/metrics': [{'id': 'numRecordsIn'}],
            f'{PATH}/exceptions': {'root-exception': None}})
        self.changes: list[str] = []

    def read(self) -> None:
        """From now on a reader was called."""
        self[f'{PATH}/vertices/readers/subtasks/metrics'] = [{'id': '[9]{ReadKinesis}.kinesis_pages'}]

    def restart(self, times: int, cause: str) -> None:
        """From now on the job has restarted."""
        self[f'{PATH}/metrics?get=numRestarts'] = [{'id': 'numRestarts', 'value': str(times)}]
        self[f'{PATH}/exceptions'] = {'root-exception': cause}

    def change(self, path: str) -> None:
        """Take a PATCH."""
        self.changes.append(path)
        self['/jobs/overview']['jobs'][-1]['state'] = 'CANCELED'


@contextlib.contextmanager
def serving(rest: FlinkRest) -> Iterator[FlinkRest]:
    """Let it listen on a free port for as long as the block lasts."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(200 if self.path in rest else 404, rest.get(self.path, {}))

        def do_PATCH(self) -> None:
            rest.change(self.path)
            self._answer(202, {})

        def log_message(self, format: str, *args: object) -> None:
            pass

        def _answer(self, code: int, value: object) -> None:
            body = json.dumps(value).encode()
            self.send_response(code)
            self.send_header('Content-Length', str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with running(http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)) as server:
        rest.url = f'http://127.0.0.1:{server.server_port}'
        yield rest
