"""A prefix of an S3 bucket: calls are made again while S3 fails for now, and errors say what to do."""
from __future__ import annotations

import dataclasses
import functools
import logging
import random
import time
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from pipeline import network
from pipeline.stores import StoreError

_log = logging.getLogger(__name__)
T = TypeVar('T')

#: botocore's own retries share a quota: a dozen objects that fail at once use it up, and then it gives up at once. And
#: they end before the body of an answer is read. So there is one loop, ours.
CONFIG = Config(connect_timeout=5, read_timeout=60, max_pool_connections=32, retries={'total_max_attempts': 1})
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
    'AccessDenied': 'grant s3:ListBucket on the bucket, and s3:GetObject, PutObject and DeleteObject below the prefix',
    'AuthorizationHeaderMalformed': 'the bucket is in another region, give --s3_region_name',
    'ExpiredToken': 'renew the credentials that the AWS SDK finds',
    'IllegalLocationConstraintException': 'the bucket is in another region, give --s3_region_name',
    'InvalidAccessKeyId': 'check the credentials that the AWS SDK finds',
    'NoSuchBucket': 'create the bucket, or correct the option that names it',
    'PermanentRedirect': 'the bucket is in another region, give --s3_region_name',
    'RequestTimeTooSkewed': 'set the clock of this machine',
    'SignatureDoesNotMatch': 'check the credentials that the AWS SDK finds'}


@dataclasses.dataclass(frozen=True)
class S3Store:
    """A prefix of a bucket. Holds names only, so that it travels to workers; clients are kept per process."""

    bucket: str
    prefix: str
    endpoint_url: str | None = None
    region: str | None = None
    verify: str | None = None

    def put(self, path: str, data: bytes) -> None:
        kind = 'application/json' if path.endswith('.json') else 'application/x-gzip'
        self._call('PutObject', path, lambda key: self._client.put_object(
            Bucket=self.bucket, Key=key, Body=data, ContentType=kind))

    def get(self, path: str) -> bytes | None:
        return self._call('GetObject', path, self._read)

    def delete(self, path: str) -> None:
        self._call('DeleteObject', path, lambda key: self._client.delete_object(Bucket=self.bucket, Key=key))

    def list(self, prefix: str) -> Iterator[str]:
        token: dict[str, str] = {}
        while True:
            page = self._call('ListObjectsV2', prefix, functools.partial(self._page, token))
            for item in page.get('Contents', ()):
                yield item['Key'][len(self._key('')):]
            if not page.get('IsTruncated'):
                return
            token = {'ContinuationToken': page['NextContinuationToken']}

    def _read(self, key: str) -> bytes | None:
        try:
            body: bytes = self._client.get_object(Bucket=self.bucket, Key=key)['Body'].read()
        except ClientError as error:
            if error.response['Error']['Code'] == 'NoSuchKey':
                return None
            raise
        return body

    def _page(self, token: dict[str, str], key: str) -> Any:
        return self._client.list_objects_v2(Bucket=self.bucket, Prefix=key, **token)

    def _call(self, name: str, path: str, call: Callable[[str], T]) -> T:
        key = self._key(path)
        what = f'S3 {name} on s3://{self.bucket}/{key}'
        try:
            return patiently(what, lambda: call(key))
        except (BotoCoreError, ClientError) as error:
            _give_up(what, error)

    def _key(self, path: str) -> str:
        return f'{self.prefix}/{path}' if self.prefix else path

    @property
    def _client(self) -> Any:
        return _s3_client(self.endpoint_url, self.region, self.verify)


def patiently(what: str, call: Callable[[], T]) -> T:
    """Make a call again while S3 fails for now, up to PATIENCE_S; raises what the last one raised."""
    deadline, failures = 0.0, 0
    while True:
        try:
            return call()
        except (BotoCoreError, ClientError) as error:
            now, failures = time.monotonic(), failures + 1
            deadline = deadline or now + PATIENCE_S
            if not passes(error) or now >= deadline:
                raise
            if failures == WARN_AFTER:
                _log.warning('%s fails with %s, trying again', what, code_of(error))
        _count_retry()
        # Some jitter, never none of the delay: workers that were throttled together must not come back together.
        time.sleep(min(LAST_DELAY_S, FIRST_DELAY_S * 2.0 ** min(failures - 1, 10)) * random.uniform(0.5, 1.0))


def _count_retry() -> None:
    from apache_beam.metrics import Metrics  # a second that only those pay who run in Beam already
    Metrics.counter('s3', 'retries').inc()


def passes(error: BotoCoreError | ClientError) -> bool:
    """Tell whether the same call is worth making again a little later."""
    if isinstance(error, ClientError):
        status = error.response.get('ResponseMetadata', {}).get('HTTPStatusCode')
        return status in PASSING_STATUS or code_of(error) in PASSING_CODES
    return network.passes(error)


def code_of(error: BotoCoreError | ClientError) -> str:
    """Name an error: S3's own code, or the kind of failure where there was no answer."""
    return str(error.response['Error']['Code']) if isinstance(error, ClientError) else type(error).__name__


def _give_up(what: str, error: BotoCoreError | ClientError) -> NoReturn:
    code = code_of(error)
    if passes(error):
        raise StoreError(f'{what} goes on failing with {code}, tried for {PATIENCE_S:.0f} s: check the endpoint, the '
                         'region and the network; what is committed stays, go on with --start=resume') from None
    advice = ADVICE.get(code) or (error.response['Error'].get('Message', '') if isinstance(error, ClientError)
                                  else str(error))
    raise StoreError(f'{what} failed with {code}: {advice}') from None


@functools.lru_cache(maxsize=8)
def _s3_client(endpoint_url: str | None, region: str | None, verify: str | None) -> Any:
    try:
        return boto3.session.Session().client('s3', endpoint_url=endpoint_url, region_name=region, verify=verify,
                                              config=CONFIG)
    except ValueError as error:
        raise StoreError(f'the AWS SDK cannot open S3: {error}; check its configuration') from None
