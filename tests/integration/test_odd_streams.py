"""Unusual streams and records."""
from __future__ import annotations

import base64
import json
import pathlib
import random
import time
from collections.abc import Iterator

import pytest

from pipeline.local.servers import put_records
from pipeline.windows import align_down, iso
from tests.integration.destinations import Folder
from tests.integration.external_servers import client, kinesis_local
from tests.integration.jobs import FLUSH_MS, Jobs, finish, wait_for_job, windows_of
from tests.integration.lake import needs_prism
from tests.integration.stream import Stream

pytestmark = pytest.mark.timeout(600)
MIB = 1 << 20


@pytest.fixture(scope='module')
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with kinesis_local(tmp_path_factory.mktemp('kinesis'), SPLIT_SHARD_DURATION='12s') as endpoint:
        yield endpoint


@pytest.fixture(scope='module')
def stream(endpoint: str) -> Stream:
    """A stream of two shards without records."""
    return Stream(client('kinesis', endpoint), 'odd', 2)


def test_a_stream_without_a_record_gives_windows_without_objects(
        endpoint: str, stream: Stream, tmp_path: pathlib.Path) -> None:
    jobs = Jobs(endpoint, ['odd'], Folder(tmp_path))

    jobs.run('job', '--start', 'earliest', '--stop', 'now')

    manifests = jobs.manifests('job').values()
    assert manifests and not any(manifest['objects'] for manifest in manifests)
    assert jobs.objects('job') == {}


def test_records_of_any_bytes_and_keys_are_kept_as_they_came(
        endpoint: str, stream: Stream, tmp_path: pathlib.Path) -> None:
    garbage = random.Random(1).randbytes(MIB)
    records = [(key, json.dumps({'key': key}).encode()) for key in (
        'two\nlines', '\U0001f4f1', 'k' * 256, '"quoted"\\', '../../up', 'tab\tnul\x00', '0')]
    records += [('garbage', garbage), ('garbage', garbage[:1]), ('newline', b'\n'), ('blank', b'  \r\n\t'),
                ('nul', b'\x00'), ('open', b'{' * MIB), ('array', b'[' * 500_000 + b']' * 500_000)]
    puts = put_records(stream.kinesis, 'odd', records)
    jobs = Jobs(endpoint, ['odd'], Folder(tmp_path))
    time.sleep(1.1)

    jobs.run('job', '--start', 'earliest', '--stop', 'now')

    assert jobs.backup('job') == {(put.shard, put.sequence): put.data for put in puts}
    assert {line['partitionKey'] for line in jobs.lines('job', 'backup/')} == {key for key, _ in records}
    assert {line['key'] for line in jobs.lines('job', 'events/')} == {key for key, _ in records[:7]}
    errors = {(line['partitionKey'], len(base64.b64decode(line['rawData']))) for line in jobs.lines('job', 'errors/')}
    assert errors == {('garbage', MIB), ('garbage', 1), ('nul', 1), ('open', MIB), ('array', 1_000_000)}


def test_an_empty_record_is_counted_and_kept(endpoint: str, tmp_path: pathlib.Path) -> None:
    stream = Stream(client('kinesis', endpoint), 'empty', 1)
    puts = put_records(stream.kinesis, 'empty', [('a', b''), ('b', b'{}'), ('c', b'')])
    jobs = Jobs(endpoint, ['empty'], Folder(tmp_path))
    time.sleep(1.1)

    jobs.run('job', '--start', 'earliest', '--stop', 'now')

    assert jobs.backup('job') == {(put.shard, put.sequence): put.data for put in puts}
    assert sum(manifest['counts']['empty'] for manifest in jobs.manifests('job').values()) == 2
    assert jobs.lines('job', 'events/') == [{}]


@pytest.mark.parametrize('runner', ['DirectRunner', 'PrismRunner'])
def test_a_stream_that_is_deleted_under_the_job_ends_it_with_one_line(
        endpoint: str, tmp_path: pathlib.Path, runner: str) -> None:
    if runner == 'PrismRunner':
        needs_prism()
    stream = Stream(client('kinesis', endpoint), f'gone-{runner}', 2)
    jobs = Jobs(endpoint, [stream.name], Folder(tmp_path))
    stream.put()
    job = jobs.start('job', '--start', 'earliest', '--runner', runner)
    wait_for_job(job, lambda: jobs.objects('job'), 'an object')

    stream.kinesis.delete_stream(StreamName=stream.name)
    output = finish(job, code=1)

    error = [line for line in output.splitlines() if line.startswith('pipeline: error: ')]
    assert len(error) == 1, output
    assert stream.name in error[0] and 'check the name of the stream' in error[0]
    assert 'Traceback' not in output


