"""Jobs run by their real command line, and what they wrote."""
from __future__ import annotations

import base64
import contextlib
import gzip
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from pipeline.local.servers import demo_environment
from pipeline.options.types import iso_ms
from tests.integration.destinations import Output
from tests.waiting import TIMEOUT_S, wait_until

T = TypeVar('T')
ROOT = pathlib.Path(__file__).parents[2]
FLUSH_MS = 1000


class Jobs:
    """Jobs that read the same streams in windows of a second, each into a prefix of its own."""

    def __init__(self, endpoint: str, streams: Sequence[str], output: Output, slack_s: int = 1) -> None:
        self.endpoint, self.streams, self.output, self.slack_s = endpoint, streams, output, slack_s

    def command(self, prefix: str, *options: str) -> list[str]:
        """Return the command line of a job that reads the streams and writes under that prefix."""
        return [sys.executable, '-m', 'pipeline', *(f'--stream={stream}' for stream in self.streams),
                '--output', self.output.uri(prefix), '--flush_interval_s', str(FLUSH_MS // 1000),
                '--slack_s', str(self.slack_s), '--kinesis_endpoint_url', self.endpoint,
                *self.output.options, *options, *(['--open_job_port'] if 'PrismRunner' in options else [])]

    def start(self, prefix: str, *options: str) -> subprocess.Popen[str]:
        """Start a job."""
        return subprocess.Popen(self.command(prefix, *options), cwd=ROOT, env=demo_environment(), text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)

    def run(self, prefix: str, *options: str, code: int = 0) -> str:
        """Run a job to its end, and again if Prism fails by a fault of its own. Return what it printed."""
        while True:
            job = self.start(prefix, *options)
            said = _output(job)
            if not prism_failed(job.returncode, said):
                return _checked(job, said, code)

    def objects(self, prefix: str) -> dict[str, str]:
        """Return a digest of each object under events/, errors/ and backup/, by key below the prefix."""
        kinds = ('events/', 'errors/', 'backup/')
        return {key: tag for key, tag in self.output.tags(prefix).items() if key.startswith(kinds)}

    def manifests(self, prefix: str) -> dict[str, Any]:
        """Return the manifests without their positions."""
        return {key: {name: value for name, value in manifest.items() if name != 'positions'}
                for key, manifest in self.whole_manifests(prefix).items()}

    def whole_manifests(self, prefix: str) -> dict[str, Any]:
        """Return the manifests."""
        return {key: json.loads(self.get(prefix, key)) for key in sorted(self.output.tags(prefix))
                if key.startswith('manifests/')}

    def get(self, prefix: str, key: str) -> bytes:
        """Read an object."""
        return self.output.get(prefix, key)

    def lines(self, prefix: str, kind: str) -> list[Any]:
        """Return every line under events/, errors/ or backup/, decoded."""
        return [line for key in sorted(self.objects(prefix)) if key.startswith(kind)
                for line in decoded(self.get(prefix, key))]

    def backup(self, prefix: str) -> dict[tuple[str, str], bytes]:
        """Return the records in the backup, by shard and sequence number. Fail if one is there twice."""
        lines = self.lines(prefix, 'backup/')
        found = {(line['shardId'], line['sequenceNumber']): base64.b64decode(line['data']) for line in lines}
        assert len(found) == len(lines)
        return found


def decoded(stored: bytes) -> list[Any]:
    """Return the lines of an object."""
    return [json.loads(line) for line in gzip.decompress(stored).splitlines()]


def prism_failed(code: int | None, said: str) -> bool:
    """Return whether a job ended by a panic of Prism; on a machine short of CPU it does so now and then."""
    return code == 1 and 'Prism failed by a fault of its own' in said


def finish(job: subprocess.Popen[str], code: int = 0) -> str:
    """Wait for the end of a job. Return what it printed. Fail if its exit code is another one."""
    return _checked(job, _output(job), code)


def _output(job: subprocess.Popen[str]) -> str:
    """Wait for the end of a job. Return what it printed. Fail if it does not end."""
    try:
        out, err = job.communicate(timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        out, err = kill(job)
        raise AssertionError(f'the job did not end within {TIMEOUT_S:g} s:\n{out}\n{err}') from None
    return out + err


def _checked(job: subprocess.Popen[str], said: str, code: int) -> str:
    assert job.returncode == code, (job.returncode, said)
    return said


def wait_for_job(job: subprocess.Popen[str], condition: Callable[[], T], what: str) -> T:
    """Wait until a condition holds while a job runs. Return its value; fail if the job ends before."""
    def value_while_it_runs() -> T:
        value = condition()
        assert value or job.poll() is None, f'the job ended without {what}'
        return value
    try:
        return wait_until(value_while_it_runs, what)
    except AssertionError as error:
        raise AssertionError(f'{error}: {kill(job)}') from None


def kill(job: subprocess.Popen[str]) -> tuple[str, str]:
    """Kill a job and the processes that it started. Return what it printed."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(job.pid, signal.SIGKILL)
    return job.communicate()


def end(job: subprocess.Popen[str]) -> str:
    """End a continuous job as an operator does. Return what it printed."""
    job.send_signal(signal.SIGTERM)
    return finish(job)


def windows_of(manifests: dict[str, Any]) -> tuple[str, str]:
    """Return --start and --stop of the time that these manifests cover. Fail if one between them is missing."""
    starts = sorted(manifest['window_ms'] for manifest in manifests.values())
    assert starts == list(range(starts[0], starts[-1] + FLUSH_MS, FLUSH_MS))
    ends = sorted(manifest['window'] for manifest in manifests.values())
    last = iso_ms(ends[-1])
    assert last is not None
    return ends[0], time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime((last + FLUSH_MS) / 1000))


def time_in(text: str, words: str) -> int:
    """Return the time that follows these words, in epoch ms."""
    found = iso_ms(text.split(words)[1].split()[0])
    assert found is not None
    return found
