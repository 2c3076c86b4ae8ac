"""What a window's manifest and resume.json say, and reading and writing them."""
from __future__ import annotations

import dataclasses
import logging
import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from pipeline.commit.ledger import Ledger
from pipeline.errors import ManifestError
from pipeline.paths import RESUME, manifest_day, manifest_path, window_stamp
from pipeline.stores.base import Store
from pipeline.windows import DAY_MS, align_down, iso

_log = logging.getLogger(__name__)
VERSION = 1
_RESUME = {'version': int, 'end_ms': int, 'since_ms': int, 'positions': dict, 'settings': dict}
_MANIFEST = {'version': int, 'window': str, 'window_ms': int, 'end_ms': int, 'counts': dict, 'objects': list,
             'positions': dict, 'settings': dict}
_NAME = re.compile(r'manifests/.*/\d{8}T\d{6}Z\.json')
_PRETTY = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE



@dataclasses.dataclass(frozen=True)
class ResumePoint:
    """resume.json: every window before `end_ms` (of those that were asked for) is committed.

    `positions` is by shard, as in manifests; a shard that is not among them is read from `since_ms`, 0: its beginning.
    """

    end_ms: int
    since_ms: int
    positions: dict[str, Any]
    settings: dict[str, Any]


def make_manifest(window_ms: int, flush_ms: int, ledger: Ledger, settings: dict[str, Any],
                  moved: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Write up a window whose ledger balances. All but `positions` is a pure function of stream and settings.

    `moved` says where errors and backups are that are not below the output; it is left out where all are.
    """
    return {
        'version': VERSION, 'window': iso(window_ms), 'window_ms': window_ms, 'end_ms': window_ms + flush_ms,
        'counts': ledger.totals(), 'accounts': ledger.shards,
        'objects': [ledger.objects[path] for path in sorted(ledger.objects)],
        'settings': settings, **({'moved': dict(moved)} if moved else {}), 'positions': ledger.positions}


def write_manifest(store: Store, manifest: dict[str, Any]) -> None:
    """Put a manifest under its window's path."""
    store.put(manifest_path(manifest['window_ms']), orjson.dumps(manifest, option=_PRETTY))


def read_manifest(store: Store, window_ms: int) -> dict[str, Any] | None:
    """Read the manifest of the window that starts there, None where there is none. Raises ManifestError."""
    return _read(store, manifest_path(window_ms), _MANIFEST)


def manifests_between(store: Store, start_ms: int, end_ms: int) -> Iterator[dict[str, Any]]:
    """Read the manifests of windows that start in [start_ms, end_ms), in order."""
    for day_ms in range(align_down(start_ms, DAY_MS), end_ms, DAY_MS):
        for path in store.list(manifest_day(day_ms)):
            name = path.rsplit('/', 1)[-1]
            if window_stamp(start_ms) <= name[:16] < window_stamp(end_ms):
                manifest = _read(store, path, _MANIFEST)
                if manifest:
                    yield manifest


def last_manifest(store: Store) -> dict[str, Any] | None:
    """Read the manifest of the last window of all, None if there is none; lists them all, a thousand a call."""
    paths = [path for path in store.list('manifests/') if _NAME.fullmatch(path)]
    return _read(store, max(paths), _MANIFEST) if paths else None


def read_resume_point(store: Store) -> ResumePoint | None:
    """Read resume.json, None where there is none. A failed read raises: it is never "no resume"."""
    found = _read(store, RESUME, _RESUME)
    if found is None:
        return None
    return ResumePoint(found['end_ms'], found['since_ms'], found['positions'], found['settings'])


def write_resume_point(store: Store, resume_point: ResumePoint) -> None:
    """Put resume.json."""
    value = {'version': VERSION, 'end': iso(resume_point.end_ms), **dataclasses.asdict(resume_point)}
    store.put(RESUME, orjson.dumps(value, option=_PRETTY))


def advance_resume_point(store: Store, settings: dict[str, Any]) -> None:
    """Move resume.json over the manifests of these settings that follow it without a gap; warn where it is gone."""
    start = read_resume_point(store)
    if start is None:
        _log.warning('resume.json is gone: put it back, or end the job and start it at the end of its last window')
        return
    resume_point = follow(store, start, settings)
    if resume_point is not start:
        write_resume_point(store, resume_point)


def retreat_resume_point(store: Store, window_ms: int, flush_ms: int, settings: dict[str, Any]) -> None:
    """Move resume.json back before a window, where it is behind it: to the manifest before, else to the time."""
    resume_point = read_resume_point(store)
    if resume_point and resume_point.end_ms > window_ms:
        before = read_manifest(store, window_ms - flush_ms)
        moved = resume_point_after(before) if before else ResumePoint(window_ms, window_ms, {}, settings)
        write_resume_point(store, moved)


def follow(store: Store, resume_point: ResumePoint, settings: dict[str, Any]) -> ResumePoint:
    """Walk from an resume_point over the manifests of these settings that follow it without a gap.

    One of other settings ends the walk: a run with `--replace` has still to write that window again.
    """
    while (manifest := read_manifest(store, resume_point.end_ms)) and manifest['settings'] == settings:
        resume_point = resume_point_after(manifest)
    return resume_point


def resume_point_after(manifest: dict[str, Any]) -> ResumePoint:
    """Give the resume_point that goes on after that window: shards it does not know were created later."""
    return ResumePoint(manifest['end_ms'], 0, manifest['positions'], manifest['settings'])


def _read(store: Store, path: str, fields: Mapping[str, type]) -> dict[str, Any] | None:
    data = store.get(path)
    if data is None:
        return None
    try:
        value = orjson.loads(data)
    except ValueError:
        value = None
    version = value.get('version') if isinstance(value, dict) else None
    if version not in (None, VERSION):
        raise ManifestError(f'{path} is of version {version}, this program reads version {VERSION}')
    if not isinstance(value, dict) or not all(isinstance(value.get(name), kind) for name, kind in fields.items()):
        remedy = 'put back an older version' if path == RESUME else 'put it back, or remove it and replay its window'
        raise ManifestError(f'{path} is damaged: not JSON of this program; {remedy}')
    return value
