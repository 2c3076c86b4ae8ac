"""What an operator sees of the readers: Beam's counters and gauges, the progress line, a line a minute in the log."""
from __future__ import annotations

import collections
import logging
import threading
from collections.abc import Mapping

from apache_beam.metrics import Metrics

from pipeline.kinesis.positions import ReaderState
from pipeline.kinesis.rate_limiter import RateLimiter
from pipeline.progress import PROGRESS
from pipeline.windows import iso

LOG_S = 60.0
_TROUBLES = ('throttles', 'failed_calls', 'expired_iterators', 'clock_skew', 'overtaken', 'gone_shards')
_log = logging.getLogger(__name__)


class Monitor:
    """Tell of the readers of one process; names and numbers only, never data."""

    def __init__(self, limiter: RateLimiter) -> None:
        self._limiter = limiter
        self._lock = threading.Lock()
        self._since: dict[tuple[int, int], collections.Counter[str]] = {}

    def note(self, element: tuple[int, int], state: ReaderState, counts: Mapping[str, int],
             behind_ms: Mapping[str, int]) -> None:
        """Note what a reader counted, and how far behind the tip its shards are, in milliseconds by shard."""
        for name, count in counts.items():
            if count:
                Metrics.counter('kinesis', name).inc(count)
        for key, behind in behind_ms.items():
            Metrics.gauge('kinesis', f'millis_behind {key}').set(behind)
        PROGRESS.behind_ms.update(behind_ms)
        with self._lock:
            since = self._since.setdefault(element, collections.Counter())
            since.update(counts)
            if self._is_minute(element):
                _log.info('%s', line_of(element, state, since, PROGRESS.behind_ms))
                since.clear()

    def _is_minute(self, element: tuple[int, int]) -> bool:
        key = id(self), element
        first = self._limiter.ready_s(key) == float('-inf')
        if not first and self._limiter.wait_s(key):
            return False
        self._limiter.succeeded(key, LOG_S)
        return not first


def line_of(element: tuple[int, int], state: ReaderState, counts: Mapping[str, int],
            behind_ms: Mapping[str, int]) -> str:
    """Sum up a reader in one line."""
    reader, readers = element
    cursors = state.cursors
    streams = ', '.join(sorted({cursor.stream for cursor in cursors})) or 'no shards'
    behind_s = max((behind_ms.get(cursor.key, 0) for cursor in cursors if not cursor.closed), default=0) / 1000
    read = (f'reader {reader + 1} of {readers} ({streams}): at window {iso(state.window_ms)}, {behind_s:,.1f} s behind '
            f'the tip, {sum(not cursor.closed for cursor in cursors)} of {len(cursors)} shards open; since the last '
            f'line {counts.get("records", 0):,} records, {counts.get("bytes", 0):,} bytes, '
            f'{counts.get("windows", 0):,} windows')
    troubles = [f'{name.replace("_", " ")} {counts[name]:,}' for name in _TROUBLES if counts.get(name)]
    return '; '.join([read, ', '.join(troubles)] if troubles else [read])
