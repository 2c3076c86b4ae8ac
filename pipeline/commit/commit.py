"""CommitWindow: a manifest for each window that is complete, and resume.json moved behind it."""
import dataclasses
import logging
from collections.abc import Iterable, Mapping
from typing import Any

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.transforms.window import FixedWindows

from pipeline.commit.ledger import Ledger, add_up, imbalance
from pipeline.commit.manifests import (
    advance_resume_point,
    make_manifest,
    manifests_between,
    read_manifest,
    retreat_resume_point,
    write_manifest,
)
from pipeline.errors import ManifestError
from pipeline.paths import manifest_path
from pipeline.progress import PROGRESS
from pipeline.stores.base import Store
from pipeline.windows import iso

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class CommitSettings:
    """What a commit needs to know.

    `settings` and the places of errors and backups that were `moved` go into each manifest, `stores` are those of the
    objects.
    """

    store: Store
    stores: dict[str, Store]
    flush_ms: int
    settings: dict[str, Any]
    backup: bool = True
    replace: bool = False
    moves_resume_point: bool = True
    moved: Mapping[str, str] = dataclasses.field(default_factory=dict)


def commit_window(conf: CommitSettings, window_ms: int, ledger: Ledger) -> int:
    """Write the manifest of a complete window, then remove what only its earlier manifests list, then move resume.json.

    Gives the number of objects whose content differs from what an earlier manifest of equal settings says (must be 0).
    Raises ManifestError where one of other settings is there all the same: runs are only begun where none is.
    """
    earlier, moved = _earlier_manifests(conf, window_ms), dict(conf.moved)
    if not conf.replace and any(manifest['settings'] != conf.settings for manifest in earlier):
        raise ManifestError(f'window {iso(window_ms)} was committed by another run with other settings: two jobs write '
                            'to this output; end one of them, then let the other write its windows again with '
                            f'--start={iso(window_ms)} --start_over --replace')
    if not conf.backup:
        # A replay without a backup must not remove the one that is there.
        ledger.objects.update({item['path']: item for manifest in earlier for item in manifest['objects']
                               if item['path'].startswith('backup/')})
        moved.update(place for manifest in earlier for place in manifest.get('moved', {}).items()
                     if place[0] == 'backup')
    listed = {item['path']: item['sha256'] for manifest in earlier for item in manifest['objects']}
    unfinished = {path for manifest in earlier for path in manifest.get('removing', ())}
    stale = sorted((listed.keys() | unfinished) - ledger.objects.keys())
    whole = make_manifest(window_ms, conf.flush_ms, ledger, conf.settings, moved)
    # Whoever writes this window again after a crash in the middle removes the rest.
    write_manifest(conf.store, {**whole, 'removing': stale} if stale else whole)
    for path in stale:
        conf.stores[path.split('/', 1)[0]].delete(path)
    if stale:
        write_manifest(conf.store, whole)
    for manifest in earlier:
        if manifest['window_ms'] != window_ms:  # of a shorter flush interval: it would list what is no longer there
            conf.store.delete(manifest_path(manifest['window_ms']))
    if conf.moves_resume_point:
        advance_resume_point(conf.store, conf.settings)
    if any(manifest['settings'] != conf.settings for manifest in earlier):
        return 0
    return sum(listed.get(path, item['sha256']) != item['sha256'] for path, item in ledger.objects.items())


def withdraw_window(conf: CommitSettings, window_ms: int) -> None:
    """Take back what says that a window is complete, if an earlier run committed it: its objects are now cut short.

    Nothing is deleted unless it is there: a bucket may deny deletion to whoever never needs it.
    """
    path = manifest_path(window_ms)
    if conf.store.get(path) is not None:
        conf.store.delete(path)
    if conf.moves_resume_point:
        retreat_resume_point(conf.store, window_ms, conf.flush_ms, conf.settings)


def _earlier_manifests(conf: CommitSettings, window_ms: int) -> list[dict[str, Any]]:
    if conf.replace:  # other settings may have cut this stretch into several windows
        return list(manifests_between(conf.store, window_ms, window_ms + conf.flush_ms))
    manifest = read_manifest(conf.store, window_ms)
    return [manifest] if manifest else []


class _Commit(beam.DoFn):  # type: ignore[misc]
    def __init__(self, conf: CommitSettings) -> None:
        self._conf = conf

    def infer_output_type(self, input_type: Any) -> Any:
        return Any  # as in ReadKinesis: not to be found out

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
        total = ledger.totals()
        counts = {name: total[name] for name in ('records', 'documents', 'lines', 'document_errors', 'fragments',
                                               'unreadable_times')}
        for name, count in {'windows': 1, 'objects': len(ledger.objects), **counts}.items():
            if count:
                Metrics.counter('commit', name).inc(count)


@dataclasses.dataclass
class CommitWindow(beam.PTransform):  # type: ignore[misc]
    """Gather the rows of the ledger (PCollection[bytes]) by flush window, and commit each window that balances.

    A window that does not is counted (`incomplete_windows`) and warned of, and gets no manifest.
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
