"""A prefix of an S3 bucket. Calls are made again while S3 fails for now, and errors say what to do."""
from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from pipeline.aws import SDK_ERRORS, code_of
from pipeline.stores.s3_calls import CREDENTIALS, give_up, patiently
from pipeline.stores.base import PROBE, StoreError

T = TypeVar('T')

#: No object has this ETag: a put under the condition that it has writes nothing, but is refused to whoever may not put.
NO_ETAG = '"00000000000000000000000000000000"'
#: What S3 answers to it: another object is there, or none, or this S3 knows no conditions.
UNMET = frozenset({'PreconditionFailed', 'NoSuchKey', 'NotImplemented'})

#: botocore's own retries share a quota: a dozen objects that fail at once use it up, and then it gives up at once. And
#: they end before the body of an answer is read. So there is one loop, ours.
CONFIG = Config(connect_timeout=5, read_timeout=60, max_pool_connections=32, retries={'total_max_attempts': 1})


@dataclasses.dataclass(frozen=True)
class S3Store:
    """A prefix of a bucket. Holds names only, so that it travels to workers; clients are kept per process."""

    bucket: str
    prefix: str
    endpoint_url: str | None = None
    region: str | None = None
    verify: str | None = None
    sse: str | None = None
    kms_key_id: str | None = None

    def put(self, path: str, data: bytes) -> None:
        kind = 'application/json' if path.endswith('.json') else 'application/x-gzip'
        self._call('PutObject', path, functools.partial(self._put, Body=data, ContentType=kind))

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

    def check_writable(self) -> None:
        if self._call('PutObject', PROBE, self._puts):
            with contextlib.suppress(StoreError):  # an empty object that may not be removed does no harm
                self.delete(PROBE)

    def _puts(self, key: str) -> bool:
        """Return whether a put was carried out whose condition is never met: some other S3 do not look at it."""
        try:
            self._put(key, Body=b'', IfMatch=NO_ETAG)
        except ClientError as error:
            if code_of(error) not in UNMET:
                raise
            return False
        return True

    def _put(self, key: str, **more: Any) -> None:
        encryption = {'ServerSideEncryption': self.sse, 'SSEKMSKeyId': self.kms_key_id}
        more.update((name, value) for name, value in encryption.items() if value)
        self._client.put_object(Bucket=self.bucket, Key=key, **more)

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
        where = f's3://{self.bucket}/{key}'
        what = f'S3 {name} on {where}'
        try:
            try:
                return patiently(what, lambda: call(key))
            except ClientError as error:
                if code_of(error) not in CREDENTIALS:
                    raise
            _s3_client.cache_clear()
            return patiently(what, lambda: call(key))
        except SDK_ERRORS as error:
            give_up(name, where, error)

    def _key(self, path: str) -> str:
        return f'{self.prefix}/{path}' if self.prefix else path

    @property
    def _client(self) -> Any:
        return _s3_client(self.endpoint_url, self.region, self.verify)


@functools.lru_cache(maxsize=8)
def _s3_client(endpoint_url: str | None, region: str | None, verify: str | None) -> Any:
    return boto3.session.Session().client('s3', endpoint_url=endpoint_url, region_name=region, verify=verify,
                                          config=CONFIG)
