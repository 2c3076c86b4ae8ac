"""Where the jobs of a test write, and how it reads what they wrote: a bucket or a folder."""
from __future__ import annotations

import dataclasses
import hashlib
import pathlib
from typing import Any, Protocol


class Output(Protocol):
    """Keeps the objects of several jobs, each under a prefix of its own; `options` are what a job needs to reach it."""

    options: tuple[str, ...]

    def uri(self, prefix: str) -> str:
        """Return --output."""

    def tags(self, prefix: str) -> dict[str, str]:
        """Return a digest of each object, by key below the prefix."""

    def get(self, prefix: str, key: str) -> bytes:
        """Read an object."""


@dataclasses.dataclass(frozen=True)
class Bucket:
    """A bucket that is there; `s3` is a client of it."""

    s3: Any
    name: str
    options: tuple[str, ...] = ()

    def uri(self, prefix: str) -> str:
        return f's3://{self.name}/{prefix}'

    def tags(self, prefix: str) -> dict[str, str]:
        pages = self.s3.get_paginator('list_objects_v2').paginate(Bucket=self.name, Prefix=f'{prefix}/')
        return {item['Key'][len(prefix) + 1:]: item['ETag'] for page in pages for item in page.get('Contents', ())}

    def get(self, prefix: str, key: str) -> bytes:
        body: bytes = self.s3.get_object(Bucket=self.name, Key=f'{prefix}/{key}')['Body'].read()
        return body


@dataclasses.dataclass(frozen=True)
class Folder:
    """A folder; unfinished temporary files in it do not count."""

    root: pathlib.Path
    options: tuple[str, ...] = ()

    def uri(self, prefix: str) -> str:
        return str(self.root / prefix)

    def tags(self, prefix: str) -> dict[str, str]:
        top = self.root / prefix
        files = [file for file in top.rglob('*') if file.is_file() and file.name[0] != '.']
        return {file.relative_to(top).as_posix(): hashlib.md5(file.read_bytes()).hexdigest() for file in files}

    def get(self, prefix: str, key: str) -> bytes:
        return (self.root / prefix / key).read_bytes()
