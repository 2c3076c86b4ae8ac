"""A store below a prefix of an S3 bucket. Calls are retried while S3 fails temporarily, and errors say what to do."""
from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from botocore.config import Config
from botocore.exceptions import ClientError

from pipeline import aws
from pipeline.aws import (
    NETWORK,
    SDK_ERRORS,
    RenewedClient,
    code_of,
    is_of_credentials,
    name_of,
    reason_of,
    status_of,
)
from pipeline.errors import GO_ON, StoreError
from pipeline.stores.base import PROBE
from pipeline.stores.retries import note_retry

T = TypeVar('T')

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
#: What to grant for each call. Reading an absent object needs ListBucket: without it S3 answers AccessDenied.
GRANTS = {
    'DeleteObject': 's3:DeleteObject below the prefix: something has to be removed, such as an object that only an '
                    'earlier manifest lists, or the manifest of a window that is no longer complete',
    'GetObject': 's3:ListBucket on the bucket and s3:GetObject below the prefix',
    'ListObjectsV2': 's3:ListBucket on the bucket',
    'PutObject': 's3:PutObject below the prefix; if a policy demands encryption, give --s3_sse'}

#: No object has this ETag. A put on the condition that the object has it writes nothing, but needs the permission.
NO_ETAG = '"00000000000000000000000000000000"'
#: What S3 answers to such a put: the object has another ETag, or is absent, or this S3 has no conditional puts.
UNMET = frozenset({'PreconditionFailed', 'NoSuchKey', 'NotImplemented'})

#: botocore's own retries are off. They share a quota, which a dozen objects that fail together use up, and they end
#: before the body of an answer is read. The one retry loop is in aws.py.
CONFIG = Config(connect_timeout=5, read_timeout=60, max_pool_connections=32, retries={'total_max_attempts': 1})


