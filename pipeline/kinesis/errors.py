"""The failures of Kinesis calls that a reader handles by itself. A failure for good is a ReadError.

Exception
├── PassingError      the call fails for now: make it again a little later
├── ExpiredIterator   the iterator is too old: ask for a new one by sequence number
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
    'ResourceNotFoundException': 'check the name of the stream, the account and the region; if it was deleted, leave '
                                 'out --stream {stream} and give --new_layout to go on with the others'}


class PassingError(Exception):
    """A Kinesis call failed for now. `reason` says what to do if it keeps failing, and what AWS or the SDK said."""

    def __init__(self, code: str, reason: str = NETWORK) -> None:
        super().__init__(code)
        self.code = code
        self.reason = reason
        self.throttled = code in THROTTLES


class ExpiredIterator(Exception):
    """The shard iterator is older than five minutes."""


class ShardGone(Exception):
    """The shard or its stream does not exist any more."""


def error_of(error: Exception, call: str, stream: str, shard: str | None) -> Exception:
    """Return the exception to raise for an SDK error of `call`, a method of the client such as `get_records`."""
    code, advice = code_of(error), ''
    if isinstance(error, ClientError) and not is_of_credentials(error):
        if code == 'ExpiredIteratorException':
            return ExpiredIterator()
        if code in PASSING or status_of(error) >= 500:
            return PassingError(code, reason_of(error, NETWORK))
        if code == 'ResourceNotFoundException' and shard:
            return ShardGone()
        advice = ADVICE.get(code, '').format(stream=stream)
        if code in DENIED:
            advice = f'grant kinesis:{error.operation_name} on the stream'
    elif passes(error):
        return PassingError(name_of(error), reason_of(error, NETWORK))
    return ReadError(f'Kinesis {call} on {_target(stream, shard)} failed with {name_of(error)}: '
                     f'{reason_of(error, advice)}')


def _target(stream: str, shard: str | None) -> str:
    return f'stream {stream}, shard {shard}' if shard else f'stream {stream}'
