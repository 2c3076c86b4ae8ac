"""CommitWindow: write a manifest for each window that is complete, and move resume.json behind it."""
import dataclasses
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import apache_beam as beam
import msgspec
from apache_beam.metrics import Metrics
from apache_beam.transforms.window import FixedWindows

from pipeline.commit.ledger import Ledger, add_up, imbalance
from pipeline.commit.manifests import (
    Manifest,
    Settings,
    make_manifest,
    manifests_between,
    read_manifest,
    write_manifest,
)
from pipeline.commit.resume_point import advance_resume_point, retreat_resume_point
from pipeline.errors import ManifestError
from pipeline.paths import manifest_path
from pipeline.progress import PROGRESS
from pipeline.stores.base import Store
from pipeline.windows import iso

_log = logging.getLogger(__name__)
_COUNTED = ('records', 'documents', 'lines', 'document_errors', 'fragments', 'unreadable_times')


@dataclasses.dataclass(frozen=True)
class CommitSettings:
    """What a commit needs to know.

    `store` is that of the manifests, `stores` those of the objects by the first part of their paths. `settings` and
    `moved`, the places of errors and backup that are not below the output, go into each manifest.
    """

    store: Store
    stores: dict[str, Store]
    flush_ms: int
    settings: Settings
    backup: bool = True
    replace: bool = False
    moves_resume_point: bool = True
    moved: Mapping[str, str] = dataclasses.field(default_factory=dict)


def commit_window(conf: CommitSettings, window_ms: int, ledger: Ledger) -> int:
    """Write the manifest of a complete window, then remove what only its earlier manifests list, then move resume.json.

    Return the number of objects whose content differs from what an earlier manifest of equal settings says (must be 0).
    Raise ManifestError if there is a manifest of other settings: a run does not begin if it meets one, so another job
    must have written it meanwhile.
    """
    earlier = _earlier_manifests(conf, window_ms)
    if not conf.replace and any(manifest.settings != conf.settings for manifest in earlier):
        raise ManifestError(f'window {iso(window_ms)} was committed by another run with other settings: two jobs write '
                            'to this output; end one of them, then let the other write its windows again with '
                            f'--start={iso(window_ms)} --start_over --replace')
    manifest = make_manifest(window_ms, conf.flush_ms, ledger, conf.settings, conf.moved)
    if not conf.backup:
        manifest = _with_earlier_backup(manifest, earlier)
    _replace_manifests(conf, earlier, manifest)
    if conf.moves_resume_point:
        advance_resume_point(conf.store, conf.settings)
    return _differing(earlier, manifest)


def _with_earlier_backup(manifest: Manifest, earlier: Sequence[Manifest]) -> Manifest:
    """Return the manifest with the backup that is there: a replay without a backup must not remove it."""
    kept = {item.path: item for before in earlier for item in before.objects if item.path.startswith('backup/')}
    kept |= {item.path: item for item in manifest.objects}
    moved = dict(manifest.moved)
    for before in earlier:
        moved.update(place for place in before.moved.items() if place[0] == 'backup')
    return msgspec.structs.replace(manifest, objects=[kept[path] for path in sorted(kept)], moved=moved)


def _replace_manifests(conf: CommitSettings, earlier: Sequence[Manifest], manifest: Manifest) -> None:
    """Write a manifest, and remove the objects and manifests that it replaces.

    The manifest names what is to be removed until that is done: whoever writes this window again after a crash in the
    middle removes the rest.
    """
    listed = {path for before in earlier for path in (*before.hashes, *before.removing)}
    stale = sorted(listed - manifest.hashes.keys())
    write_manifest(conf.store, msgspec.structs.replace(manifest, removing=stale))
    for path in stale:
        conf.stores[path.split('/', 1)[0]].delete(path)
    if stale:
        write_manifest(conf.store, manifest)
    for before in earlier:
        if before.window_ms != manifest.window_ms:  # of a shorter flush interval: it would list what is no longer there
            conf.store.delete(manifest_path(before.window_ms))


def _differing(earlier: Sequence[Manifest], manifest: Manifest) -> int:
    if any(before.settings != manifest.settings for before in earlier):
        return 0
    listed = {path: sha256 for before in earlier for path, sha256 in before.hashes.items()}
    return sum(listed.get(path, sha256) != sha256 for path, sha256 in manifest.hashes.items())


def withdraw_window(conf: CommitSettings, window_ms: int) -> None:
    """If an earlier run committed this window, remove its manifest: its objects are now cut short.

    Delete only what is there, since a bucket may deny deletion.
    """
    path = manifest_path(window_ms)
    if conf.store.get(path) is not None:
        conf.store.delete(path)
    if conf.moves_resume_point:
        retreat_resume_point(conf.store, window_ms, conf.flush_ms, conf.settings)


def _earlier_manifests(conf: CommitSettings, window_ms: int) -> list[Manifest]:
    if conf.replace:  # other settings may have cut this stretch into several windows
        return list(manifests_between(conf.store, window_ms, window_ms + conf.flush_ms))
    manifest = read_manifest(conf.store, window_ms)
    return [manifest] if manifest else []


class _Commit(beam.DoFn):  # type: ignore[misc]
    def __init__(self, conf: CommitSettings) -> None:
        self._conf = conf

    def infer_output_type(self, input_type: Any) -> Any:
        return Any  # spares Beam reading bytecode, as in ReadKinesis

    def process(self, element: tuple[bytes, Iterable[bytes]],
                window: Any = beam.DoFn.WindowParam) -> None:
        rows = list(element[1])
        if not rows:
            return
        window_ms, ledger = window.start.micros // 1000, add_up(rows)
        reason = imbalance(ledger, self._conf.backup)
        if reason:
            Metrics.counter('commit', 'incomplete_windows').inc()
            _log.warning('window %s is not complete: %s. It gets no manifest; a run with --start=%s makes it whole',
                         iso(window_ms), reason, 'resume' if self._conf.moves_resume_point else
                         f'{iso(window_ms)} --stop={iso(window_ms + self._conf.flush_ms)}')
            withdraw_window(self._conf, window_ms)
            return
        differing = commit_window(self._conf, window_ms, ledger)
        if differing:
            Metrics.counter('commit', 'rewritten_differently').inc(differing)
            _log.warning('window %s: %d objects differ from those committed before with the same settings',
                         iso(window_ms), differing)
        PROGRESS.windows += 1
        self._count(ledger)

    def _count(self, ledger: Ledger) -> None:
        total = ledger.counts()
        counts = {name: getattr(total, name) for name in _COUNTED}
        for name, count in {'windows': 1, 'objects': len(ledger.objects), **counts}.items():
            if count:
                Metrics.counter('commit', name).inc(count)


@dataclasses.dataclass
class CommitWindow(beam.PTransform):  # type: ignore[misc]
    """Gather the rows of the ledger (PCollection[bytes]) by flush window, and commit each window that balances.

    A window that does not balance gets no manifest. It is counted (`incomplete_windows`), and a warning says why.
    """

    conf: CommitSettings

    def expand(self, pcoll: beam.PCollection) -> beam.PCollection:
        return (pcoll
                | 'OneKey' >> beam.Map(_keyed).with_output_types(tuple[bytes, bytes])
                | 'Window' >> beam.WindowInto(FixedWindows(self.conf.flush_ms / 1000))
                | 'Gather' >> beam.GroupByKey()
                | 'Commit' >> beam.ParDo(_Commit(self.conf)))


def _keyed(row: bytes) -> tuple[bytes, bytes]:
    return b'', row
