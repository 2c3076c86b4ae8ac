"""What a run did, summed up from the manifests of its windows."""
from __future__ import annotations

import collections
import dataclasses
from collections.abc import Sequence

from pipeline.commit.manifests import Settings, manifests_between
from pipeline.stores.base import Store
from pipeline.windows import iso

_COUNTS = ('records', 'bytes', 'documents', 'lines', 'empty', 'hours_of_arrival', 'unreadable_times', 'old_times')


@dataclasses.dataclass
class Report:
    """Totals of the windows from `start_ms` to `end_ms`; `seconds` is how long the run took."""

    start_ms: int
    end_ms: int
    flush_ms: int
    seconds: float = 0.0
    windows: int = 0
    objects: int = 0
    written: int = 0
    counts: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    errors: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    notes: Sequence[str] = ()

    @property
    def missing(self) -> int:
        """Return the number of windows without a manifest."""
        return (self.end_ms - self.start_ms) // self.flush_ms - self.windows

    def text(self) -> str:
        """Write it for a person, a line for each thing."""
        errors = ', '.join(f'{code} {count:,}' for code, count in sorted(self.errors.items())) or 'none'
        rate = self.counts['records'] / self.seconds if self.seconds else 0.0
        times = self._times()
        rows = [
            ('windows', f'{self.windows:,} committed, from {iso(self.start_ms)} to {iso(self.end_ms)}'
                        + (f'; {self.missing:,} incomplete' if self.missing else '')),
            ('records', f'{self.counts["records"]:,} ({self.counts["bytes"]:,} bytes), '
                        f'{self.counts["empty"]:,} without a document'),
            ('documents', f'{self.counts["documents"]:,}'),
            ('lines', f'{self.counts["lines"]:,}'),
            ('errors', errors),
            *([('times', times)] if times else []),
            ('objects', f'{self.objects:,} ({self.written:,} bytes before compression)'),
            ('time', f'{self.seconds:,.1f} s, {rate:,.0f} records/s'),
            *(('note', note) for note in self.notes)]
        return '\n'.join(f'{name:<10} {value}' for name, value in rows)

    def _times(self) -> str:
        """Say how many events are in the hour of their arrival, '' if none is."""
        unreadable, old = self.counts['unreadable_times'], self.counts['old_times']
        counts = {'unreadable': unreadable, 'too old': old,
                  'absent': self.counts['hours_of_arrival'] - unreadable - old}
        found = ', '.join(f'{count:,} {what}' for what, count in counts.items() if count)
        return f'{found}: by the hour of arrival' if found else ''


def sum_up(store: Store, start_ms: int, end_ms: int, flush_ms: int, settings: Settings) -> Report:
    """Add up the manifests of the windows of [start, end). One of other settings is of a window still to be replaced.
    """
    report = Report(start_ms, end_ms, flush_ms)
    for manifest in manifests_between(store, start_ms, end_ms):
        if manifest.settings != settings:
            continue
        report.windows += 1
        report.objects += len(manifest.objects)
        report.written += sum(item.bytes for item in manifest.objects)
        report.counts.update({name: getattr(manifest.counts, name) for name in _COUNTS})
        report.errors.update(manifest.counts.errors)
    return report
