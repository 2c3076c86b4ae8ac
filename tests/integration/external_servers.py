"""Kinesis and S3 servers written by others, each in its own process on free ports of the loopback interface."""
from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import boto3
import pytest

from pipeline.local.servers import CREDENTIALS, LOOPBACK, REGION, demo_environment
from tests.waiting import wait_until

ROOT = pathlib.Path(__file__).parents[2]
BESIDE = pathlib.Path(sys.executable).parent
TOOLS = BESIDE.parent / 'tools'
#: A process that was killed is gone long before.
GONE_S = 60


def client(service: str, endpoint: str) -> Any:
    """Open a client of a server that runs here, with the credentials of the demo."""
    keys = dict(zip(('aws_access_key_id', 'aws_secret_access_key'), CREDENTIALS.values(), strict=True))
    return boto3.session.Session(region_name=REGION).client(service, endpoint_url=endpoint, **keys)


@contextlib.contextmanager
def kinesis_local(folder: pathlib.Path, **environment: str) -> Iterator[str]:
    """Run kinesis-local; yield its endpoint.

    It is right about resharding, iterators and sequence numbers, and slow with more than 20,000 records.
    """
    main = _node_module('kinesis-local') / 'main.js'
    plain, tls = free_ports(2)
    settings = {'KINESIS_MOCK_CERT_PATH': str(main.parent / 'server.json'), 'KINESIS_MOCK_PLAIN_PORT': str(plain),
                'KINESIS_MOCK_TLS_PORT': str(tls), 'LOG_LEVEL': 'ERROR', 'SHARD_LIMIT': '500', **environment}
    with lasting([*_node('loopback.js'), main], folder / 'kinesis-local.log', settings):
        wait_for(f'http://{LOOPBACK}:{plain}/healthcheck')
        yield f'http://{LOOPBACK}:{plain}'


@contextlib.contextmanager
def kinesalite(folder: pathlib.Path, *options: str) -> Iterator[str]:
    """Run kinesalite; yield its endpoint.

    It does not slow down with the number of records, but hangs on AT_TIMESTAMP past the last record.
    """
    (port,) = free_ports(1)
    cli = _node_module('kinesalite') / 'cli.js'
    with lasting([*_node('loopback.js', 'outlive.js'), cli, '--port', str(port), '--shardLimit', '500', *options],
                 folder / 'kinesalite.log', {}):
        wait_for(f'http://{LOOPBACK}:{port}/')
        yield f'http://{LOOPBACK}:{port}'


@contextlib.contextmanager
def seaweedfs(folder: pathlib.Path, port: int = 0) -> Iterator[str]:
    """Run SeaweedFS with the data below `folder`; yield its endpoint.

    This S3 checks signatures, and keeps what it stored when it is killed.
    """
    weed = BESIDE / 'weed'
    (folder / 'weed').mkdir(parents=True, exist_ok=True)
    s3, *others = [port, *free_ports(9)] if port else free_ports(10)
    names = ('master.port', 'master.port.grpc', 'volume.port', 'volume.port.grpc', 'filer.port', 'filer.port.grpc',
             's3.port.grpc', 'admin.port', 'admin.port.grpc')
    ports = [f'-{name}={other}' for name, other in zip(names, others, strict=True)]
    with lasting([weed, 'mini', f'-ip={LOOPBACK}', f'-ip.bind={LOOPBACK}', f'-dir={folder / "weed"}', f'-s3.port={s3}',
                  *ports, '-s3.port.iceberg=0', '-s3.port.lance=0', '-webdav=false',
                  '-admin.ui=false', '-master.telemetry=false'],
                 folder / 'weed.log', CREDENTIALS):
        wait_for(f'http://{LOOPBACK}:{s3}/healthz')
        yield f'http://{LOOPBACK}:{s3}'


@contextlib.contextmanager
def proxy(folder: pathlib.Path, upstream: str, addon: pathlib.Path, **environment: str) -> Iterator[str]:
    """Run mitmproxy in front of a server; yield its endpoint. `addon` spoils calls."""
    mitmdump = TOOLS / 'mitmproxy/bin/mitmdump'
    if not mitmdump.exists():
        pytest.skip('needs mitmproxy: ./run.sh test installs it')
    (port,) = free_ports(1)
    with lasting([mitmdump, '-q', '--mode', f'reverse:{upstream}', '--listen-host', LOOPBACK, '-p', str(port),
                  '--set', 'keep_host_header=true', '--set', f'confdir={folder / "mitmproxy"}', '-s', addon],
                 folder / 'mitmproxy.log', environment):
        wait_for(f'http://{LOOPBACK}:{port}/')
        yield f'http://{LOOPBACK}:{port}'


@contextlib.contextmanager
def lasting(command: Sequence[object], log: pathlib.Path, environment: Mapping[str, str]) -> Iterator[None]:
    """Run a server until the block ends. Raise RuntimeError with the end of its log if it ended before."""
    with server(command, log, environment) as process:
        try:
            yield
        finally:
            if (code := process.poll()) is not None:
                raise RuntimeError(f'{log.stem} ended with {code}: {log.read_text(errors="replace")[-2000:]}')


@contextlib.contextmanager
def server(command: Sequence[object], log: pathlib.Path, environment: Mapping[str, str]) -> Iterator[subprocess.Popen]:
    """Run a process in its own session until the block ends; its output goes to `log`."""
    with open(log, 'ab') as out:
        process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                   env={**demo_environment(), **environment}, start_new_session=True)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(GONE_S)


def free_ports(count: int) -> list[int]:
    """Return ports of the loopback interface on which nothing listens now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((LOOPBACK, 0))
        return [one.getsockname()[1] for one in sockets]


def wait_for(url: str) -> None:
    """Wait until that URL answers by HTTP, also with an error."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def answers() -> bool:
        try:
            opener.open(url, timeout=5).close()
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True
    wait_until(answers, f'an answer of {url}')


def _node(*preloaded: str) -> list[object]:
    return ['node', *(word for name in preloaded for word in ('-r', ROOT / 'tests/tools' / name))]


def _node_module(name: str) -> pathlib.Path:
    module = TOOLS / 'node_modules' / name
    if not (module.exists() and shutil.which('node')):
        pytest.skip(f'needs {name}: install Node.js, then ./run.sh test installs it')
    return module
