"""Kinesis and S3 in a separate process, so that their CPU and memory do not count."""
from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.request
from types import TracebackType
from typing import Any

import boto3

from pipeline.local.servers import CREDENTIALS, LOOPBACK, REGION, demo_environment, put_records

SERVE = 'import sys; from moto.server import main; main(sys.argv[1:])'


class Emulators:
    """Run moto's Kinesis and S3 on a free port during a `with` block."""

    def __enter__(self) -> Emulators:
        with socket.socket() as free:
            free.bind((LOOPBACK, 0))
            port = free.getsockname()[1]
        self.endpoint = f'http://{LOOPBACK}:{port}'
        self._server = subprocess.Popen([sys.executable, '-c', SERVE, '-H', LOOPBACK, '-p', str(port)],
                                        env=demo_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._wait()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._server.kill()
        self._server.wait()

    def fill(self, name: str, shards: int, records: list[bytes]) -> None:
        """Create a stream and a bucket of that name, and put records on the stream."""
        kinesis = self.client('kinesis')
        self.client('s3').create_bucket(Bucket=name)
        kinesis.create_stream(StreamName=name, ShardCount=shards)
        kinesis.get_waiter('stream_exists').wait(StreamName=name, WaiterConfig={'Delay': 1})
        put_records(kinesis, name, ((f'key-{number}', data) for number, data in enumerate(records)))

    def client(self, service: str) -> Any:
        """Return a client of `kinesis` or `s3`."""
        credentials = dict(zip(('aws_access_key_id', 'aws_secret_access_key'), CREDENTIALS.values(), strict=True))
        return boto3.session.Session(region_name=REGION).client(service, endpoint_url=self.endpoint, **credentials)

    def _wait(self) -> None:
        deadline = time.monotonic() + 120
        while True:
            try:
                urllib.request.build_opener(urllib.request.ProxyHandler({})).open(self.endpoint, timeout=5)
                return
            except OSError:
                if self._server.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
