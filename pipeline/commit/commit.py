"""CommitWindow: write a manifest for each window that is complete, and move resume.json behind it."""
import dataclasses
import logging
from collections.abc import Iterable
from typing import Any

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.transforms.window import FixedWindows

from pipeline.commit.commit_window import Changes, CommitSettings, commit_window, withdraw_window
from pipeline.commit.ledger import Ledger, add_up, imbalance
from pipeline.progress import PROGRESS
from pipeline.stores.retries import count_retries
from pipeline.windows import iso

_log = logging.getLogger(__name__)
_COUNTED = ('records', 'documents', 'lines', 'document_errors', 'fragments', 'unreadable_times', 'old_times')
#: Folders of events in one window. Each is a put, and a small object that every later query has to open.
MANY_FOLDERS = 1000


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
            _log.warning('window %s is not complete: %s. It gets no manifest; a run with %s makes it whole',
                         iso(window_ms), reason, self._again(window_ms))
            withdraw_window(self._conf, window_ms)
            return
        with self._conf.noting_leftovers(window_ms):
            changes = commit_window(self._conf, window_ms, ledger)
        self._warn(window_ms, changes)
        PROGRESS.windows += 1
        self._count(ledger)
        _warn_of_many_folders(window_ms, ledger)

    def finish_bundle(self) -> None:
        count_retries()

    def _again(self, window_ms: int) -> str:
        """Return the options of a run that writes an incomplete window again."""
        span = ('--start=resume' if self._conf.moves_resume_point else
                f'--start={iso(window_ms)} --stop={iso(window_ms + self._conf.flush_ms)}')
        return f'{span} --replace' if self._conf.replace else span

    def _warn(self, window_ms: int, changes: Changes) -> None:
        if any(changes):
            Metrics.counter('commit', 'rewritten_differently').inc(sum(changes))
            _log.warning('window %s: %d objects differ from those committed before with the same settings, %d are no '
                         'longer written and were removed', iso(window_ms), *changes)

    def _count(self, ledger: Ledger) -> None:
        total = ledger.counts()
        counts = {name: getattr(total, name) for name in _COUNTED}
        for name, count in {'windows': 1, 'objects': len(ledger.objects), **counts}.items():
            if count:
                Metrics.counter('commit', name).inc(count)


def _warn_of_many_folders(window_ms: int, ledger: Ledger) -> None:
    folders = len({path.rsplit('/', 1)[0] for path in ledger.objects if path.startswith('events/')})
    if folders > MANY_FOLDERS:
        Metrics.counter('commit', 'windows_of_many_folders').inc()
        _log.warning('window %s has events in %d folders, each with an object of its own: --max_event_age_days and '
                     '--platforms bound them', iso(window_ms), folders)


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
