"""Split and merged shards on two Kinesis servers written by others: every record once, and the same objects."""
from __future__ import annotations

import dataclasses
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.integration.destinations import Folder
from tests.integration.external_servers import client, kinesalite, kinesis_local
from tests.integration.jobs import Jobs, end, finish, kill, wait_for_job, windows_of
from tests.integration.lake import needs_prism
from tests.integration.stream import Stream

pytestmark = pytest.mark.timeout(900)
SERVERS = {'kinesis-local': kinesis_local, 'kinesalite': kinesalite}
#: Continuous jobs, by the prefix that they write under.
LIVE = {'live-prism': ['--runner', 'PrismRunner'], 'live-three-readers': ['--readers', '3']}
READERS = [('one-reader', []), ('three-readers', ['--readers', '3'])]


@dataclasses.dataclass
class Resharded:
    """A stream that was resharded, the jobs that ran meanwhile, and one bounded read of all of it (`one`)."""

    stream: Stream
    jobs: Jobs
    start: str
    stop: str


@pytest.fixture(scope='module', params=SERVERS)
def history(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Resharded]:
    """Reshard a stream that is written to: once before any job, then several times while jobs run.

    The jobs `live-...` run meanwhile; the jobs `stopped-...` have ended before it and are to resume later.
    """
    needs_prism()
    folder = tmp_path_factory.mktemp('reshard')
    with SERVERS[request.param](folder) as endpoint:
        stream = Stream(client('kinesis', endpoint), 'events', 2)
        jobs = Jobs(endpoint, ['events'], Folder(folder / 'out'), slack_s=4)
        stream.put_to_all()
        live = {prefix: jobs.start(prefix, *options) for prefix, options in LIVE.items()}
        try:
            _reshard(stream, jobs, live)
            time.sleep(1.1)  # past the window of the last put
            jobs.run('one', '--start', 'earliest', '--stop', 'now')
            start, stop = windows_of(jobs.manifests('one'))
            _wait_for_manifests(jobs, live, last=max(jobs.manifests('one')))
            for job in live.values():
                end(job)
        finally:
            for job in live.values():
                kill(job)
        yield Resharded(stream, jobs, start, stop)


def _reshard(stream: Stream, jobs: Jobs, live: dict[str, subprocess.Popen[str]]) -> None:
    """Change the shards while a producer writes."""
    with stream.producer():
        stream.split(0)
        for job in [jobs.start(f'stopped-{name}', '--start', 'earliest', '--stop', 'now', *options)
                    for name, options in READERS]:
            finish(job)
        _wait_for_manifests(jobs, live)
        stream.split(1)   # a child
        stream.merge(0)   # a shard that was there from the beginning, with a child of a child
        stream.split(2)
        stream.merge(1)
        stream.split(0)
        stream.put_for(2)


def test_a_bounded_read_has_every_record_once(history: Resharded) -> None:
    assert len({put.shard for put in history.stream.puts}) == 2 + 2 + 2 + 1 + 2 + 1 + 2
    assert history.jobs.backup('one') == history.stream.backup()
    assert sorted(line['number'] for line in history.jobs.lines('one', 'events/')) == history.stream.numbers


@pytest.mark.parametrize('options', [
    ['--readers', '3'], ['--runner', 'PrismRunner']], ids=['three readers', 'prism'])
def test_readers_and_runners_give_the_same_objects(history: Resharded, options: list[str]) -> None:
    if 'PrismRunner' in options:
        needs_prism()
    prefix = '-'.join(option.strip('-') for option in options)

    report = history.jobs.run(prefix, '--start', history.start, '--stop', history.stop, *options)

    assert 'incomplete' not in report
    _same_as_one_read(history, prefix)


@pytest.mark.parametrize('name, options', READERS)
def test_a_job_that_was_stopped_meanwhile_goes_on_in_the_children(
        history: Resharded, name: str, options: list[str]) -> None:
    report = history.jobs.run(f'stopped-{name}', '--start', 'resume', '--stop', history.stop, *options)

    assert 'incomplete' not in report
    _same_as_one_read(history, f'stopped-{name}')


@pytest.mark.parametrize('prefix', LIVE)
def test_a_continuous_job_wrote_the_same_while_it_happened(history: Resharded, prefix: str) -> None:
    _same_as_one_read(history, prefix)


def _same_as_one_read(history: Resharded, prefix: str) -> None:
    assert history.jobs.objects(prefix) == history.jobs.objects('one')
    found, expected = history.jobs.manifests(prefix), history.jobs.manifests('one')
    assert {key: found.get(key) for key in expected} == expected


def _wait_for_manifests(jobs: Jobs, live: dict[str, subprocess.Popen[str]], last: str = '') -> None:
    """Wait until each continuous job has committed the window `last`, or any without one."""
    for prefix, job in live.items():
        wait_for_job(job, lambda prefix=prefix: any(
            last in ('', key) for key in jobs.output.tags(prefix) if key.startswith('manifests/')), f'{prefix}/{last}')
