"""What other tests assume of the Kinesis servers, checked by plain calls: no test may rely on a bug of a server."""
from __future__ import annotations

import contextlib
import hashlib
import pathlib
import socket
import time
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.integration.external_servers import client, kinesalite, kinesis_local
from tests.integration.stream import Stream

pytestmark = pytest.mark.timeout(300)
#: A stream takes this long to be created, so that a test sees it meanwhile.
CREATE_S = 3
SERVERS: dict[str, Callable[[pathlib.Path], contextlib.AbstractContextManager[str]]] = {
    'kinesis-local': lambda folder: kinesis_local(folder, CREATE_STREAM_DURATION=f'{CREATE_S}s'),
    'kinesalite': lambda folder: kinesalite(folder, '--createStreamMs', f'{CREATE_S}000')}


@pytest.fixture(scope='module', params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Stream]]:
    """A stream of two shards after two splits and a merge: 3 open of 7 shards."""
    with SERVERS[request.param](tmp_path_factory.mktemp('probe')) as endpoint:
        stream = Stream(client('kinesis', endpoint), 'probe', 2)
        stream.put_to_all()
        stream.split(1)
        stream.split(1)
        stream.merge(0)
        yield request.param, stream


def test_records_go_to_the_open_shard_that_holds_the_md5_of_their_key(server: tuple[str, Stream]) -> None:
    _, stream = server
    stream.put()
    ranges = {shard['ShardId']: shard['HashKeyRange'] for shard in stream.open_shards()}

    for put in stream.puts[-20:]:
        place = int(hashlib.md5(put.partition_key.encode()).hexdigest(), 16)
        hashes = ranges[put.shard]
        assert int(hashes['StartingHashKey']) <= place <= int(hashes['EndingHashKey'])


def test_closed_shards_stay_listed_and_name_their_ends(server: tuple[str, Stream]) -> None:
    _, stream = server
    shards = stream.kinesis.list_shards(StreamName='probe')['Shards']

    assert len(shards) == 7
    assert len(stream.open_shards()) == 3
    parents = {shard['ShardId']: (shard.get('ParentShardId'), shard.get('AdjacentParentShardId')) for shard in shards}
    ids = [f'shardId-{number:012}' for number in range(7)]
    assert parents == {ids[0]: (None, None), ids[1]: (None, None), ids[2]: (ids[1], None), ids[3]: (ids[1], None),
                       ids[4]: (ids[2], None), ids[5]: (ids[2], None), ids[6]: (ids[0], ids[4])}


def test_open_shards_tile_the_hash_range(server: tuple[str, Stream]) -> None:
    _, stream = server
    bounds = [(int(shard['HashKeyRange']['StartingHashKey']), int(shard['HashKeyRange']['EndingHashKey']))
              for shard in stream.open_shards()]

    assert [first for first, _ in bounds] == [0, *(last + 1 for _, last in bounds[:-1])]
    assert bounds[-1][1] == (1 << 128) - 1


def test_a_closed_shard_ends_without_an_iterator_and_gives_all_of_its_records(server: tuple[str, Stream]) -> None:
    _, stream = server
    for shard in ('shardId-000000000000', 'shardId-000000000001', 'shardId-000000000002'):
        records, ended = _read(stream, shard, ShardIteratorType='TRIM_HORIZON')
        assert ended
        assert [record['SequenceNumber'] for record in records] == [
            put.sequence for put in stream.puts if put.shard == shard]