@dataclasses.dataclass(frozen=True)
class S3Store:
    """A prefix of a bucket. It holds only names, so it can be pickled for workers; clients are shared per process."""

    bucket: str
    prefix: str
    endpoint_url: str | None = None
    region: str | None = None
    verify: str | None = None
    sse: str | None = None
    kms_key_id: str | None = None

    def put(self, path: str, data: bytes) -> None:
        self._call('PutObject', path, functools.partial(self._put, Body=data, ContentType=_content_type(path)))

    def get(self, path: str) -> bytes | None:
        return self._call('GetObject', path, self._read)

    def delete(self, path: str) -> None:
        self._call('DeleteObject', path, lambda client, key: client.delete_object(Bucket=self.bucket, Key=key))

    def create(self, path: str, data: bytes) -> bool:
        kind = _content_type(path)
        return self._call('PutObject', path, functools.partial(
            self._put_if, {'IfNoneMatch': '*'}, Body=data, ContentType=kind))

    def swap(self, path: str, before: bytes | None, after: bytes | None) -> bool:
        found = self._call('GetObject', path, self._read_tagged)
        if (found and found[0]) not in (before, after):
            return False
        if (found and found[0]) == after:
            return True
        condition = {'IfMatch': found[1]} if found else {'IfNoneMatch': '*'}
        if after is None:
            self._call('DeleteObject', path, functools.partial(self._delete_if, condition))
        else:
            self._call('PutObject', path, functools.partial(
                self._put_if, condition, Body=after, ContentType=_content_type(path)))
        return self.get(path) == after  # also if an answer was lost, and the second try found what the first had done

    def _put_if(self, condition: dict[str, str], client: Any, key: str, **more: Any) -> bool:
        """Put under a condition. Return False if it is not met; put anyway if this S3 has no conditions."""
        try:
            self._put(client, key, **condition, **more)
        except ClientError as error:
            if code_of(error) not in UNMET:
                raise
            if code_of(error) != 'NotImplemented':
                return False
            self._put(client, key, **more)
        return True

    def _delete_if(self, condition: dict[str, str], client: Any, key: str) -> None:
        try:
            client.delete_object(Bucket=self.bucket, Key=key, **condition)
        except ClientError as error:
            if code_of(error) not in UNMET:
                raise
            if code_of(error) == 'NotImplemented':
                client.delete_object(Bucket=self.bucket, Key=key)

    def list(self, prefix: str) -> Iterator[str]:
        for page in self._pages(prefix):
            for item in page.get('Contents', ()):
                yield item['Key'][len(self.prefix) + 1 if self.prefix else 0:]

    def folders(self, prefix: str) -> tuple[str, ...]:
        return tuple(item['Prefix'].split('/')[-2] for page in self._pages(prefix, Delimiter='/')
                     for item in page.get('CommonPrefixes', ()))

    def _pages(self, prefix: str, **more: str) -> Iterator[Any]:
        """Yield the pages of a listing."""
        token: dict[str, str] = {}
        while True:
            page = self._call('ListObjectsV2', prefix, functools.partial(self._page, more | token))
            yield page
            if not page.get('IsTruncated'):
                return
            token = {'ContinuationToken': page['NextContinuationToken']}

    def check_writable(self) -> None:
        if self._call('PutObject', PROBE, self._puts):
            with contextlib.suppress(StoreError):  # an empty object that cannot be removed does no harm
                self.delete(PROBE)

    def _puts(self, client: Any, key: str) -> bool:
        """Try a put whose condition is never met. Return True if this S3 ignores the condition and carries it out."""
        try:
            self._put(client, key, Body=b'', IfMatch=NO_ETAG)
        except ClientError as error:
            if code_of(error) not in UNMET:
                raise
            return False
        return True

    def _put(self, client: Any, key: str, **more: Any) -> None:
        encryption = {'ServerSideEncryption': self.sse, 'SSEKMSKeyId': self.kms_key_id}
        more.update((name, value) for name, value in encryption.items() if value)
        client.put_object(Bucket=self.bucket, Key=key, **more)

    def _read(self, client: Any, key: str) -> bytes | None:
        found = self._read_tagged(client, key)
        return found and found[0]

    def _read_tagged(self, client: Any, key: str) -> tuple[bytes, str] | None:
        """Return the bytes and the ETag, None if there is no object."""
        try:
            answer = client.get_object(Bucket=self.bucket, Key=key)
            return answer['Body'].read(), answer.get('ETag', '')
        except ClientError as error:
            if code_of(error) == 'NoSuchKey':
                return None
            raise

    def _page(self, token: dict[str, str], client: Any, key: str) -> Any:
        return client.list_objects_v2(Bucket=self.bucket, Prefix=key, **token)

    def _call(self, name: str, path: str, method: Callable[[Any, str], T]) -> T:
        key = f'{self.prefix}/{path}' if self.prefix else path
        where, client = f's3://{self.bucket}/{key}', _s3_client(self.endpoint_url, self.region, self.verify)
        try:
            return aws.retry(lambda: client.call(lambda opened: method(opened, key)), f'S3 {name} on {where}', passes,
                             failed=note_retry)
        except SDK_ERRORS as error:
            raise _store_error(name, where, error) from None


def _content_type(path: str) -> str:
    return 'application/json' if path.endswith('.json') else 'application/x-gzip'


@functools.lru_cache(maxsize=8)
def _s3_client(endpoint_url: str | None, region: str | None, verify: str | None) -> RenewedClient:
    return RenewedClient(lambda: aws.sdk_session().client(
        's3', endpoint_url=endpoint_url, region_name=region, verify=verify, config=CONFIG))


def passes(error: Exception) -> bool:
    """Return whether the same call may succeed a little later."""
    if isinstance(error, ClientError) and not is_of_credentials(error):
        return status_of(error) in PASSING_STATUS or code_of(error) in PASSING_CODES
    return aws.passes(error)


def _store_error(name: str, where: str, error: Exception) -> StoreError:
    """Return the error for a call, such as `PutObject`, that failed."""
    what, code = f'S3 {name} on {where}', code_of(error)
    if passes(error):
        return StoreError(f'{what} still fails with {name_of(error)} after {aws.PATIENCE_S:.0f} s: '
                          f'{reason_of(error, NETWORK)}; {GO_ON}')
    advice = f'grant {GRANTS[name]}' if code == 'AccessDenied' else ADVICE.get(code, '')
    return StoreError(f'{what} failed with {name_of(error)}: {reason_of(error, advice)}')
