"""Commit a window, or take its commit back: the effects on manifests, objects and resume.json, in a safe order."""
from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from pipeline.commit.fence import check_fence, check_replay_fence, leave_cleanup
from pipeline.commit.ledger import Ledger
from pipeline.commit.manifests import (
    Manifest,
    Settings,
    decode_strictly,
    encode_manifest,
    make_manifest,
    manifests_between,
)
from pipeline.commit.resume_point import ResumePoint, follow, read_resume_point, retreat, update_resume_point
from pipeline.errors import Fenced, ManifestError
from pipeline.paths import manifest_path
from pipeline.stores.base import Store
from pipeline.windows import iso

_log = logging.getLogger(__name__)

#: Of a manifest that another run writes at the same time.
TRIES = 5


@dataclasses.dataclass(frozen=True)
class CommitSettings:
    """What a commit needs to know.

    `store` is that of the manifests, `stores` those of the objects by the first part of their paths. `settings` and
    `moved`, the places of errors and backup that are not below the output, go into each manifest. `generation` is that
    of the run in resume.json; `replay` the number of a run with `--replace` that does not move resume.json, or 0.
    """

    store: Store
    stores: dict[str, Store]
    flush_ms: int
    settings: Settings
    backup: bool = True
    replace: bool = False
    moves_resume_point: bool = True
    moved: Mapping[str, str] = dataclasses.field(default_factory=dict)
    generation: int = 0
    replay: int = 0

    def check_fence(self, resume_point: ResumePoint | None, window_ms: int) -> None:
        """Raise Fenced if this run must not write the window any more."""
        if self.moves_resume_point:
            check_fence(resume_point, self.generation)
        else:
            check_replay_fence(resume_point, self.generation, self.replay, self.settings, window_ms + self.flush_ms)

    def put_object(self, path: str, data: bytes, window_ms: int) -> None:
        """Put an object of a window. Raise Fenced before it replaces what a later run wrote.

        Nearly every object is new, and costs one call.
        """
        store = self.stores[path.split('/', 1)[0]]
        if store.create(path, data):
            return
        while (before := store.get(path)) != data:
            with self.noting_leftovers(window_ms):
                self.check_fence(read_resume_point(self.store), window_ms)
            if store.swap(path, before, data):
                return

    @contextlib.contextmanager
    def noting_leftovers(self, window_ms: int) -> Iterator[None]:
        """If the block is fenced, note in resume.json that objects of the window and later ones may be left."""
        try:
            yield
        except Fenced:
            leave_cleanup(self.store, window_ms, window_ms + self.flush_ms, self.moved)
            raise


class Changes(NamedTuple):
    """How a window differs from what manifests of equal settings said of it before. All must be 0.

    `changed` objects have other content, `missing` ones are not written any more and were removed.
    """

    changed: int = 0
    missing: int = 0


def commit_window(conf: CommitSettings, window_ms: int, ledger: Ledger) -> Changes:
    """Write the manifest of a complete window, then remove what only its earlier manifests list, then move resume.json.

    Raise Fenced if another run has taken over, and then leave the manifest that is there. Raise ManifestError if there
    is a manifest of other settings that this run may not replace.
    """
    for _ in range(TRIES):
        changes = _try_commit(conf, window_ms, ledger)
        if changes is not None:
            return changes
    raise ManifestError(f'the manifest of window {iso(window_ms)} is written by other runs all the time: end one of '
                        'them')


def _try_commit(conf: CommitSettings, window_ms: int, ledger: Ledger) -> Changes | None:
    """Commit a window; return None if another run has written its manifest meanwhile."""
    resume_point = read_resume_point(conf.store)
    conf.check_fence(resume_point, window_ms)
    path = manifest_path(window_ms)
    before = conf.store.get(path)
    earlier = _earlier_manifests(conf, window_ms, before)
    _check_earlier(conf, resume_point, window_ms, earlier)
    manifest = make_manifest(window_ms, conf.flush_ms, ledger, conf.settings, conf.moved)
    if not conf.backup:
        manifest = _with_earlier_backup(manifest, earlier)
    stale = _stale(earlier, manifest)
    # It names what is to be removed: whoever writes this window again after a crash in the middle removes the rest.
    data = encode_manifest(msgspec.structs.replace(manifest, removing=stale))
    if not conf.store.swap(path, before, data):
        return None
    try:
        conf.check_fence(read_resume_point(conf.store), window_ms)
    except Fenced:  # the other run may have removed the objects before this manifest listed them
        conf.store.swap(path, data, before)
        raise
    _remove_earlier(conf, earlier, manifest, stale)
    if stale:
        conf.store.swap(path, data, encode_manifest(manifest))
    if conf.moves_resume_point:
        _advance(conf, window_ms)
    return _changes(earlier, manifest, stale)


