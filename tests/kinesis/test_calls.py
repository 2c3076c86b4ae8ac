"""The calls through real boto3 clients and scripted bytes: requests, answers, and what errors become."""
from __future__ import annotations

import base64
from typing import Any

import pytest
from botocore.exceptions import (
    ConnectionClosedError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)

from pipeline.aws import REFUSED_CREDENTIALS, RenewedClient
from pipeline.errors import ReadError
from pipeline.kinesis.api import Page, ShardInfo, Summary
from pipeline.kinesis.calls import BotoKinesis
from pipeline.kinesis.errors import ExpiredIterator, PassingError, ShardGone
from pipeline.source import RawRecord
from tests.kinesis.wire import DATE_MS, Wire

ARN = 'arn:aws:kinesis:eu-west-1:123456789012:stream/events'
SHARD = 'shardId-000000000000'


def get_records(wire: Wire) -> Page:
    return BotoKinesis(RenewedClient(wire.open_client)).records('events', SHARD, 'it')


def test_the_summary_of_a_stream_is_read() -> None:
    wire = Wire().answer(StreamDescriptionSummary={
        'StreamName': 'events', 'StreamARN': ARN, 'StreamStatus': 'ACTIVE', 'RetentionPeriodHours': 24,
        'StreamCreationTimestamp': 1_700_000_000.125, 'EnhancedMonitoring': [], 'OpenShardCount': 4})

    summary = BotoKinesis(RenewedClient(wire.open_client)).summary('events')

    assert summary == Summary(1_700_000_000_125, 86_400_000, DATE_MS)
    assert wire.requests[0][:2] == ('DescribeStreamSummary', {'StreamName': 'events'})


def test_a_listing_of_2500_shards_sends_tokens_alone_and_has_the_time_of_the_first_answer() -> None:
    wire = Wire()
    shards = [_shard(number, number % 5 == 0) for number in range(2500)]
    wire.answer(Shards=shards[:1000], NextToken='one')
    wire.answer(Shards=shards[1000:2000], NextToken='two', date='Wed, 25 Nov 2026 10:05:00 GMT')
    wire.answer(Shards=shards[2000:], date='Wed, 25 Nov 2026 10:06:00 GMT')

    found, listed_ms = BotoKinesis(RenewedClient(wire.open_client)).list_shards('events')

    assert found == [ShardInfo(f'shardId-{number:012d}', number, number, number % 5 != 0) for number in range(2500)]
    assert listed_ms == DATE_MS
    assert [request.arguments for request in wire.requests] == [
        {'StreamName': 'events'}, {'NextToken': 'one'}, {'NextToken': 'two'}]


@pytest.mark.parametrize(('sequences', 'held'), [(['7', '8'], True), (['8'], False), ([], False)])
def test_a_record_is_held_if_it_comes_back_first(sequences: list[str], held: bool) -> None:
    wire = Wire().answer(ShardIterator='it').answer(NextShardIterator='next', MillisBehindLatest=0, Records=[
        {'SequenceNumber': sequence, 'ApproximateArrivalTimestamp': 1.0, 'PartitionKey': 'k',
         'Data': base64.b64encode(b'x').decode()} for sequence in sequences])

    assert BotoKinesis(RenewedClient(wire.open_client)).holds('events', SHARD, '7') == held
    assert wire.requests[0].arguments == {'StreamName': 'events', 'ShardId': SHARD, 'StartingSequenceNumber': '7',
                                          'ShardIteratorType': 'AT_SEQUENCE_NUMBER'}


@pytest.mark.parametrize(('empty', 'sequences', 'held'), [(3, ['7'], True), (3, ['8'], False), (4, [], True)])
def test_empty_pages_do_not_prove_that_a_record_is_gone(empty: int, sequences: list[str], held: bool) -> None:
    wire = Wire().answer(ShardIterator='it')
    for _ in range(empty):
        wire.answer(NextShardIterator='next', MillisBehindLatest=1, Records=[])
    if sequences:
        wire.answer(NextShardIterator='next', MillisBehindLatest=0, Records=[
            {'SequenceNumber': sequence, 'ApproximateArrivalTimestamp': 1.0, 'PartitionKey': 'k', 'Data': ''}
            for sequence in sequences])

    assert BotoKinesis(RenewedClient(wire.open_client)).holds('events', SHARD, '7') == held
    assert len(wire.requests) == 5


def test_a_record_of_a_shard_that_is_gone_is_not_held() -> None:
    wire = Wire().refuse('ResourceNotFoundException')

    assert not BotoKinesis(RenewedClient(wire.open_client)).holds('events', SHARD, '7')


