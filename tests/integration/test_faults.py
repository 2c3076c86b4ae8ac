"""A network and a Kinesis that fail for a while, or forever, between a job that goes on and a real server."""
from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.destinations import Folder
from tests.integration.external_servers import client, kinesis_local
from tests.integration.jobs import Jobs, end, kill, wait_for_job, windows_of
from tests.integration.lake import needs_prism
from tests.integration.spoiled_kinesis import Spoiled, spoiled
from tests.integration.stream import Stream
from tests.waiting import wait_until

pytestmark = pytest.mark.timeout(600)
EVERY_CALL: tuple[str, ...] = ()
FAULTS = [
    ('throttle', ('GetRecords',), 5), ('fail', ('GetRecords', 'ListShards'), 5), ('reset', ('GetRecords',), 5),
    ('lose', ('GetRecords', 'GetShardIterator'), 5), ('expire', ('GetRecords',), 5),
    ('garble', EVERY_CALL, 5), ('hang', ('GetRecords',), 5), ('reset', EVERY_CALL, 30)]


@dataclasses.dataclass
class Live:
    """A continuous job behind a proxy that spoils its calls, while a producer writes."""

    spoiled: Spoiled
    stream: Stream
    jobs: Jobs
    job: subprocess.Popen[str]
    producing: contextlib.ExitStack

    def committed_ms(self) -> int:
        """Return the end of the last window with a manifest, 0 if there is none."""
        return max((manifest['end_ms'] for manifest in self.jobs.whole_manifests('live').values()), default=0)

    def wait_past(self, moment_ms: int) -> None:
        """Wait until the window that holds that moment is committed."""
        wait_for_job(self.job, lambda: self.committed_ms() > moment_ms, f'a window committed after {moment_ms}')

    def spoiled_calls(self, fault: str, since_ms: int) -> list[dict[str, Any]]:
        """Return the calls spoiled by a fault from a time on."""
        return [call for call in self.spoiled.calls() if call['fault'] == fault and call['at'] * 1000 >= since_ms]


@pytest.fixture(scope='module')
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    needs_prism()
    folder = tmp_path_factory.mktemp('faults')
    with kinesis_local(folder) as endpoint, spoiled(folder, endpoint) as proxied:
        stream = Stream(client('kinesis', endpoint), 'events', 2)
        jobs = Jobs(proxied.endpoint, ['events'], Folder(folder / 'out'), slack_s=3)
        job = jobs.start('live', '--start', 'earliest', '--runner', 'PrismRunner')
        with contextlib.ExitStack() as producing:
            producing.enter_context(stream.producer())
            try:
                yield Live(proxied, stream, jobs, job, producing)
            finally:
                kill(job)


@pytest.mark.parametrize('fault, calls, seconds', FAULTS, ids=[f'{fault} {" ".join(calls) or "all"}'
                                                              for fault, calls, _ in FAULTS])
def test_output_waits_while_calls_fail_and_goes_on_afterwards(
        live: Live, fault: str, calls: tuple[str, ...], seconds: int) -> None:
    live.wait_past(now_ms() - 10_000)
    print(f'\n{fault} of {" ".join(calls) or "all calls"}, {seconds} s')

    spoiled_ms = now_ms()
    live.spoiled.spoil(fault, *calls)
    _watch(live, spoiled_ms, seconds)
    wait_until(lambda: live.spoiled_calls(fault, spoiled_ms), f'a call spoiled by {fault}')
    held_ms = live.committed_ms()
    live.spoiled.mend()
    mended_ms = now_ms()
    live.wait_past(mended_ms)

    hit = live.spoiled_calls(fault, spoiled_ms)
    assert {call['call'] for call in hit} <= set(calls or (call['call'] for call in hit))
    assert held_ms <= spoiled_ms  # no window was committed that nobody could read
    print(f'  {now_ms() - mended_ms:6} ms after the end: committed past it; {len(hit)} calls spoiled')


def test_nothing_was_lost_or_doubled_by_any_of_them(live: Live) -> None:
    live.spoiled.mend()
    live.producing.close()
    live.wait_past(now_ms())
    report = end(live.job)
    _, stop = windows_of(live.jobs.manifests('live'))
    live.jobs.run('one', '--start', 'earliest', '--stop', stop)

    assert 'not complete' not in report
    assert live.jobs.backup('live') == live.stream.backup()
    assert live.jobs.objects('live') == live.jobs.objects('one')
    assert live.jobs.manifests('live') == live.jobs.manifests('one')


def now_ms() -> int:
    """Return the time of the servers, which run on this machine."""
    return time.time_ns() // 1_000_000


def _watch(live: Live, began_ms: int, seconds: int) -> None:
    """Print every second how far the last committed window is from the beginning of the fault."""
    for _ in range(seconds):
        time.sleep(1)
        print(f'  {now_ms() - began_ms:6} ms: committed up to {live.committed_ms() - began_ms:+7} ms')


@pytest.fixture(scope='module')
def denied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Spoiled, Stream]]:
    folder = tmp_path_factory.mktemp('denied')
    with kinesis_local(folder) as endpoint, spoiled(folder, endpoint) as proxied:
        stream = Stream(client('kinesis', endpoint), 'events', 1)
        stream.put_for(1)  # there is a window to read
        yield proxied, stream


@pytest.mark.parametrize('call, runner', [
    ('GetRecords', 'DirectRunner'), ('GetRecords', 'PrismRunner'), ('ListShards', 'DirectRunner'),
    ('DescribeStreamSummary', 'DirectRunner')])
def test_a_call_that_is_denied_for_good_ends_the_job_with_one_line(
        denied: tuple[Spoiled, Stream], tmp_path: pathlib.Path, call: str, runner: str) -> None:
    if runner == 'PrismRunner':
        needs_prism()
    proxied, _ = denied
    proxied.spoil('deny', call)
    before = len(proxied.calls())

    output = Jobs(proxied.endpoint, ['events'], Folder(tmp_path)).run(
        'job', '--start', 'earliest', '--runner', runner,
        code=2 if call == 'DescribeStreamSummary' else 1)  # 2: that is asked before anything is written

    error = [line for line in output.splitlines() if line.startswith('pipeline: error: ')]
    assert len(error) == 1, output
    assert 'stream events' in error[0] and f'grant kinesis:{call}' in error[0]
    assert 'Traceback' not in output
    assert [asked['call'] for asked in proxied.calls()[before:] if asked['fault'] == 'deny'] == [call]
