"""One small interface to the place where objects are stored: S3 (s3.py), a folder, or memory.

A path is relative, with `/` between its parts. A put stores all of the bytes or nothing, and a second put of a path
replaces the first.
"""
from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import os
import pathlib
from collections.abc import Iterator
from typing import Any, Protocol

from pipeline.errors import StoreError
from pipeline.stores import files

#: The path of the test whether a store takes a put. Query engines ignore names that begin with a dot.
PROBE = '.write-check'
#: Below a folder: where files are until they are whole.
TEMPORARY = '.tmp'


class Store(Protocol):
    """What the job needs from the place it writes to. Every method raises StoreError if the call fails."""

    def put(self, path: str, data: bytes) -> None:
        """Store the bytes under that path."""

    def get(self, path: str) -> bytes | None:
        """Return the bytes under that path, or None if there are none."""

    def delete(self, path: str) -> None:
        """Remove the path. Do nothing if it does not exist."""

    def create(self, path: str, data: bytes) -> bool:
        """Store the bytes if nothing is under that path yet. Return False if something is."""

    def swap(self, path: str, before: bytes | None, after: bytes | None) -> bool:
        """Replace the bytes `before` by `after`; None stands for an absent path. Return False if others are there.

        Nothing can come between the comparison and the change. (An S3 without conditional requests cannot promise it.)
        """

    def list(self, prefix: str) -> Iterator[str]:
        """Yield the paths that begin with the prefix (which ends in `/`), sorted."""

    def folders(self, prefix: str) -> tuple[str, ...]:
        """Return the names of the folders directly below the prefix (which is '' or ends in `/`), sorted."""

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

    def create(self, path: str, data: bytes) -> bool:
        if path in self:
            return False
        self.put(path, data)
        return True

    def swap(self, path: str, before: bytes | None, after: bytes | None) -> bool:
        found = self.get(path)
        if found == before != after:
            self.delete(path) if after is None else self.put(path, after)
        return found in (before, after)

    def list(self, prefix: str) -> Iterator[str]:
        return iter(sorted(path for path in self if path.startswith(prefix)))

    def folders(self, prefix: str) -> tuple[str, ...]:
        below = (path[len(prefix):] for path in self if path.startswith(prefix))
        return tuple(sorted({path.split('/', 1)[0] for path in below if '/' in path}))

    def check_writable(self) -> None:
        """Do nothing: a dictionary takes everything."""


@dataclasses.dataclass(frozen=True)
class FolderStore:
    """A folder. Each put writes a temporary file below `.tmp` and gives it its own name.

    What a call has done is on the disk when it returns.
    """

    root: str

    def put(self, path: str, data: bytes) -> None:
        self._write(path, data, os.replace)

    def create(self, path: str, data: bytes) -> bool:
        return self._write(path, data, os.link)  # it replaces nothing

    def _write(self, path: str, data: bytes, rename: files.Rename) -> bool:
        with self._refusing('write', path):
            return files.write_file(os.path.join(self.root, path), data, os.path.join(self.root, TEMPORARY), rename)

    def get(self, path: str) -> bytes | None:
        with self._refusing('read', path):
            try:
                return pathlib.Path(self.root, path).read_bytes()
            except FileNotFoundError:
                return None

    def delete(self, path: str) -> None:
        with self._refusing('delete', path):
            files.remove_file(os.path.join(self.root, path))

    def swap(self, path: str, before: bytes | None, after: bytes | None) -> bool:
        with self._alone():
            found = self.get(path)
            if found == before != after:
                self.delete(path) if after is None else self.put(path, after)
            return found in (before, after)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes out that swap here. The lock ends with the process."""
        with self._refusing('lock', ''):
            files.make_folder(self.root)
            folder = os.open(self.root, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)

    def list(self, prefix: str) -> Iterator[str]:
        with self._refusing('list', prefix):
            paths = sorted(files.files_below(os.path.join(self.root, prefix), self.root))
        root = os.path.join(self.root, '')
        return (path.removeprefix(root) for path in paths)

    def folders(self, prefix: str) -> tuple[str, ...]:
        with self._refusing('list', prefix):
            return tuple(files.folders_in(os.path.join(self.root, prefix), self.root))

    def check_writable(self) -> None:
        """Raise if nothing can be stored here. Leave nothing behind, nor what killed processes had left."""
        probe = os.path.join(self.root, PROBE)
        with self._refusing('write', PROBE):
            files.write_file(probe, b'', self.root, os.replace)
            files.remove_file(probe)
        files.remove_stale(self.root)
        files.remove_stale(os.path.join(self.root, TEMPORARY))

    @contextlib.contextmanager
    def _refusing(self, call: str, path: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreError(f'cannot {call} {self.root}/{path}: {error.strerror or error}') from None
