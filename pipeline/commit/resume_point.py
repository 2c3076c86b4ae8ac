"""resume.json: the end of the last window before which all are committed, and moving it."""
from __future__ import annotations

import logging

import msgspec

from pipeline.commit.manifests import VERSION, Manifest, Settings, encode_pretty, read_manifest, read_strictly
from pipeline.paths import RESUME
from pipeline.source import ShardPosition
from pipeline.stores.base import Store
from pipeline.windows import iso

_log = logging.getLogger(__name__)


class ResumePoint(msgspec.Struct, frozen=True):
    """Every window before `end_ms` (of those that were asked for) is committed.

    `positions` is by `stream/shard`, as in manifests. A shard that is not among them is read from `since_ms`; 0 is its
    beginning.
    """

    end_ms: int
    since_ms: int
    positions: dict[str, ShardPosition]
    settings: Settings


class _File(ResumePoint, frozen=True):
    version: int


def read_resume_point(store: Store) -> ResumePoint | None:
    """Return what resume.json says, None if there is none. A failed read raises: it is never "no resume"."""
    found = read_strictly(store, RESUME, _File)
    return found and ResumePoint(found.end_ms, found.since_ms, found.positions, found.settings)


def write_resume_point(store: Store, resume_point: ResumePoint) -> None:
    """Put resume.json."""
    store.put(RESUME, encode_pretty({'version': VERSION, 'end': iso(resume_point.end_ms),
                                     **msgspec.to_builtins(resume_point)}))


def advance_resume_point(store: Store, settings: Settings) -> None:
    """Move resume.json over the manifests of these settings that follow it without a gap. Warn if it is gone."""
    start = read_resume_point(store)
    if start is None:
        _log.warning('resume.json is gone: put it back, or end the job and start it at the end of its last window')
        return
    reached = follow(store, start, settings)
    if reached is not start:
        write_resume_point(store, reached)


def retreat_resume_point(store: Store, window_ms: int, flush_ms: int, settings: Settings) -> None:
    """If resume.json is past this window, move it back to the start of the window."""
    resume_point = read_resume_point(store)
    if resume_point and resume_point.end_ms > window_ms:
        before = read_manifest(store, window_ms - flush_ms)
        moved = resume_point_after(before) if before else ResumePoint(window_ms, window_ms, {}, settings)
        write_resume_point(store, moved)


def follow(store: Store, resume_point: ResumePoint, settings: Settings) -> ResumePoint:
    """Walk from a resume point over the manifests of these settings that follow it without a gap; return the last.

    A manifest of other settings ends the walk: a run with `--replace` has still to write that window again.
    """
    while (manifest := read_manifest(store, resume_point.end_ms)) and manifest.settings == settings:
        resume_point = resume_point_after(manifest)
    return resume_point


def resume_point_after(manifest: Manifest) -> ResumePoint:
    """Return the resume point behind that window. Shards that it does not know were created later."""
    return ResumePoint(manifest.end_ms, 0, manifest.positions, manifest.settings)
