"""resume.json: the end of the last window before which all are committed, and who may move it."""
from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

import msgspec

from pipeline.commit.manifests import VERSION, Settings, decode_strictly, encode_pretty, read_manifest
from pipeline.errors import ManifestError
from pipeline.paths import RESUME
from pipeline.source import ShardPosition
from pipeline.stores.base import Store
from pipeline.windows import DAY_MS, iso

_log = logging.getLogger(__name__)

#: Of an update that other runs come before. They write once a window, so a few are plenty.
TRIES = 20
#: 9999-12-31: later times have no name in paths.
_LAST_MS = 253_402_214_400_000 + DAY_MS - 1


class Cleanup(msgspec.Struct, frozen=True):
    """Orphans that are still to be removed: of windows from `start_ms` on, also in `places`.

    `places` is by kind: URIs that errors or backups went to before. `since_ms` is when a run with other settings took
    over; the former one may have put a little more after it. `begun` is False until the orphans of windows that are
    not committed were removed once.
    """

    start_ms: int
    since_ms: int
    places: dict[str, list[str]]
    begun: bool = False


class Replay(msgspec.Struct, frozen=True):
    """The last run with `--replace` that left resume.json alone. A later one with other settings has a higher number.
    """

    generation: int
    settings: Settings


class ResumePoint(msgspec.Struct, frozen=True, omit_defaults=True):
    """Every window before `end_ms` (of those that were asked for) is committed.

    `positions` is by `stream/shard`, as in manifests. A shard that is not among them is read from `since_ms`; 0 is its
    beginning. `moved` and `backup` say where objects go that are not committed yet, as in manifests. `generation` grows
    when a run with other settings takes over: runs of a lower one commit nothing more. `unfinished` says that the
    window at `end_ms` must be written again even if there is a manifest of it.
    """

    end_ms: int
    since_ms: int
    positions: dict[str, ShardPosition]
    settings: Settings
    moved: dict[str, str] = {}
    backup: bool = True
    generation: int = 0
    unfinished: bool = False
    cleanup: Cleanup | None = None
    replay: Replay | None = None

    def writes_like(self, other: ResumePoint) -> bool:
        """Return whether runs of both put the same objects in the same places."""
        return (self.settings, self.moved, self.backup) == (other.settings, other.moved, other.backup)


class _File(ResumePoint, frozen=True, kw_only=True):
    version: int
    end: str


def read_resume_point(store: Store) -> ResumePoint | None:
    """Return what resume.json says, None if there is none. Raise ManifestError if it cannot be what a run wrote.

    A failed read raises: it is never "no resume".
    """
    return _decode(store.get(RESUME))


def update_resume_point(store: Store,
                        change: Callable[[ResumePoint | None], ResumePoint | None]) -> ResumePoint | None:
    """Replace resume.json by what `change` makes of it, and return that. Do nothing if it stays as it is.

    Nothing that another run writes meanwhile is overwritten: `change` is called again with it. What it raises is
    raised, and ManifestError if others come before it each time.
    """
    for _ in range(TRIES):
        data = store.get(RESUME)
        before = _decode(data)
        after = change(before)
        if after is None or after == before or store.swap(RESUME, data, _encode(after)):
            return after
    raise ManifestError('resume.json is written by other runs all the time: end one of them')


def write_resume_point(store: Store, resume_point: ResumePoint) -> None:
    """Put resume.json, whatever is there."""
    store.put(RESUME, _encode(resume_point))


def follow(store: Store, resume_point: ResumePoint, settings: Settings, written_ms: int | None = None) -> ResumePoint:
    """Walk from a resume point over the manifests of these settings that follow it without a gap; return the last.

    A manifest of other settings ends the walk: a run with `--replace` has still to write that window again. So does a
    window that is unfinished, unless it is the one that was just written, `written_ms`.
    """
    if resume_point.unfinished and resume_point.end_ms != written_ms:
        return resume_point
    while (manifest := read_manifest(store, resume_point.end_ms)) and manifest.settings == settings:
        resume_point = msgspec.structs.replace(
            resume_point, end_ms=manifest.end_ms, since_ms=0, positions=manifest.positions, settings=settings,
            unfinished=False)
    return resume_point


def retreat(store: Store, resume_point: ResumePoint, window_ms: int, flush_ms: int) -> ResumePoint:
    """Return the resume point at the start of this window, if it is past that, and mark the window as unfinished."""
    if resume_point.end_ms > window_ms:
        before = read_manifest(store, window_ms - flush_ms)
        since_ms, positions = (0, before.positions) if before else (window_ms, {})
        resume_point = msgspec.structs.replace(
            resume_point, end_ms=window_ms, since_ms=since_ms, positions=positions)
    if resume_point.end_ms == window_ms and read_manifest(store, window_ms):
        return msgspec.structs.replace(resume_point, unfinished=True)
    return resume_point


def _encode(resume_point: ResumePoint) -> bytes:
    return encode_pretty({'version': VERSION, 'end': iso(resume_point.end_ms), **msgspec.to_builtins(resume_point)})


def _decode(data: bytes | None) -> ResumePoint | None:
    if data is None:
        return None
    found = decode_strictly(data, RESUME, _File)
    fields = {name: getattr(found, name) for name in ResumePoint.__struct_fields__}
    wrong = _wrong(ResumePoint(**fields), found.end)
    if wrong:
        raise ManifestError(f'resume.json is damaged: {wrong}; put back an older version')
    return ResumePoint(**fields)


def _wrong(resume_point: ResumePoint, end: str) -> str:
    """Say what in a resume point no run can have written, '' if all is well."""
    flush_ms = resume_point.settings.placement.flush_interval_s * 1000
    if not 0 <= resume_point.end_ms <= _LAST_MS or flush_ms <= 0 or resume_point.end_ms % flush_ms:
        return f'end_ms {resume_point.end_ms} is not the end of a window'
    if end != iso(resume_point.end_ms):
        return f'end and end_ms differ: {iso(resume_point.end_ms)} is end_ms'
    if not 0 <= resume_point.since_ms <= _LAST_MS:
        return 'since_ms is not in epoch milliseconds'
    return _wrong_positions(resume_point.positions)


def _wrong_positions(positions: Mapping[str, ShardPosition]) -> str:
    for key, position in positions.items():
        stream, _, shard = key.partition('/')
        if not stream or not shard:
            return f'position {key!r} names no stream and shard'
        if position.sequence is not None and not (position.sequence.isascii() and position.sequence.isdigit()):
            return f'the sequence number of {key} is not a number'
        if not all(0 <= ms <= _LAST_MS for ms in (position.since_ms, position.arrival_ms, position.walked_ms)):
            return f'a time of {key} is not in epoch milliseconds'
    return ''
