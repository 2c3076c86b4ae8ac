"""The whole job on records that the Kinesis Producer Library aggregated."""
from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from typing import Any

import pytest

from pipeline.local.servers import put_records
from tests.integration.destinations import Folder
from tests.integration.external_servers import client, kinesis_local
from tests.integration.jobs import Jobs
from tests.integration.kpl_producer import MAGIC, User, aggregate, message, sealed

pytestmark = pytest.mark.timeout(300)
OUTSIDE = str((1 << 128) - 1)  # the hash key of another shard than any of these records is put to
GOOD = aggregate([
    User('a', b'{"n":1}{"n":2}'), User('b', b'{"n":3}{"cut":'), User('a', b'{"n":4}', OUTSIDE), User('c', b''),
    User('\n\U0001f4f1', b'{"n":5}')])
BROKEN = sealed(message([User('a', b'{"n":90}'), User('b', b'{"n":91}')])[:-3])
WRONG_DIGEST = GOOD[:-1] + bytes([GOOD[-1] ^ 1])
RECORDS = [b'{"n":0}', GOOD, BROKEN, WRONG_DIGEST, MAGIC, aggregate([User('d', b'{"n":6}')]), b'{"n":7}']


@pytest.fixture(scope='module')
def job(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Jobs, list[Any]]]:
    """Records of one shard, aggregated and plain, read once into `job`."""
    folder = tmp_path_factory.mktemp('kpl')
    with kinesis_local(folder) as endpoint:
        kinesis = client('kinesis', endpoint)
        kinesis.create_stream(StreamName='kpl', ShardCount=2)
        kinesis.get_waiter('stream_exists').wait(StreamName='kpl', WaiterConfig={'Delay': 1, 'MaxAttempts': 60})
        puts = put_records(kinesis, 'kpl', [('outer', data) for data in RECORDS])
        time.sleep(1.1)
        jobs = Jobs(endpoint, ['kpl'], Folder(folder / 'out'))
        jobs.run('job', '--start', 'earliest', '--stop', 'now')
        yield jobs, puts


def test_the_records_of_an_aggregate_stand_in_their_order_between_its_neighbours(job: tuple[Jobs, list[Any]]) -> None:
    assert [line['n'] for line in job[0].lines('job', 'events/')] == [0, 1, 2, 3, 4, 5, 6, 7]


def test_an_error_line_names_the_record_inside_the_aggregate(job: tuple[Jobs, list[Any]]) -> None:
    jobs, puts = job
    (error,) = [line for line in jobs.lines('job', 'errors/invalid-json') if line['subSequenceNumber']]

    assert error['sequenceNumber'] == puts[RECORDS.index(GOOD)].sequence
    assert (error['subSequenceNumber'], error['fragmentIndex'], error['fragmentOffset']) == (1, 1, 7)
    assert error['partitionKey'] == 'b'
    assert base64.b64decode(error['rawData']) == b'{"cut":'


def test_a_broken_aggregate_is_an_error_as_a_whole(job: tuple[Jobs, list[Any]]) -> None:
    jobs, puts = job
    (error,) = jobs.lines('job', 'errors/invalid-kpl')

    assert base64.b64decode(error['rawData']) == BROKEN
    assert error['sequenceNumber'] == puts[RECORDS.index(BROKEN)].sequence
    assert error['partitionKey'] == 'outer'


def test_a_record_that_only_looks_like_an_aggregate_is_read_as_it_is(job: tuple[Jobs, list[Any]]) -> None:
    errors = [line for line in job[0].lines('job', 'errors/') if line['errorCode'] != 'invalid-kpl']

    whole = [base64.b64decode(line['rawData']) for line in errors if line['partitionKey'] == 'outer']
    assert whole == [WRONG_DIGEST, MAGIC]


def test_the_backup_holds_aggregates_whole(job: tuple[Jobs, list[Any]]) -> None:
    jobs, puts = job

    assert jobs.backup('job') == {(put.shard, put.sequence): put.data for put in puts}


def test_the_manifests_count_kinesis_records_and_user_records(job: tuple[Jobs, list[Any]]) -> None:
    counts = [manifest['counts'] for manifest in job[0].manifests('job').values()]
    total = {name: sum(count[name] for count in counts) for name in ('records', 'user_records', 'invalid_kpl')}

    # of the aggregates: five user records in one, one in the other, none in the broken one
    assert total == {'records': len(RECORDS), 'user_records': len(RECORDS) - 1 + 4, 'invalid_kpl': 1}
