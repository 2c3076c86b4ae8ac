"""The Kinesis calls, made with boto3."""
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

#: How long a run that has not begun keeps asking.
ASK_S = 60.0
#: The fields that the answer to each call must have. If one is missing, something other than Kinesis answered, or the
#: answer is incomplete.
REQUIRED = {'describe_stream_summary': ('StreamDescriptionSummary',), 'list_shards': ('Shards',),
            'get_shard_iterator': ('ShardIterator',), 'get_records': ('Records', 'MillisBehindLatest')}


class BotoKinesis:
    """KinesisApi by boto3; safe to use from several threads.

    Each method raises PassingError, ExpiredIterator, ShardGone or ReadError, and no other error of the AWS SDK.
    """

    def __init__(self, client: RenewedClient) -> None:
        self._client = client

    def summary(self, stream: str) -> Summary:
        """Return the state of a stream."""
        answer = self._call('describe_stream_summary', stream, None, **_stream(stream))
        summary = answer['StreamDescriptionSummary']
        return Summary(created_ms=ms(summary['StreamCreationTimestamp']),
                       retention_ms=summary['RetentionPeriodHours'] * 3_600_000, now_ms=_now_ms(answer))

    def list_shards(self, stream: str) -> tuple[list[ShardInfo], int]:
        """Return every shard that retention keeps, and AWS's time of the first answer (epoch ms).

        boto3's paginator is of no use past 1,000 shards: it repeats the stream beside NextToken, which Kinesis refuses.
        """
        answer = self._call('list_shards', stream, None, **_stream(stream))
        listed_ms, shards = _now_ms(answer), list(answer['Shards'])
        while token := answer.get('NextToken'):
            answer = self._call('list_shards', stream, None, NextToken=token)
            shards += answer['Shards']
        return [_shard_info(shard) for shard in shards], listed_ms

    def iterator(self, stream: str, shard: str, sequence: str, since_ms: int) -> str:
        """Return an iterator after `sequence`; if that is empty, at the time `since_ms`, or (0) at the beginning."""
        if sequence:
            start: dict[str, Any] = {'ShardIteratorType': 'AFTER_SEQUENCE_NUMBER', 'StartingSequenceNumber': sequence}
        elif since_ms:
            start = {'ShardIteratorType': 'AT_TIMESTAMP',
                     'Timestamp': datetime.datetime.fromtimestamp(since_ms / 1000, datetime.UTC)}
        else:
            start = {'ShardIteratorType': 'TRIM_HORIZON'}
        answer = self._call('get_shard_iterator', stream, shard, ShardId=shard, **_stream(stream), **start)
        iterator: str = answer['ShardIterator']
        return iterator

    def holds(self, stream: str, shard: str, sequence: str) -> bool:
        """Return whether retention still keeps that record; True if only empty pages come, which prove nothing."""
        try:
            answer = self._call('get_shard_iterator', stream, shard, ShardId=shard, StartingSequenceNumber=sequence,
                                ShardIteratorType='AT_SEQUENCE_NUMBER', **_stream(stream))
            iterator = answer['ShardIterator']
            for _ in range(4):  # a shard may be asked that often in a second
                page = self.records(stream, shard, iterator)
                if page.records or not page.behind_ms or not page.next_iterator:
                    return any(record.sequence == sequence for record in page.records)
                iterator = page.next_iterator
        except ShardGone:
            return False
        return True

    def records(self, stream: str, shard: str, iterator: str) -> Page:
        """Return the page at an iterator: up to 10,000 records or 10 MiB."""
        arn = {'StreamARN': stream} if stream.startswith('arn:') else {}
        answer = self._call('get_records', stream, shard, ShardIterator=iterator, **arn)
        records = [record if isinstance(record, RawRecord) else _raw_record(record) for record in answer['Records']]
        return Page(records, answer.get('NextShardIterator'), answer['MillisBehindLatest'], _now_ms(answer))

    def _call(self, name: str, stream: str, shard: str | None, **arguments: Any) -> Any:
        try:
            answer = self._client.call(lambda client: getattr(client, name)(**arguments))
        except SDK_ERRORS as error:
            raise error_of(error, name, stream, shard) from None
        if any(answer.get(field) is None for field in REQUIRED[name]):
            raise PassingError('NotAnAnswer')
        return answer


def ask(call: Callable[[str], T], stream: str, patience_s: float = ASK_S) -> T:
    """Return what `call(stream)` returns, for a caller outside of a reader; repeat it while Kinesis fails for now.

    Raise ReadError if the call fails for good, or if it still fails after `patience_s` seconds.
    """
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
    """Return AWS's time from the answer in epoch ms, rounded down to whole seconds; our clock may be minutes off."""
    date = answer['ResponseMetadata']['HTTPHeaders'].get('date', '')
    try:
        return int(email.utils.parsedate_to_datetime(date).timestamp()) * 1000
    except ValueError:
        raise ReadError('Kinesis answers without a Date header, which is the clock of this job; check whether a proxy '
                        'drops it') from None


def ms(time: datetime.datetime | float) -> int:
    """Return a time of botocore, a datetime or epoch seconds, as epoch milliseconds."""
    return round((time if isinstance(time, (int, float)) else time.timestamp()) * 1000)
