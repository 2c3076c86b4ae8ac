"""Several streams in one job and one prefix, by name and by ARN, with labels and without."""
from __future__ import annotations

import collections
import json
import pathlib
import time
from collections.abc import Iterator

import pytest

from pipeline.local.servers import Put, put_records
from tests.integration.destinations import Folder
from tests.integration.external_servers import client, kinesis_local
from tests.integration.jobs import Jobs, decoded, windows_of

pytestmark = pytest.mark.timeout(600)
NAMES = ('phones', 'tablets', 'others')
STREAMS = ('ios=phones', 'android=arn:aws:kinesis:us-east-1:000000000000:stream/tablets', 'others')


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return tmp_path_factory.mktemp('streams')


@pytest.fixture(scope='module')
def read(folder: pathlib.Path) -> Iterator[tuple[Jobs, dict[str, list[Put]]]]:
    """Three streams that were written in turns, read once into `one`; each third event has its own platform."""
    with kinesis_local(folder) as endpoint:
        kinesis = client('kinesis', endpoint)
        for shards, name in enumerate(NAMES, start=1):
            kinesis.create_stream(StreamName=name, ShardCount=shards)
        for name in NAMES:
            kinesis.get_waiter('stream_exists').wait(StreamName=name, WaiterConfig={'Delay': 1, 'MaxAttempts': 60})
        puts: dict[str, list[Put]] = {name: [] for name in NAMES}
        for turn in range(4):
            for name in NAMES:
                puts[name] += put_records(kinesis, name, [(f'{at}', _event(name, turn, at)) for at in range(9)])
            time.sleep(1)
        jobs = Jobs(endpoint, STREAMS, Folder(folder / 'out'))
        jobs.run('one', '--start', 'earliest', '--stop', 'now')
        yield jobs, puts


def _event(name: str, turn: int, at: int) -> bytes:
    event = {'id': f'{name} {turn} {at}', **({'platform': 'Web'} if at % 3 == 0 else {})}
    return json.dumps(event).encode()


def test_a_label_is_the_platform_of_events_that_carry_none(read: tuple[Jobs, dict[str, list[Put]]]) -> None:
    jobs, _ = read
    found = collections.Counter[tuple[str, str]]()
    for key in jobs.objects('one'):
        if key.startswith('events/'):
            platform = key.split('platform=')[1].split('/')[0]
            found.update((platform, line['id'].split()[0]) for line in decoded(jobs.get('one', key)))

    assert found == {('web', name): 12 for name in NAMES} | {
        ('ios', 'phones'): 24, ('android', 'tablets'): 24, ('unknown', 'others'): 24}


def test_every_record_of_every_stream_is_in_the_backup_once(read: tuple[Jobs, dict[str, list[Put]]]) -> None:
    jobs, puts = read
    found = [(line['streamName'], line['shardId'], line['sequenceNumber']) for line in jobs.lines('one', 'backup/')]

    assert sorted(found) == sorted((name, put.shard, put.sequence) for name in NAMES for put in puts[name])


def test_the_manifests_tell_the_shards_of_the_streams_apart(read: tuple[Jobs, dict[str, list[Put]]]) -> None:
    jobs, puts = read
    counts = collections.Counter[str]()
    for manifest in jobs.manifests('one').values():
        counts.update({key: account['records'] for key, account in manifest['accounts'].items()})

    assert counts == collections.Counter(f'{name}/{put.shard}' for name in NAMES for put in puts[name])


@pytest.mark.parametrize('readers', ['2', '5'])
def test_readers_that_share_the_streams_change_no_byte(
        read: tuple[Jobs, dict[str, list[Put]]], readers: str) -> None:
    jobs, _ = read
    start, stop = windows_of(jobs.manifests('one'))

    jobs.run(f'by-{readers}', '--start', start, '--stop', stop, '--readers', readers)

    assert jobs.objects(f'by-{readers}') == jobs.objects('one')
    assert jobs.manifests(f'by-{readers}') == jobs.manifests('one')


def test_a_stream_by_its_name_is_the_same_as_by_its_arn(
        read: tuple[Jobs, dict[str, list[Put]]], folder: pathlib.Path) -> None:
    jobs, _ = read
    start, stop = windows_of(jobs.manifests('one'))
    named = Jobs(jobs.endpoint, ['others', 'android=tablets', 'ios=phones'], Folder(folder / 'out'))

    named.run('named', '--start', start, '--stop', stop)

    assert named.objects('named') == jobs.objects('one')
    assert named.manifests('named') == jobs.manifests('one')


def test_going_on_without_one_of_the_streams_is_refused(
        read: tuple[Jobs, dict[str, list[Put]]], folder: pathlib.Path) -> None:
    jobs, _ = read
    fewer = Jobs(jobs.endpoint, STREAMS[:2], Folder(folder / 'out'))

    refusal = fewer.run('one', '--stop', 'now', code=2)

    assert '--stream: was others ios=phones android=tablets, is ios=phones android=tablets' in refusal
