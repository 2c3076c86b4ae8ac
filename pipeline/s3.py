"""A prefix of an S3 bucket as a store."""
from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Iterator
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from pipeline.stores import StoreError

#: Ten tries with full jitter reach over an S3 that answers SlowDown for about a minute; then the bundle fails.
RETRIES = {'mode': 'standard', 'total_max_attempts': 10}
ADVICE = {
    'AccessDenied': 'grant s3:GetObject, PutObject and DeleteObject below it, and ListBucket on the bucket',
    'NoSuchBucket': 'the bucket does not exist',
    'InvalidAccessKeyId': 'check the credentials that the AWS SDK finds',
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
        with self._refusing('PutObject', path) as client:
            client.put_object(Bucket=self.bucket, Key=self._key(path), Body=data, ContentType=kind)

    def get(self, path: str) -> bytes | None:
        with self._refusing('GetObject', path) as client:
            try:
                body: bytes = client.get_object(Bucket=self.bucket, Key=self._key(path))['Body'].read()
            except client.exceptions.NoSuchKey:
                return None
            return body

    def delete(self, path: str) -> None:
        with self._refusing('DeleteObject', path) as client:
            client.delete_object(Bucket=self.bucket, Key=self._key(path))

    def list(self, prefix: str) -> Iterator[str]:
        with self._refusing('ListObjectsV2', prefix) as client:
            pages = client.get_paginator('list_objects_v2').paginate(Bucket=self.bucket, Prefix=self._key(prefix))
            paths = [item['Key'][len(self._key('')):] for page in pages for item in page.get('Contents', ())]
        return iter(sorted(paths))

    def _key(self, path: str) -> str:
        return f'{self.prefix}/{path}' if self.prefix else path

    @contextlib.contextmanager
    def _refusing(self, call: str, path: str) -> Iterator[Any]:
        where = f'S3 {call} on s3://{self.bucket}/{self._key(path)}'
        try:
            yield _s3_client(self.endpoint_url, self.region, self.verify)
        except ClientError as error:
            code = error.response['Error']['Code']
            raise StoreError(f'{where} failed with {code}: '
                             f'{ADVICE.get(code) or error.response["Error"].get("Message", "")}') from None
        except BotoCoreError as error:
            raise StoreError(f'{where} failed: {error}') from None


@functools.lru_cache(maxsize=8)
def _s3_client(endpoint_url: str | None, region: str | None, verify: str | None) -> Any:
    config = Config(retries=RETRIES, connect_timeout=5, read_timeout=60, max_pool_connections=32)
    return boto3.session.Session().client('s3', endpoint_url=endpoint_url, region_name=region, verify=verify,
                                          config=config)
