"""How often a job reads a shard, and how far apart its shards may be, measured at the server.

The job waits after an answer, so its calls come no sooner at the server, however slow the machine is.
"""
from __future__ import annotations

import pathlib
import time

import pytest

from pipeline.windows import align_down, iso
from tests.integration.destinations import Folder
from tests.integration.external_servers import client, kinesis_local
from tests.integration.jobs import FLUSH_MS, Jobs, kill, wait_for_job
from tests.integration.lake import needs_prism
from tests.integration.spoiled_kinesis import Spoiled, spoiled
from tests.integration.stream import Stream
from tests.integration.stub import Stub, StubRecord, serve

pytestmark = pytest.mark.timeout(600)
RUNNERS = ['DirectRunner', 'PrismRunner']
#: Kinesis allows five GetRecords a second and shard, and others read the stream too.
MOST = 4
SHARDS, PAGES = 3, 16
#: A page covers so much time: four a window.
PAGE_MS = FLUSH_MS // 4


@pytest.mark.parametrize('runner', RUNNERS)
def test_a_shard_behind_is_asked_at_most_four_times_a_second(tmp_path: pathlib.Path, runner: str) -> None:
    stub, start_ms = _history()

    _read(stub, start_ms, PAGES // 4, tmp_path, runner)

    for shard in {asked.shard for asked in stub.asked}:
        times = [asked.at for asked in stub.asked if asked.shard == shard and asked.last_ms]
        assert len(times) == PAGES  # each page once: no bundle asked for what another one had
        assert _most_in_a_second(times) <= MOST
        print(f'{runner}, {shard}: {(PAGES - 1) / (times[-1] - times[0]):.1f} calls a second')


@pytest.mark.parametrize('runner, flush_s', [('DirectRunner', 1), ('PrismRunner', 60)])
def test_a_shard_at_the_tip_is_asked_about_once_a_second(tmp_path: pathlib.Path, runner: str, flush_s: int) -> None:
    if runner == 'PrismRunner':
        needs_prism()
    stub, _ = _history(pages=0)
    with serve(stub) as endpoint:
        jobs = Jobs(endpoint, ['events'], Folder(tmp_path))
        job = jobs.start('job', '--start', 'latest', '--runner', runner, '--flush_interval_s', str(flush_s))
        wait_for_job(job, lambda: len(stub.asked) >= SHARDS * 8, 'eight calls a shard')
        kill(job)

    for shard in {asked.shard for asked in stub.asked}:
        times = [asked.at for asked in stub.asked if asked.shard == shard]
        assert _most_in_a_second(times) <= 2  # two that are just less than a second apart, by the server's clock
        assert len(times) <= (times[-1] - times[0]) * 1.1 + 1


@pytest.mark.parametrize('runner', RUNNERS)
def test_a_server_that_others_wrote_is_asked_no_more_often(tmp_path: pathlib.Path, runner: str) -> None:
    if runner == 'PrismRunner':
        needs_prism()
    with kinesis_local(tmp_path) as endpoint, spoiled(tmp_path, endpoint) as proxied:
        Stream(client('kinesis', endpoint), 'events', 2).put_for(4)
        jobs = Jobs(proxied.endpoint, ['events'], Folder(tmp_path))
        job = jobs.start('job', '--start', 'earliest', '--runner', runner)
        wait_for_job(job, lambda: len(_asked(proxied)) >= 2 * 24, '24 calls a shard')
        kill(job)
        asked = _asked(proxied)

    for shard in {shard for _, shard in asked}:
        times = [at for at, other in asked if other == shard]
        assert _most_in_a_second(times) <= MOST
        at_the_tip = times[-10:]
        print(f'{runner}, {shard}: {9 / (at_the_tip[-1] - at_the_tip[0]):.1f} calls a second at the tip')
        assert 9 / (at_the_tip[-1] - at_the_tip[0]) <= 1.5


@pytest.mark.parametrize('runner', RUNNERS)
def test_a_slow_shard_holds_the_others_within_a_window(tmp_path: pathlib.Path, runner: str) -> None:
    stub, start_ms = _history(slow_s=0.5)

    _read(stub, start_ms, PAGES // 4, tmp_path, runner)

    reached = dict.fromkeys({asked.shard for asked in stub.asked}, start_ms)
    for asked in stub.asked:
        if asked.last_ms:
            reached[asked.shard] = asked.last_ms
            # A page may reach into the next window: there it is cut, and its rest waits.
            assert max(reached.values()) - min(reached.values()) <= FLUSH_MS + PAGE_MS


def _history(pages: int = PAGES, slow_s: float = 0.0) -> tuple[Stub, int]:
    """Make a stream of ten minutes ago whose first shard is slow."""
    start_ms = align_down(time.time_ns() // 1_000_000 - 600_000, FLUSH_MS)

    def page(shard: int, place: int) -> list[StubRecord]:
        return [StubRecord(start_ms + place * PAGE_MS + at * 10 + shard, b'{"a":1}') for at in range(PAGE_MS // 10)]

    return Stub(SHARDS, pages, page, start_ms, lambda shard: slow_s if shard == 0 else 0.0), start_ms


def _read(stub: Stub, start_ms: int, windows: int, folder: pathlib.Path, runner: str) -> None:
    if runner == 'PrismRunner':
        needs_prism()
    with serve(stub) as endpoint:
        jobs = Jobs(endpoint, ['events'], Folder(folder))
        jobs.run('job', '--start', 'earliest', '--stop', iso(start_ms + windows * FLUSH_MS), '--runner', runner)
    assert len(jobs.lines('job', 'events/')) == SHARDS * PAGES * (PAGE_MS // 10)


def _most_in_a_second(times: list[float]) -> int:
    return max(sum(first <= other < first + 1 for other in times) for first in times)


def _asked(proxied: Spoiled) -> list[tuple[float, str]]:
    return [(call['at'], call['shard']) for call in proxied.calls() if call['call'] == 'GetRecords']