def test_reading_goes_on_after_a_sequence_number_in_a_closed_shard_as_in_an_open_one(
        server: tuple[str, Stream]) -> None:
    _, stream = server
    for shard, closed in (('shardId-000000000000', True), ('shardId-000000000003', False)):
        sequences = [put.sequence for put in stream.puts if put.shard == shard]
        records, ended = _read(stream, shard, ShardIteratorType='AFTER_SEQUENCE_NUMBER',
                               StartingSequenceNumber=sequences[len(sequences) // 2])
        assert [record['SequenceNumber'] for record in records] == sequences[len(sequences) // 2 + 1:]
        assert ended is closed


def test_reading_goes_on_at_a_time(server: tuple[str, Stream]) -> None:
    _, stream = server
    shard = 'shardId-000000000000'
    records, _ = _read(stream, shard, ShardIteratorType='TRIM_HORIZON')
    middle = records[len(records) // 2]['ApproximateArrivalTimestamp']

    found, _ = _read(stream, shard, ShardIteratorType='AT_TIMESTAMP', Timestamp=middle)

    assert [record['SequenceNumber'] for record in found] == [
        record['SequenceNumber'] for record in records if record['ApproximateArrivalTimestamp'] >= middle]


def test_sequence_numbers_and_arrivals_rise_in_a_shard_and_from_parents_to_children(
        server: tuple[str, Stream]) -> None:
    _, stream = server
    shards = {f'shardId-{number:012}': _read(stream, f'shardId-{number:012}', ShardIteratorType='TRIM_HORIZON')[0]
              for number in range(7)}
    for records in shards.values():
        numbers = [int(record['SequenceNumber']) for record in records]
        assert numbers == sorted(set(numbers))
        arrivals = [record['ApproximateArrivalTimestamp'] for record in records]
        assert arrivals == sorted(arrivals)
    assert int(shards['shardId-000000000006'][0]['SequenceNumber']) > max(
        int(shards[f'shardId-{parent:012}'][-1]['SequenceNumber']) for parent in (0, 4))


def test_an_arrival_is_the_time_of_the_put_and_a_record_is_visible_at_once(server: tuple[str, Stream]) -> None:
    name, stream = server
    ahead_s = 1.0 if name == 'kinesalite' else 0.0  # it dates a shard that it has just made a second ahead
    before = time.time()
    stream.put(1)
    after = time.time()
    put = stream.puts[-1]

    (record,), _ = _read(stream, put.shard, ShardIteratorType='AT_SEQUENCE_NUMBER',
                         StartingSequenceNumber=put.sequence)

    assert before - 0.001 <= record['ApproximateArrivalTimestamp'].timestamp() <= after + ahead_s + 0.001
    assert record['Data'] == put.data


def test_answers_carry_a_date(server: tuple[str, Stream]) -> None:
    _, stream = server
    answer = stream.kinesis.list_shards(StreamName='probe')

    assert 'date' in answer['ResponseMetadata']['HTTPHeaders']


def test_a_stream_being_created_and_one_that_does_not_exist_are_reported(server: tuple[str, Stream]) -> None:
    _, stream = server
    kinesis = stream.kinesis
    kinesis.create_stream(StreamName='states', ShardCount=1)
    created = kinesis.describe_stream_summary(StreamName='states')['StreamDescriptionSummary']['StreamStatus']

    assert created == 'CREATING'
    with pytest.raises(ClientError) as error:
        kinesis.list_shards(StreamName='never')
    assert error.value.response['Error']['Code'] == 'ResourceNotFoundException'


def _read(stream: Stream, shard: str, **where: Any) -> tuple[list[dict[str, Any]], bool]:
    """Read a shard to its end or its tip. Return its records, and whether that was the end."""
    iterator = stream.kinesis.get_shard_iterator(StreamName=stream.name, ShardId=shard, **where)['ShardIterator']
    records: list[dict[str, Any]] = []
    empty = 0
    while iterator and empty < 5:  # kinesalite gives a few empty pages before the end
        page = stream.kinesis.get_records(ShardIterator=iterator)
        empty = 0 if page['Records'] else empty + 1
        records += page['Records']
        iterator = page.get('NextShardIterator')
    return records, not iterator


def test_a_client_killed_in_the_middle_of_a_request_does_not_end_the_server(server: tuple[str, Stream]) -> None:
    _, stream = server
    url = urllib.parse.urlsplit(stream.kinesis.meta.endpoint_url)

    with socket.create_connection((url.hostname, url.port)) as half:
        half.sendall(b'POST / HTTP/1.1\r\nHost: kinesis\r\nX-Amz-Target: Kinesis_20131202.ListStreams\r\n'
                     b'Content-Type: application/x-amz-json-1.1\r\nContent-Length: 2\r\n\r\n{')
        time.sleep(0.2)  # until the server waits for the rest

    time.sleep(0.2)
    assert 'probe' in stream.kinesis.list_streams()['StreamNames']
