"""Scripted answers of Kinesis as bytes on the wire. Real boto3 clients parse them; there is no server."""
from __future__ import annotations

import collections
import functools
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import boto3
from botocore.awsrequest import AWSResponse, HeadersDict
from botocore.config import Config

DATE = 'Wed, 25 Nov 2026 10:00:07 GMT'
DATE_MS = 1_795_600_807_000


class Request(NamedTuple):
    """A request: the operation, its arguments, and the access key that signed it."""

    call: str
    arguments: dict[str, Any]
    access_key: str


class _Body:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def stream(self) -> Iterator[bytes]:
        yield self._data


@functools.cache
def _session() -> boto3.session.Session:
    return boto3.session.Session()  # only one session, which reads the model of the service once


class Wire:
    """A script with one answer for each request of all clients that `open_client` returns."""

    def __init__(self, *keys: str) -> None:
        self.requests: list[Request] = []
        self.opened = 0
        self._keys = keys or ('key',)
        self._script: collections.deque[AWSResponse | Exception] = collections.deque()

    def answer(self, status: int = 200, date: str | None = DATE, **body: Any) -> Wire:
        """Answer the next request with a JSON document."""
        return self.answer_bytes(json.dumps(body).encode(), status, date)

    def answer_bytes(self, body: bytes, status: int = 200, date: str | None = DATE) -> Wire:
        """Answer the next request with these bytes."""
        headers = HeadersDict({'Content-Type': 'application/x-amz-json-1.1', **({'Date': date} if date else {})})
        self._script.append(AWSResponse('', status, headers, _Body(body)))
        return self

    def refuse(self, code: str, message: str = 'because', status: int = 400) -> Wire:
        """Answer the next request with an error of AWS."""
        return self.answer(status, **{'__type': code, 'message': message})

    def fail(self, error: Exception) -> Wire:
        """Fail the next request with an error of the network."""
        self._script.append(error)
        return self

    def open_client(self) -> Any:
        """Return a new client; each has the next access key."""
        key = self._keys[min(self.opened, len(self._keys) - 1)]
        self.opened += 1
        client = _session().client(
            'kinesis', region_name='eu-west-1', aws_access_key_id=key, aws_secret_access_key='secret',
            config=Config(retries={'mode': 'standard', 'total_max_attempts': 1}))
        client.meta.events.register('before-send.kinesis', self._send)
        return client

    def done(self) -> bool:
        """Return whether every answer was given."""
        return not self._script

    def _send(self, request: Any, **_: Any) -> AWSResponse:
        call = request.headers['X-Amz-Target'].decode().split('.')[1]
        signature = request.headers['Authorization'].decode()
        key = signature.split('Credential=')[1].split('/')[0]
        self.requests.append(Request(call, json.loads(request.body), key))
        answer = self._script.popleft()
        if isinstance(answer, Exception):
            raise answer
        return answer
