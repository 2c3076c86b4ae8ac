"""An addon of mitmproxy that spoils calls of Kinesis as the file RULES says, and notes every call in the file CALLS.

RULES holds JSON, a list of {"operation": name or "*", "fault": kind}; the first that fits is used. A test may change it
while the proxy runs. The addon runs in the Python of mitmproxy, so it imports nothing of this project.
"""
from __future__ import annotations

import asyncio
import json
import os
import pathlib
import time
from typing import Any

from mitmproxy import http

HANG_S = 60
ANSWERS = {
    'throttle': (400, 'ProvisionedThroughputExceededException'),
    'garble': (200, 'PleaseLogIn'),
    'expire': (400, 'ExpiredIteratorException'),
    'deny': (400, 'AccessDeniedException'),
    'fail': (500, 'InternalFailure')}


class Faults:
    """`reset` cuts the connection before the call, `lose` after it; `hang` never answers; the rest are ANSWERS."""

    def __init__(self) -> None:
        self._rules, self._calls = pathlib.Path(os.environ['RULES']), pathlib.Path(os.environ['CALLS'])
        self._shards: dict[str, str] = {}

    async def request(self, flow: http.HTTPFlow) -> None:
        fault = self._fault(flow)
        flow.metadata['fault'] = fault
        if fault in ANSWERS:
            status, code = ANSWERS[fault]
            body = json.dumps({'__type': code, 'message': code})
            flow.response = http.Response.make(status, body, {'Content-Type': 'application/x-amz-json-1.1'})
        elif fault == 'hang':
            self._note(flow)
            await asyncio.sleep(HANG_S)
            flow.kill()
        elif fault == 'reset':
            self._note(flow)
            flow.kill()

    def response(self, flow: http.HTTPFlow) -> None:
        self._note(flow)
        if flow.metadata['fault'] == 'lose':
            flow.kill()

    def _fault(self, flow: http.HTTPFlow) -> str:
        fitting = (rule['fault'] for rule in json.loads(self._rules.read_text())
                   if rule['operation'] in ('*', _operation(flow)))
        return next(fitting, '')

    def _note(self, flow: http.HTTPFlow) -> None:
        """Note the time, the call and its shard, which for GetRecords is that of the iterator."""
        asked, answer = _json(flow.request), _json(flow.response)
        shard = asked.get('ShardId') or self._shards.get(asked.get('ShardIterator', ''), '')
        for name in ('ShardIterator', 'NextShardIterator'):
            if answer.get(name):
                self._shards[answer[name]] = shard
        note = {'at': time.time(), 'call': _operation(flow), 'shard': shard, 'fault': flow.metadata['fault'],
                'records': len(answer.get('Records', ()))}
        with open(self._calls, 'a') as file:
            file.write(json.dumps(note) + '\n')


def _operation(flow: http.HTTPFlow) -> str:
    return str(flow.request.headers.get('X-Amz-Target', '')).rpartition('.')[2]


def _json(message: http.Request | http.Response | None) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(message.content or b'{}') if message else {}
    except ValueError:
        return {}
    return found


addons = [Faults()]
