"""The four Kinesis calls by boto3."""
from __future__ import annotations

import datetime
import email.utils
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pipeline.aws import SDK_ERRORS, RenewedClient, retry
from pipeline.errors import ReadError
from pipeline.kinesis.api import Page, ShardInfo, Summary
from pipeline.kinesis.errors import PassingError, ShardGone, error_of
from pipeline.source import RawRecord

T = TypeVar('T')

#: How long a run that has not begun asks again.
ASK_S = 60.0
#: What the answer to each call holds. Without it something else has answered, or only half of it came.
HOLDS = {'describe_stream_summary': ('StreamDescriptionSummary',), 'list_shards': ('Shards',),
         'get_shard_iterator': ('ShardIterator',), 'get_records': ('Records', 'MillisBehindLatest')}


class BotoKinesis:
    """The calls by boto3. Raises PassingError, ExpiredIterator, ShardGone or ReadError, nothing else of AWS's.

    Safe to use from several threads.
    """

    def __init__(self, client: RenewedClient) -> None:
        self._client = client

    def summary(self, stream: str) -> Summary:
        answer = self._call('describe_stream_summary', stream, None, **_stream(stream))
        about = answer['StreamDescriptionSummary']
        return Summary(ms(about['StreamCreationTimestamp']), about['RetentionPeriodHours'] * 3_600_000,
                       about['OpenShardCount'], _now_ms(answer))

    def list_shards(self, stream: str) -> tuple[list[ShardInfo], int]:
        """List every shard that retention keeps, and AWS's time of the first answer.

        By hand: boto3's paginator repeats the stream beside NextToken, which Kinesis refuses (past 1,000 shards).
        """
        answer = self._call('list_shards', stream, None, **_stream(stream))
        listed_ms, shards = _now_ms(answer), list(answer['Shards'])
        while token := answer.get('NextToken'):
            answer = self._call('list_shards', stream, None, NextToken=token)
            shards += answer['Shards']
        return [_shard_info(shard) for shard in shards], listed_ms

    def iterator(self, stream: str, shard: str, sequence: str, since_ms: int) -> str:
        """Ask for an iterator after `sequence`, else at the time `since_ms`, else (0) at the shard's beginning."""
        if sequence:
            where: dict[str, Any] = {'ShardIteratorType': 'AFTER_SEQUENCE_NUMBER', 'StartingSequenceNumber': sequence}
        elif since_ms:
            where = {'ShardIteratorType': 'AT_TIMESTAMP',
                     'Timestamp': datetime.datetime.fromtimestamp(since_ms / 1000, datetime.UTC)}
        else:
            where = {'ShardIteratorType': 'TRIM_HORIZON'}
        answer = self._call('get_shard_iterator', stream, shard, ShardId=shard, **_stream(stream), **where)
        iterator: str = answer['ShardIterator']
        return iterator

    def holds(self, stream: str, shard: str, sequence: str) -> bool:
        """Tell whether retention still keeps that record; yes where only empty pages come, which prove nothing."""
        try:
            answer = self._call('get_shard_iterator', stream, shard, ShardId=shard, StartingSequenceNumber=sequence,
                                ShardIteratorType='AT_SEQUENCE_NUMBER', **_stream(stream))
            iterator = answer['ShardIterator']
            for _ in range(4):  # as many as a shard may be asked in a second
                page = self.records(stream, shard, iterator)
                if page.records or not page.behind_ms or not page.next_iterator:
                    return any(record.sequence == sequence for record in page.records)
                iterator = page.next_iterator
        except ShardGone:
            return False
        return True

    def records(self, stream: str, shard: str, iterator: str) -> Page:
        """Get up to 10,000 records or 10 MiB."""
        arn = {'StreamARN': stream} if stream.startswith('arn:') else {}
        answer = self._call('get_records', stream, shard, ShardIterator=iterator, **arn)
        records = [record if isinstance(record, RawRecord) else _raw_record(record) for record in answer['Records']]
        return Page(records, answer.get('NextShardIterator'), answer['MillisBehindLatest'], _now_ms(answer))

    def _call(self, name: str, stream: str, shard: str | None, **arguments: Any) -> Any:
        try:
            answer = self._client.call(lambda client: getattr(client, name)(**arguments))
        except SDK_ERRORS as error:
            raise error_of(error, name, stream, shard) from None
        if any(answer.get(field) is None for field in HOLDS[name]):
            raise PassingError('NotAnAnswer')
        return answer


def ask(call: Callable[[str], T], stream: str, patience_s: float = ASK_S) -> T:
    """Make a call outside of a reader, and again while Kinesis fails for now. Raise ReadError after `patience_s`."""
    try:
        return retry(lambda: call(stream), f'Kinesis for stream {stream}',
                     lambda error: isinstance(error, PassingError), patience_s)
    except PassingError as error:
        raise ReadError(f'Kinesis does not answer for stream {stream} ({error}): {error.reason}') from None


def _stream(stream: str) -> dict[str, str]:
    return {'StreamARN': stream} if stream.startswith('arn:') else {'StreamName': stream}


def _shard_info(shard: Mapping[str, Any]) -> ShardInfo:
    hashes, numbers = shard['HashKeyRange'], shard['SequenceNumberRange']
    return ShardInfo(shard['ShardId'], int(hashes['StartingHashKey']), int(hashes['EndingHashKey']),
                     not numbers.get('EndingSequenceNumber'))


def _raw_record(record: Mapping[str, Any]) -> RawRecord:
    return RawRecord(record['SequenceNumber'], ms(record['ApproximateArrivalTimestamp']),
                     record.get('PartitionKey'), record['Data'])


def _now_ms(answer: Mapping[str, Any]) -> int:
    """Read AWS's clock off the answer, in whole seconds, rounded down: ours may be minutes off."""
    date = answer['ResponseMetadata']['HTTPHeaders'].get('date', '')
    try:
        return int(email.utils.parsedate_to_datetime(date).timestamp()) * 1000
    except ValueError:
        raise ReadError('Kinesis answers without a Date header, which is the clock of this job: does a proxy drop it?'
                        ) from None


def ms(time: datetime.datetime | float) -> int:
    """Turn what botocore makes of a time, a datetime or epoch seconds, into epoch milliseconds."""
    return round((time if isinstance(time, (int, float)) else time.timestamp()) * 1000)