def _check_earlier(conf: CommitSettings, resume_point: ResumePoint | None, window_ms: int,
                   earlier: Sequence[Manifest]) -> None:
    """Raise ManifestError if there is a manifest of other settings that this run may not replace.

    A run does not begin if it meets one, so another job must have written it meanwhile. Behind resume.json it is of a
    run that was fenced between its two looks at resume.json: it may list objects that are gone.
    """
    if conf.replace or all(manifest.settings == conf.settings for manifest in earlier):
        return
    if conf.moves_resume_point and resume_point and resume_point.end_ms <= window_ms:
        return
    raise ManifestError(f'window {iso(window_ms)} was committed by another run with other settings: two jobs write '
                        'to this output; end one of them, then let the other write its windows again with '
                        f'--start={iso(window_ms)} --start_over --replace')


def _with_earlier_backup(manifest: Manifest, earlier: Sequence[Manifest]) -> Manifest:
    """Return the manifest with the backup that is there: a replay without a backup must not remove it."""
    kept = {item.path: item for before in earlier for item in before.objects if item.path.startswith('backup/')}
    kept |= {item.path: item for item in manifest.objects}
    moved = dict(manifest.moved)
    for before in earlier:
        moved.update(place for place in before.moved.items() if place[0] == 'backup')
    return msgspec.structs.replace(manifest, objects=[kept[path] for path in sorted(kept)], moved=moved)


def _stale(earlier: Sequence[Manifest], manifest: Manifest) -> list[str]:
    """Return the paths of objects that only earlier manifests list, or were removing."""
    listed = {path for before in earlier for path in (*before.hashes, *before.removing)}
    return sorted(listed - manifest.hashes.keys())


def _remove_earlier(conf: CommitSettings, earlier: Sequence[Manifest], manifest: Manifest, stale: list[str]) -> None:
    """Remove the objects and manifests that a manifest replaces."""
    for path in stale:
        conf.stores[path.split('/', 1)[0]].delete(path)
    for before in earlier:
        if before.window_ms != manifest.window_ms:  # of a shorter flush interval: it would list what is no longer there
            conf.store.delete(manifest_path(before.window_ms))


def _advance(conf: CommitSettings, window_ms: int) -> None:
    """Move resume.json over the manifests of these settings that follow it without a gap. Warn if it is gone."""
    def moved(before: ResumePoint | None) -> ResumePoint | None:
        conf.check_fence(before, window_ms)
        return before and follow(conf.store, before, conf.settings, written_ms=window_ms)

    if update_resume_point(conf.store, moved) is None:
        _log.warning('resume.json is gone: put it back, or end the job and start it at the end of its last window')


def _changes(earlier: Sequence[Manifest], manifest: Manifest, stale: Sequence[str]) -> Changes:
    if any(before.settings != manifest.settings for before in earlier):
        return Changes()
    listed = {path: sha256 for before in earlier for path, sha256 in before.hashes.items()}
    changed = sum(listed.get(path, sha256) != sha256 for path, sha256 in manifest.hashes.items())
    return Changes(changed, sum(path in listed for path in stale))


def withdraw_window(conf: CommitSettings, window_ms: int) -> None:
    """If an earlier run committed this window, remove its manifest: its objects are now cut short.

    resume.json goes back first, and says that the window is unfinished: a run that finds it so does not take the
    manifest for a proof, should it still be there. Delete only what is there, since a bucket may deny deletion.
    """
    def moved_back(before: ResumePoint | None) -> ResumePoint | None:
        conf.check_fence(before, window_ms)
        return before and retreat(conf.store, before, window_ms, conf.flush_ms)

    if conf.moves_resume_point:
        update_resume_point(conf.store, moved_back)
    path = manifest_path(window_ms)
    if conf.store.get(path) is not None:
        conf.store.delete(path)


def _earlier_manifests(conf: CommitSettings, window_ms: int, data: bytes | None) -> list[Manifest]:
    """Return the manifests that a window replaces; `data` is the one of its own start."""
    path = manifest_path(window_ms)
    earlier = [decode_strictly(data, path, Manifest)] if data is not None else []
    if conf.replace:  # other settings may have cut this stretch into several windows
        earlier += manifests_between(conf.store, window_ms + 1000, window_ms + conf.flush_ms)
    return earlier
