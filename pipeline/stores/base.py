"""One small interface to the place where objects are stored: S3 (s3.py), a folder, or memory.

A path is relative, with `/` between its parts. A put stores all of the bytes or nothing, and a second put of a path
replaces the first.
"""
from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import tempfile
from collections.abc import Iterator
from typing import Any, Protocol

from pipeline.errors import StoreError

#: The path of the test whether a store takes a put. Query engines ignore names that begin with a dot.
PROBE = '.write-check'


class Store(Protocol):
    """What the job needs from the place it writes to. Every method raises StoreError if the call fails."""

    def put(self, path: str, data: bytes) -> None:
        """Store the bytes under that path."""

    def get(self, path: str) -> bytes | None:
        """Return the bytes under that path, or None if there are none."""

    def delete(self, path: str) -> None:
        """Remove the path. Do nothing if it does not exist."""

    def list(self, prefix: str) -> Iterator[str]:
        """Yield the paths that begin with the prefix (which ends in `/`), sorted."""

    def check_writable(self) -> None:
        """Raise if nothing can be stored here. Leave nothing behind."""


class MemoryStore(dict[str, bytes]):
    """A store for tests: a dictionary of path to bytes. `effects` lists every put and delete in order."""

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

    def check_writable(self) -> None:
        """Do nothing: a dictionary takes everything."""


@dataclasses.dataclass(frozen=True)
class FolderStore:
    """A folder: each put writes a temporary file in the same folder and renames it."""

    root: str

    def put(self, path: str, data: bytes) -> None:
        target = pathlib.Path(self.root, path)
        with self._refusing('write', path):
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
        with self._refusing('read', path):
            try:
                return pathlib.Path(self.root, path).read_bytes()
            except FileNotFoundError:
                return None

    def delete(self, path: str) -> None:
        with self._refusing('delete', path):
            pathlib.Path(self.root, path).unlink(missing_ok=True)

    def list(self, prefix: str) -> Iterator[str]:
        files = (file for file in pathlib.Path(self.root, prefix).rglob('*') if file.is_file())
        return iter(sorted(file.relative_to(self.root).as_posix() for file in files if file.name[0] != '.'))

    def check_writable(self) -> None:
        self.put(PROBE, b'')
        self.delete(PROBE)

    @contextlib.contextmanager
    def _refusing(self, call: str, path: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreError(f'cannot {call} {self.root}/{path}: {error.strerror or error}') from None