def test_when_one_of_two_streams_is_deleted_the_job_ends_and_goes_on_with_the_other_as_it_says(
        endpoint: str, tmp_path: pathlib.Path) -> None:
    kept, old = (Stream(client('kinesis', endpoint), name, 1) for name in ('kept', 'old'))
    both, alone = (Jobs(endpoint, names, Folder(tmp_path)) for names in (['kept', 'old'], ['kept']))
    for stream in (kept, old):
        stream.put()
    job = both.start('job', '--start', 'earliest')
    wait_for_job(job, lambda: len(both.backup('job')) == 40, 'the records of both')

    old.kinesis.delete_stream(StreamName='old')
    output = finish(job, code=1)
    kept.put()
    time.sleep(1.1)

    error = [line for line in output.splitlines() if line.startswith('pipeline: error: ')]
    assert len(error) == 1, output
    for said in (error[0], both.run('job', '--stop', 'now', code=2)):
        assert 'if it was deleted, leave out --stream old and give --new_layout' in said
    assert 'keep to it, or give --new_layout' in alone.run('job', '--stop', 'now', code=2)
    report = alone.run('job', '--stop', 'now', '--new_layout')
    assert 'note       stream old is left out: what arrived in it from' in report
    assert 'left out' not in alone.run('job', '--stop', 'now')
    assert alone.backup('job') == kept.backup() | old.backup()


def test_a_stream_that_is_just_being_made_is_waited_for(tmp_path: pathlib.Path) -> None:
    with kinesis_local(tmp_path, CREATE_STREAM_DURATION='12s') as endpoint:
        kinesis = client('kinesis', endpoint)
        kinesis.create_stream(StreamName='young', ShardCount=1)
        status = kinesis.describe_stream_summary(StreamName='young')['StreamDescriptionSummary']['StreamStatus']
        stop_ms = align_down(time.time_ns() // 1_000_000, FLUSH_MS) + 2 * FLUSH_MS
        jobs = Jobs(endpoint, ['young'], Folder(tmp_path / 'out'))

        jobs.run('job', '--start', 'earliest', '--stop', iso(stop_ms))

    assert status == 'CREATING'
    assert jobs.manifests('job')


def test_a_stream_that_is_being_resharded_is_read_meanwhile(endpoint: str, tmp_path: pathlib.Path) -> None:
    stream = Stream(client('kinesis', endpoint), 'changing', 1)
    stream.put()
    time.sleep(1.1)
    stream.kinesis.split_shard(StreamName='changing', ShardToSplit='shardId-000000000000',
                               NewStartingHashKey=str(1 << 127))
    status = stream.status()
    jobs = Jobs(endpoint, ['changing'], Folder(tmp_path))

    jobs.run('job', '--start', 'earliest', '--stop', 'now')

    assert status == 'UPDATING'
    assert jobs.backup('job') == stream.backup()


def test_shards_that_closed_without_a_record_hold_nothing_up(tmp_path: pathlib.Path) -> None:
    with kinesis_local(tmp_path) as endpoint:
        stream = Stream(client('kinesis', endpoint), 'hollow', 1)
        jobs = Jobs(endpoint, ['hollow'], Folder(tmp_path / 'out'))
        for _ in range(3):
            stream.split(0, empty=True)
        jobs.run('job', '--start', 'earliest', '--stop', 'now')
        stream.scale(6)  # from four: shards in between are never seen open
        stream.scale(3)
        stream.put_to_all()
        time.sleep(1.1)

        jobs.run('job', '--start', 'resume', '--stop', 'now', '--readers', '2')

    assert len({put.shard for put in stream.puts}) == 3
    assert jobs.backup('job') == stream.backup()
    windows_of(jobs.manifests('job'))  # without a gap
