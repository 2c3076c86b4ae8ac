"""The manifest of a flush window: what it says, how it is written, and how it is read back, strictly."""
from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import msgspec
import orjson

from pipeline.commit.ledger import Counts, Ledger, StoredObject
from pipeline.errors import ManifestError
from pipeline.paths import MANIFESTS, RESUME, manifest_day, manifest_path
from pipeline.source import ShardCounts, ShardPosition
from pipeline.stores.base import Store
from pipeline.windows import DAY_MS, align_down, iso

T = TypeVar('T')

VERSION = 1
_NAME = re.compile(MANIFESTS + r'.*/\d{8}T\d{6}Z\.json')
_MAKING = threading.Lock()
_DECODERS: dict[type, msgspec.json.Decoder[Any]] = {}
_PRETTY = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE


class StreamSettings(msgspec.Struct, frozen=True):
    """A stream that a run reads: its label, and when it was created, which tells it from another of its name."""

    label: str
    created_ms: int


class Placement(msgspec.Struct, frozen=True, kw_only=True):
    """The settings that decide which object a line belongs to. `streams` is by name.

    `max_event_age_days` is None if there is no bound, and `platforms` is empty if any has a folder. Both are so in what
    was written before there were these settings.
    """

    layout: int
    flush_interval_s: int
    flush_size_mb: int
    output_shards: int
    compression: str
    partition_time: str
    platform_field: str
    time_field: str
    max_event_age_days: int | None = None
    platforms: tuple[str, ...] = ()
    streams: dict[str, StreamSettings]

    @property
    def created_ms(self) -> dict[str, int]:
        """Return when each stream was created, in epoch ms, by its name."""
        return {name: stream.created_ms for name, stream in self.streams.items()}


class Content(msgspec.Struct, frozen=True):
    """The settings that decide what a line holds: version of the transforms, digest of the renaming, JSON fields."""

    transforms: int
    rename: str
    json_fields: tuple[str, ...] = ()


class Settings(msgspec.Struct, frozen=True):
    """The settings of a run that decide what its objects are."""

    placement: Placement
    content: Content


class Manifest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A flush window that is complete. All but `positions` is a pure function of stream and settings.

    `accounts` has the shards with records. `moved` says where errors and backup are if they are not below the output.
    `removing` names objects that only an earlier manifest of the window lists, while they are removed.
    """

    version: int
    window: str
    window_ms: int
    end_ms: int
    counts: Counts
    accounts: dict[str, ShardCounts]
    objects: list[StoredObject]
    settings: Settings
    moved: dict[str, str] = msgspec.field(default_factory=dict)
    positions: dict[str, ShardPosition]
    removing: list[str] = msgspec.field(default_factory=list)

    @property
    def hashes(self) -> dict[str, str]:
        """Return the SHA-256 of each object by its path."""
        return {item.path: item.sha256 for item in self.objects}


def make_manifest(window_ms: int, flush_ms: int, ledger: Ledger, settings: Settings,
                  moved: Mapping[str, str] | None = None) -> Manifest:
    """Write up a window whose ledger balances."""
    return Manifest(
        version=VERSION, window=iso(window_ms), window_ms=window_ms, end_ms=window_ms + flush_ms,
        counts=ledger.counts(), accounts=ledger.shards,
        objects=[ledger.objects[path] for path in sorted(ledger.objects)],
        settings=settings, moved=dict(moved or {}), positions=ledger.positions)


def write_manifest(store: Store, manifest: Manifest) -> None:
    """Put a manifest under its window's path, whatever is there."""
    store.put(manifest_path(manifest.window_ms), encode_manifest(manifest))


def encode_manifest(manifest: Manifest) -> bytes:
    """Return the bytes of a manifest. Equal manifests give equal bytes."""
    return encode_pretty(msgspec.to_builtins(manifest))


def read_manifest(store: Store, window_ms: int) -> Manifest | None:
    """Return the manifest of the window that starts at `window_ms`, None if there is none. Raise ManifestError."""
    return read_strictly(store, manifest_path(window_ms), Manifest)


def manifests_between(store: Store, start_ms: int, end_ms: int) -> Iterator[Manifest]:
    """Yield the manifests of the windows that start in [start_ms, end_ms), in order. Raise ManifestError."""
    for day_ms in range(align_down(start_ms, DAY_MS), end_ms, DAY_MS):
        for path in manifest_paths(store, day_ms):
            if manifest_path(start_ms) <= path < manifest_path(end_ms):
                manifest = read_strictly(store, path, Manifest)
                if manifest:
                    yield manifest


def manifest_before(store: Store, end_ms: int) -> Manifest | None:
    """Return the manifest of the window that ends at `end_ms`, None if there is none. Raise ManifestError."""
    paths = [path for path in manifest_paths(store, align_down(end_ms - 1, DAY_MS)) if path < manifest_path(end_ms)]
    manifest = read_strictly(store, paths[-1], Manifest) if paths else None
    return manifest if manifest and manifest.end_ms == end_ms else None


def manifest_paths(store: Store, day_ms: int) -> list[str]:
    """Return the paths of the manifests of a day, in the order of their windows."""
    return sorted(path for path in store.list(manifest_day(day_ms)) if _NAME.fullmatch(path))


def last_manifest(store: Store) -> Manifest | None:
    """Return the manifest of the last window of all, None if there is none; list them all, a thousand a call."""
    paths = [path for path in store.list(MANIFESTS) if _NAME.fullmatch(path)]
    return read_strictly(store, max(paths), Manifest) if paths else None


def read_strictly(store: Store, path: str, kind: type[T]) -> T | None:
    """Return the value of a JSON file of this program, None if there is no file. Raise ManifestError if it is damaged.
    """
    data = store.get(path)
    return None if data is None else decode_strictly(data, path, kind)


def decode_strictly(data: bytes, path: str, kind: type[T]) -> T:
    """Return the value that the JSON file at `path` holds. Raise ManifestError if it is damaged."""
    try:
        version = msgspec.json.decode(data, type=dict[str, Any]).get('version')
        if version in (None, VERSION):
            return _decoder(kind).decode(data)
    except (ValueError, RecursionError):
        remedy = 'put back an older version' if path == RESUME else 'put it back, or remove it and replay its window'
        raise ManifestError(f'{path} is damaged: not JSON of this program; {remedy}') from None
    raise ManifestError(f'{path} is of version {version}, this program reads version {VERSION}')


def _decoder(kind: type[T]) -> msgspec.json.Decoder[T]:
    """Return the decoder of a class. msgspec crashes if two threads at once make the first one."""
    with _MAKING:
        if kind not in _DECODERS:
            _DECODERS[kind] = msgspec.json.Decoder(kind)
        return _DECODERS[kind]


def encode_pretty(value: Any) -> bytes:
    """Return plain values as indented JSON with a newline at the end."""
    return orjson.dumps(value, option=_PRETTY)
