"""Where bytes end up, behind one small interface: S3, a folder, or memory.

A path is relative, with `/` between its parts. A put is whole or not at all, and a second put of a path replaces it.
"""
from __future__ import annotations

import dataclasses
import functools
import os
import pathlib
import tempfile
from collections.abc import Iterator
from typing import Any, Protocol
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from pipeline.options import Options

#: Ten tries with full jitter reach over an S3 that answers SlowDown for about a minute; then the bundle fails.
RETRIES = {'mode': 'standard', 'total_max_attempts': 10}


class Store(Protocol):
    """What the job asks of the place it writes to."""

    def put(self, path: str, data: bytes) -> None:
        """Write the bytes under that path; raise where that did not succeed."""

    def get(self, path: str) -> bytes | None:
        """Read the bytes under that path, None where there is nothing; raise where that is not known."""

    def delete(self, path: str) -> None:
        """Remove the path; nothing happens where there is none."""

    def list(self, prefix: str) -> Iterator[str]:
        """Give the paths that begin with the prefix (which ends in `/`), sorted."""


class MemoryStore(dict[str, bytes]):
    """A store for tests: path to bytes, with every put and delete noted in order in `effects`."""

    def __init__(self) -> None:
        super().__init__()
        self.effects: list[tuple[str, str]] = []

    def put(self, path: str, data: bytes) -> None:
        self.effects.append(('put', path))
        self[path] = data

    def get(self, path: str, default: Any = None) -> Any:
        return super().get(path, default)

    def delete(self, path: str) -> None:
        self.effects.append(('delete', path))
        self.pop(path, None)

    def list(self, prefix: str) -> Iterator[str]:
        return iter(sorted(path for path in self if path.startswith(prefix)))


@dataclasses.dataclass(frozen=True)
class FolderStore:
    """A folder: each put writes a temporary file beside the final one and renames it."""

    root: str

    def put(self, path: str, data: bytes) -> None:
        target = pathlib.Path(self.root, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix='.', suffix='.tmp')
        try:
            with os.fdopen(handle, 'wb') as file:
                file.write(data)
            os.chmod(temporary, 0o644)
            os.replace(temporary, target)
        except BaseException:
            pathlib.Path(temporary).unlink(missing_ok=True)
            raise

    def get(self, path: str) -> bytes | None:
        try:
            return pathlib.Path(self.root, path).read_bytes()
        except FileNotFoundError:
            return None

    def delete(self, path: str) -> None:
        pathlib.Path(self.root, path).unlink(missing_ok=True)

    def list(self, prefix: str) -> Iterator[str]:
        files = (file for file in pathlib.Path(self.root, prefix).rglob('*') if file.is_file())
        return iter(sorted(file.relative_to(self.root).as_posix() for file in files if file.name[0] != '.'))


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
        self._client.put_object(Bucket=self.bucket, Key=self._key(path), Body=data, ContentType=kind)

    def get(self, path: str) -> bytes | None:
        try:
            body: bytes = self._client.get_object(Bucket=self.bucket, Key=self._key(path))['Body'].read()
        except ClientError as error:
            if error.response['Error']['Code'] == 'NoSuchKey':
                return None
            raise
        return body

    def delete(self, path: str) -> None:
        self._client.delete_object(Bucket=self.bucket, Key=self._key(path))

    def list(self, prefix: str) -> Iterator[str]:
        pages = self._client.get_paginator('list_objects_v2').paginate(Bucket=self.bucket, Prefix=self._key(prefix))
        for page in pages:
            for item in page.get('Contents', ()):
                yield item['Key'][len(self._key('')):]

    def _key(self, path: str) -> str:
        return f'{self.prefix}/{path}' if self.prefix else path

    @property
    def _client(self) -> Any:
        return _s3_client(self.endpoint_url, self.region, self.verify)


@functools.lru_cache(maxsize=8)
def _s3_client(endpoint_url: str | None, region: str | None, verify: str | None) -> Any:
    config = Config(retries=RETRIES, connect_timeout=5, read_timeout=60, max_pool_connections=32)
    return boto3.session.Session().client('s3', endpoint_url=endpoint_url, region_name=region, verify=verify,
                                          config=config)


def store_at(uri: str, options: Options) -> Store:
    """Open the store that a checked URI of the options names: `s3://bucket/prefix` or a folder."""
    parts = urlsplit(uri)
    if parts.scheme == 's3':
        return S3Store(parts.netloc, parts.path.strip('/'), options.s3_endpoint_url,
                       options.s3_region_name or options.aws_region, options.s3_verify)
    return FolderStore(uri)