def test_a_listing_of_2500_shards_whose_token_expires_begins_again() -> None:
    wire = Wire()
    wire.answer(Shards=[_shard(0, False)] * 1000, NextToken='one')
    wire.refuse('ExpiredNextTokenException')
    wire.answer(Shards=[_shard(1, False)])
    api = BotoKinesis(RenewedClient(wire.open_client))

    with pytest.raises(PassingError) as error:
        api.list_shards('events')
    found, _ = api.list_shards('events')

    assert not error.value.throttled
    assert len(found) == 1
    assert wire.requests[2].arguments == {'StreamName': 'events'}


@pytest.mark.parametrize(('sequence', 'since_ms', 'where'), [
    ('7', 5, {'ShardIteratorType': 'AFTER_SEQUENCE_NUMBER', 'StartingSequenceNumber': '7'}),
    ('', 1500, {'ShardIteratorType': 'AT_TIMESTAMP', 'Timestamp': 1.5}),
    ('', 0, {'ShardIteratorType': 'TRIM_HORIZON'})])
def test_an_iterator_is_requested_by_sequence_number_or_time_or_at_the_beginning(
        sequence: str, since_ms: int, where: dict[str, Any]) -> None:
    wire = Wire().answer(ShardIterator='it')

    assert BotoKinesis(RenewedClient(wire.open_client)).iterator('events', SHARD, sequence, since_ms) == 'it'
    assert wire.requests[0].arguments == {'StreamName': 'events', 'ShardId': SHARD, **where}


def test_a_page_has_the_time_of_aws_and_its_keys_may_be_absent() -> None:
    wire = Wire().answer(MillisBehindLatest=12, NextShardIterator='next', Records=[
        {'SequenceNumber': '1', 'ApproximateArrivalTimestamp': 1.001, 'PartitionKey': 'k', 'Data': _b64(b'\xff\x00')},
        {'SequenceNumber': '2', 'ApproximateArrivalTimestamp': 2, 'Data': _b64(b'')}])

    assert get_records(wire) == Page(
        [RawRecord('1', 1001, 'k', b'\xff\x00'), RawRecord('2', 2000, None, b'')], 'next', 12, DATE_MS)


def test_the_last_page_of_a_closed_shard_may_have_records() -> None:
    wire = Wire().answer(MillisBehindLatest=0, NextShardIterator=None, Records=[
        {'SequenceNumber': '1', 'ApproximateArrivalTimestamp': 1, 'PartitionKey': 'k', 'Data': _b64(b'a')}])

    page = get_records(wire)

    assert (len(page.records), page.next_iterator) == (1, None)


def test_a_stream_named_by_its_arn_is_named_so_in_every_call() -> None:
    wire = Wire().answer(Shards=[]).answer(ShardIterator='it').answer(Records=[], MillisBehindLatest=0)
    api = BotoKinesis(RenewedClient(wire.open_client))

    api.list_shards(ARN)
    api.iterator(ARN, SHARD, '7', 0)
    api.records(ARN, SHARD, 'it')

    assert [(request.arguments.get('StreamARN'), request.arguments.get('StreamName')) for request in wire.requests] == [
        (ARN, None)] * 3


@pytest.mark.parametrize(('code', 'throttled'), [
    ('ProvisionedThroughputExceededException', True), ('LimitExceededException', True),
    ('KMSThrottlingException', True), ('ThrottlingException', True), ('InternalFailureException', False),
    ('ResourceInUseException', False), ('ServiceUnavailable', False)])
def test_throttles_are_distinguished_from_other_failures_that_pass(code: str, throttled: bool) -> None:
    with pytest.raises(PassingError, match=code) as error:
        get_records(Wire().refuse(code))

    assert error.value.throttled == throttled


@pytest.mark.parametrize('error', [
    ReadTimeoutError(endpoint_url='http://kinesis'), ConnectionClosedError(endpoint_url='http://kinesis'),
    EndpointConnectionError(endpoint_url='http://kinesis'),
    CredentialRetrievalError(provider='iam-role', error_msg='busy')], ids=lambda error: type(error).__name__)
def test_network_failures_pass(error: Exception) -> None:
    with pytest.raises(PassingError, match=type(error).__name__):
        get_records(Wire().fail(error))


@pytest.mark.parametrize('status', [500, 502, 503, 504])
def test_an_html_page_of_a_gateway_passes(status: int) -> None:
    with pytest.raises(PassingError):
        get_records(Wire().answer_bytes(b'<html>bad gateway</html>', status))


@pytest.mark.parametrize('body', [b'<html>please log in</html>', b'', b'{}', b'{"Records":[],"NextShard'])
def test_an_answer_that_is_not_from_kinesis_or_incomplete_passes(body: bytes) -> None:
    with pytest.raises(PassingError, match='NotAnAnswer'):
        get_records(Wire().answer_bytes(body))


