"""Read back everything that a job has written. The demo takes its figures only from the objects."""
from __future__ import annotations

import dataclasses
import gzip
import json
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.paths import MANIFESTS
from pipeline.stores.base import Store

KINDS = ('events', 'errors', 'backup')


@dataclasses.dataclass(frozen=True)
class Contents:
    """The objects of an output by path: their stored bytes, and the lines of those in events/, errors/ and backup/."""

    stored: Mapping[str, bytes]
    lines: Mapping[str, list[bytes]]

    def paths(self, kind: str) -> list[str]:
        """Return the paths of one kind, sorted."""
        return sorted(path for path in self.stored if path.startswith(f'{kind}/'))

    def of(self, kind: str) -> Iterator[Any]:
        """Yield every line of one kind, decoded."""
        return (json.loads(line) for path in self.paths(kind) for line in self.lines[path])

    def first(self, prefix: str) -> bytes:
        """Return the first line below a prefix, or b'' if there is none."""
        return next((line for path, lines in sorted(self.lines.items()) if path.startswith(prefix) for line in lines),
                    b'')

    @property
    def manifests(self) -> list[dict[str, Any]]:
        """Return the manifests, oldest window first."""
        return [json.loads(self.stored[path]) for path in sorted(self.stored) if path.startswith(MANIFESTS)]


def read_contents(store: Store) -> Contents:
    """Read all objects of an output."""
    stored = {path: store.get(path) or b'' for path in store.list('')}
    lines = {path: _plain(path, data).splitlines() for path, data in stored.items() if path.split('/', 1)[0] in KINDS}
    return Contents(stored, lines)


def _plain(path: str, data: bytes) -> bytes:
    return gzip.decompress(data) if path.endswith('.gz') else data
