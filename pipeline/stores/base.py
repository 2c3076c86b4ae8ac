"""Where bytes end up, behind one small interface: S3 (s3.py), a folder, or memory.

A path is relative, with `/` between its parts. A put is whole or not at all, and a second put of a path replaces it.
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

#: A store is asked under this name whether it takes a put; readers of a lake pass over names that begin with a dot.
PROBE = '.write-check'



class Store(Protocol):
    """What the job asks of the place it writes to. Every method raises StoreError where the place refuses."""

    def put(self, path: str, data: bytes) -> None:
        """Write the bytes under that path; raise where that did not succeed."""

    def get(self, path: str) -> bytes | None:
        """Read the bytes under that path, None where there is nothing; raise where that is not known."""

    def delete(self, path: str) -> None:
        """Remove the path; nothing happens where there is none."""

    def list(self, prefix: str) -> Iterator[str]:
        """Give the paths that begin with the prefix (which ends in `/`), sorted."""

    def check_writable(self) -> None:
        """Raise if nothing can be put here; leave nothing behind."""


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

    def check_writable(self) -> None:
        """A dictionary takes everything."""


@dataclasses.dataclass(frozen=True)
class FolderStore:
    """A folder: each put writes a temporary file beside the final one and renames it."""

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
