"""What a Kinesis call can fail with, sorted by what a reader does about it. A failure for good is a ReadError.

Exception
├── PassingError      for now: the same call is worth making again a little later
├── ExpiredIterator   by age: ask for a new iterator, by sequence number
└── ShardGone         the shard is older than the retention of its stream
"""
from __future__ import annotations

from botocore.exceptions import ClientError

from pipeline.aws import NETWORK, REFUSED_CREDENTIALS, code_of, is_of_credentials, name_of, passes, reason_of, status_of
from pipeline.errors import ReadError

THROTTLES = frozenset({
    'ProvisionedThroughputExceededException', 'LimitExceededException', 'KMSThrottlingException', 'Throttling',
    'ThrottlingException', 'ThrottledException', 'RequestLimitExceeded', 'TooManyRequestsException', '429'})
PASSING = THROTTLES | {
    'InternalFailure', 'InternalFailureException', 'InternalServerError', 'ServiceUnavailable',
    'ServiceUnavailableException', 'RequestTimeout', 'RequestTimeoutException', 'ExpiredNextTokenException',
    'ResourceInUseException', '408'}
DENIED = frozenset({'AccessDeniedException', 'AccessDenied'})
ADVICE = {
    **dict.fromkeys(REFUSED_CREDENTIALS,
                    'renew the credentials that the AWS SDK finds, and check the clock of this machine'),
    'KMSAccessDeniedException': 'grant kms:Decrypt on the KMS key of the stream',
    'KMSDisabledException': 'enable the KMS key of the stream',
    'KMSInvalidStateException': 'the KMS key of the stream must be enabled and not about to be deleted',
    'KMSNotFoundException': 'the KMS key of the stream is gone: restore it, or encrypt the stream with another',
    'KMSOptInRequired': 'subscribe the AWS account to KMS',
    'ResourceNotFoundException': 'check the name of the stream, the account and the region'}




class PassingError(Exception):
    """A Kinesis call failed for now. `reason` says what to do if it goes on, and in whose words it failed."""

    def __init__(self, code: str, reason: str = NETWORK) -> None:
        super().__init__(code)
        self.code = code
        self.reason = reason
        self.throttled = code in THROTTLES


class ExpiredIterator(Exception):
    """The shard iterator is older than five minutes."""


class ShardGone(Exception):
    """The shard is no longer there, or its stream is not."""


def error_of(error: Exception, call: str, stream: str, shard: str | None) -> Exception:
    """Return what a failure of `call`, the client's name of it (`get_records`), is to a reader."""
    code, advice = code_of(error), ''
    if isinstance(error, ClientError) and not is_of_credentials(error):
        if code == 'ExpiredIteratorException':
            return ExpiredIterator()
        if code in PASSING or status_of(error) >= 500:
            return PassingError(code, reason_of(error, NETWORK))
        if code == 'ResourceNotFoundException' and shard:
            return ShardGone()
        advice = f'grant kinesis:{error.operation_name} on the stream' if code in DENIED else ADVICE.get(code, '')
    elif passes(error):
        return PassingError(name_of(error), reason_of(error, NETWORK))
    return ReadError(f'Kinesis {call} on {place_of(stream, shard)} failed with {name_of(error)}: '
                     f'{reason_of(error, advice)}')


def place_of(stream: str, shard: str | None) -> str:
    """Name what a call was about."""
    return f'stream {stream}, shard {shard}' if shard else f'stream {stream}'
