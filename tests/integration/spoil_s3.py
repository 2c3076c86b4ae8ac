"""An addon of mitmproxy that spoils requests to S3 as a control file says, which a test writes while the proxy runs.

The file holds `{"cell": ..., "pattern": ..., "fault": ..., "times": n, or -1 for all}`. Spoiled requests are listed in
a second file, one a line. The addon runs in the Python of mitmproxy, so it imports nothing of this project.
"""
import asyncio
import json
import os
import pathlib
import re
import urllib.parse

from mitmproxy import http

CONTROL, SPOILED = (pathlib.Path(os.environ[name]) for name in ('S3_FAULT', 'S3_SPOILED'))
#: Longer than the client waits for an answer.
HOLD_S = 30
ANSWERS = {
    'slow-down': (503, 'SlowDown', 'Please reduce your request rate.'),
    'error-500': (500, 'InternalError', 'We encountered an internal error. Please try again.'),
    'denied': (403, 'AccessDenied', 'Access Denied'),
    'no-bucket': (404, 'NoSuchBucket', 'The specified bucket does not exist'),
    'moved': (301, 'PermanentRedirect', 'The bucket you are attempting to access must be addressed using another one.'),
    'other-region': (400, 'AuthorizationHeaderMalformed', "the region 'us-east-1' is wrong; expecting 'eu-west-1'"),
}


class Spoil:
    """Spoil the requests that the control file names, as often as it says."""

    def __init__(self) -> None:
        self._cell, self._left = '', 0

    async def request(self, flow: http.HTTPFlow) -> None:
        """Spoil a request before the server sees it."""
        fault = self._fault(flow.request)
        flow.metadata['fault'] = fault
        if fault in ANSWERS:
            flow.response = _answer(flow.request.method, *ANSWERS[fault])
        elif fault == 'reset-before':
            flow.kill()
        elif fault == 'time-out':
            await asyncio.sleep(HOLD_S)
            if flow.killable:
                flow.kill()

    def response(self, flow: http.HTTPFlow) -> None:
        """Lose the answer to a request that the server has carried out."""
        if flow.metadata.get('fault') == 'reset-after':
            flow.kill()

    def _fault(self, request: http.Request) -> str:
        control = json.loads(CONTROL.read_text())
        if control['cell'] != self._cell:
            self._cell, self._left = control['cell'], control['times']
        what = f'{request.method} {urllib.parse.unquote(request.path)}'
        if not self._left or not re.search(control['pattern'], what):
            return ''
        self._left -= 1
        with SPOILED.open('a') as spoiled:
            spoiled.write(f'{self._cell} {what}\n')
        return control['fault']


def _answer(method: str, status: int, code: str, message: str) -> http.Response:
    body = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'
    headers = {'Content-Type': 'application/xml'}
    if status == 301:
        headers['x-amz-bucket-region'] = 'eu-west-1'
    return http.Response.make(status, '' if method == 'HEAD' else body, headers)


addons = [Spoil()]