def test_a_failure_that_passes_has_a_reason_in_case_it_persists() -> None:
    with pytest.raises(PassingError) as error:
        get_records(Wire().refuse('InternalFailure', 'again\nplease', 500))

    assert error.value.reason == 'check the endpoint, the region and the network; AWS says: again please'


def test_an_expired_iterator_is_an_error_of_its_own() -> None:
    with pytest.raises(ExpiredIterator):
        get_records(Wire().refuse('ExpiredIteratorException'))


def test_a_shard_that_does_not_exist_is_distinguished_from_a_stream_that_does_not() -> None:
    wire = Wire().refuse('ResourceNotFoundException').refuse('ResourceNotFoundException')
    api = BotoKinesis(RenewedClient(wire.open_client))

    with pytest.raises(ShardGone):
        api.records('events', SHARD, 'it')
    with pytest.raises(ReadError, match=(
            'Kinesis describe_stream_summary on stream events failed with ResourceNotFoundException: '
            'check the name of the stream, the account and the region; if it was deleted, leave out --stream events '
            'and give --new_layout to go on with the others')):
        api.summary('events')


@pytest.mark.parametrize(('code', 'advice'), [
    ('AccessDeniedException', 'grant kinesis:GetRecords on the stream; '),
    ('KMSAccessDeniedException', 'grant kms:Decrypt on the KMS key of the stream; '),
    ('KMSDisabledException', 'enable the KMS key of the stream; '),
    ('KMSInvalidStateException', 'the KMS key of the stream must be enabled and not about to be deleted; '),
    ('KMSNotFoundException', 'the KMS key of the stream is gone: restore it, or encrypt the stream with another; '),
    ('KMSOptInRequired', 'subscribe the AWS account to KMS; '),
    ('InvalidArgumentException', ''), ('ValidationException', '')])
def test_a_permanent_error_names_call_stream_shard_what_to_do_and_what_aws_says(code: str, advice: str) -> None:
    wire = Wire().refuse(code, 'no policy\n allows it')

    with pytest.raises(ReadError) as error:
        get_records(wire)

    assert str(error.value) == (f'Kinesis get_records on stream events, shard {SHARD} failed with {code}: {advice}'
                                'AWS says: no policy allows it')
    assert len(wire.requests) == 1


def test_an_error_without_a_message_of_aws_says_what_to_do() -> None:
    with pytest.raises(ReadError, match='failed with Odd: see the AWS documentation$'):
        get_records(Wire().refuse('Odd', ''))
    with pytest.raises(ReadError, match='KMSDisabledException: enable the KMS key of the stream$'):
        get_records(Wire().refuse('KMSDisabledException', ''))


@pytest.mark.parametrize('code', sorted(REFUSED_CREDENTIALS))
def test_rotated_credentials_are_read_again(code: str) -> None:
    wire = Wire('old', 'new').refuse(code).answer(Records=[], MillisBehindLatest=0)

    page = get_records(wire)

    assert page.records == []
    assert [request.access_key for request in wire.requests] == ['old', 'new']


def test_credentials_that_are_refused_twice_end_the_run() -> None:
    wire = Wire().refuse('ExpiredTokenException').refuse('ExpiredTokenException')

    with pytest.raises(ReadError, match='ExpiredTokenException: renew the credentials that the AWS SDK finds, and '
                                        'check the clock of this machine; AWS says: because'):
        get_records(wire)
    assert wire.done()


def test_missing_credentials_end_the_run() -> None:
    with pytest.raises(ReadError, match=f'Kinesis get_records on stream events, shard {SHARD} failed with '
                                         'NoCredentialsError: check the credentials that the AWS SDK finds'):
        get_records(Wire().fail(NoCredentialsError()))


def test_an_answer_without_a_date_ends_the_run() -> None:
    with pytest.raises(ReadError, match='without a Date header'):
        get_records(Wire().answer(Records=[], MillisBehindLatest=0, date=None))


def test_no_error_contains_a_payload() -> None:
    with pytest.raises(PassingError) as error:
        get_records(Wire().answer_bytes(b'{"secret": "payload"', 500))

    assert 'secret' not in str(error.value)


def _shard(number: int, closed: bool) -> dict[str, Any]:
    numbers = {'StartingSequenceNumber': '1', **({'EndingSequenceNumber': '2'} if closed else {})}
    return {'ShardId': f'shardId-{number:012d}', 'SequenceNumberRange': numbers,
            'HashKeyRange': {'StartingHashKey': str(number), 'EndingHashKey': str(number)}}


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
