"""Where the jobs of a test write: a bucket or a folder. Tests read what they wrote from here."""
from __future__ import annotations

import dataclasses
import hashlib
import pathlib
from typing import Any, Protocol


class Output(Protocol):
    """The objects of several jobs, each under its own prefix; a job needs `options` to reach it."""

    options: tuple[str, ...]

    def uri(self, prefix: str) -> str:
        """Return --output."""

    def tags(self, prefix: str) -> dict[str, str]:
        """Return a digest of each object, by key below the prefix."""

    def get(self, prefix: str, key: str) -> bytes:
        """Read an object."""


@dataclasses.dataclass(frozen=True)
class Bucket:
    """A bucket that exists; `s3` is a client for it."""

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
    """A folder; temporary files in it are left out."""

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
