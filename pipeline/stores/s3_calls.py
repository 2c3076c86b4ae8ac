"""How S3 fails: what is made again while it passes, and what the rest comes down to, in one line."""
from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from typing import NoReturn, TypeVar

from botocore.exceptions import ClientError

from pipeline import aws
from pipeline.aws import NETWORK, SDK_ERRORS, code_of, is_of_credentials, name_of, reason_of, status_of
from pipeline.stores.base import StoreError

_log = logging.getLogger(__name__)
T = TypeVar('T')

#: From the first failure of a call. A bucket that is scaled out, or a failover, answers errors for some minutes.
PATIENCE_S = 120.0
FIRST_DELAY_S, LAST_DELAY_S = 0.5, 20.0
#: A hiccup is only counted; a call that failed so often is also warned of, once.
WARN_AFTER = 4

PASSING_STATUS = frozenset({408, 409, 429, 500, 502, 503, 504})
PASSING_CODES = frozenset({
    'BadDigest', 'RequestTimeout', 'RequestLimitExceeded', 'SlowDown', 'Throttling', 'ThrottlingException',
    'XAmzContentChecksumMismatch'})
ADVICE = {
    'AuthorizationHeaderMalformed': 'the bucket is in another region, give --s3_region_name',
    'ExpiredToken': 'renew the credentials that the AWS SDK finds',
    'IllegalLocationConstraintException': 'the bucket is in another region, give --s3_region_name',
    'InvalidAccessKeyId': 'check the credentials that the AWS SDK finds',
    'NoSuchBucket': 'create the bucket, or correct the option that names it',
    'PermanentRedirect': 'the bucket is in another region, give --s3_region_name',
    'RequestTimeTooSkewed': 'set the clock of this machine',
    'SignatureDoesNotMatch': 'check the credentials that the AWS SDK finds'}
#: By call: what to grant. S3 denies a read of what is not there to whoever may not list the bucket.
GRANTS = {
    'DeleteObject': 's3:DeleteObject below the prefix: something has to be removed, such as an object that only an '
                    'earlier manifest lists, or the manifest of a window that is no longer complete',
    'GetObject': 's3:ListBucket on the bucket and s3:GetObject below the prefix',
    'ListObjectsV2': 's3:ListBucket on the bucket',
    'PutObject': 's3:PutObject below the prefix; if a policy demands encryption, give --s3_sse'}
#: Worth one more try with credentials read anew: they are rotated while a job runs.
CREDENTIALS = frozenset({'ExpiredToken', 'InvalidAccessKeyId', 'InvalidToken', 'SignatureDoesNotMatch'})


def patiently(what: str, call: Callable[[], T]) -> T:
    """Make a call again while S3 fails for now, up to PATIENCE_S; raises what the last one raised."""
    deadline, failures = 0.0, 0
    while True:
        try:
            return call()
        except SDK_ERRORS as error:
            now, failures = time.monotonic(), failures + 1
            deadline = deadline or now + PATIENCE_S
            if not passes(error) or now >= deadline:
                raise
            if failures == WARN_AFTER:
                _log.warning('%s fails with %s, trying again', what, name_of(error))
        _count_retry()
        # Some jitter, never none of the delay: workers that were throttled together must not come back together.
        time.sleep(min(LAST_DELAY_S, FIRST_DELAY_S * 2.0 ** min(failures - 1, 10)) * random.uniform(0.5, 1.0))


def _count_retry() -> None:
    from apache_beam.metrics import Metrics  # a second that only those pay who run in Beam already
    Metrics.counter('s3', 'retries').inc()


def passes(error: Exception) -> bool:
    """Return whether the same call is worth making again a little later."""
    if isinstance(error, ClientError) and not is_of_credentials(error):
        return status_of(error) in PASSING_STATUS or code_of(error) in PASSING_CODES
    return network.passes(error)


def give_up(name: str, where: str, error: Exception) -> NoReturn:
    """Raise StoreError for an error of a call, `PutObject`, that did not pass."""
    what, code = f'S3 {name} on {where}', code_of(error)
    if passes(error):
        raise StoreError(f'{what} goes on failing with {name_of(error)}, tried for {PATIENCE_S:.0f} s: '
                         f'{reason_of(error, NETWORK)}; what is committed stays, go on with --start=resume') from None
    advice = f'grant {GRANTS[name]}' if code == 'AccessDenied' else ADVICE.get(code, '')
    raise StoreError(f'{what} failed with {name_of(error)}: {reason_of(error, advice)}') from None
