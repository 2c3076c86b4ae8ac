"""Show operators how readers are doing: counters and gauges of Beam, the progress line, a log line every minute."""
from __future__ import annotations

import collections
import logging
import threading
from collections.abc import Mapping

from apache_beam.metrics import Metrics

from pipeline.kinesis.positions import ReaderId, ReaderState
from pipeline.kinesis.rate_limiter import RateLimiter
from pipeline.progress import PROGRESS
from pipeline.windows import iso

LOG_S = 60.0
#: Counters that the log line names if they are not 0.
TROUBLES = ('throttles', 'failed_calls', 'expired_iterators', 'clock_skew', 'overtaken', 'gone_shards')
_log = logging.getLogger(__name__)


class Monitor:
    """Report on the readers of one process: names and numbers only, never data. Safe to use from several threads."""

    def __init__(self, limiter: RateLimiter) -> None:
        self._limiter = limiter
        self._lock = threading.Lock()
        self._unlogged: dict[ReaderId, collections.Counter[str]] = {}

    def note(self, reader_id: ReaderId, state: ReaderState, counts: Mapping[str, int],
             behind_ms: Mapping[str, int]) -> None:
        """Add what a reader counted, by counter, and how far behind the tip its shards are (ms, by `stream/shard`)."""
        for name, count in counts.items():
            if count:
                Metrics.counter('kinesis', name).inc(count)
        for key, behind in behind_ms.items():
            Metrics.gauge('kinesis', f'millis_behind {key}').set(behind)
        PROGRESS.behind_ms.update(behind_ms)
        with self._lock:
            unlogged = self._unlogged.setdefault(reader_id, collections.Counter())
            unlogged.update(counts)
            if self._claim_line(reader_id):
                _log.info('%s', line_of(reader_id, state, unlogged, PROGRESS.behind_ms))
                unlogged.clear()

    def _claim_line(self, reader_id: ReaderId) -> bool:
        """Return whether a minute has passed since the reader's last line, and if so, begin the next minute.

        The first call only begins the first minute.
        """
        key = id(self), reader_id
        is_first = self._limiter.ready_s(key) == float('-inf')
        if not is_first and self._limiter.wait_s(key):
            return False
        self._limiter.succeeded(key, LOG_S)
        return not is_first


def line_of(reader_id: ReaderId, state: ReaderState, counts: Mapping[str, int], behind_ms: Mapping[str, int]) -> str:
    """Return the log line of a reader: its window, how far behind it is, its shards, what it counted."""
    cursors = state.cursors
    streams = ', '.join(sorted({cursor.stream for cursor in cursors})) or 'no shards'
    behind_s = max((behind_ms.get(cursor.key, 0) for cursor in cursors if not cursor.closed), default=0) / 1000
    still_open = sum(not cursor.closed for cursor in cursors)
    read = (f'reader {reader_id.number + 1} of {reader_id.readers} ({streams}): at window {iso(state.window_ms)}, '
            f'{behind_s:,.1f} s behind the tip, {still_open} of {len(cursors)} shards open; since the last '
            f'line {counts.get("records", 0):,} records, {counts.get("bytes", 0):,} bytes, '
            f'{counts.get("windows", 0):,} windows')
    troubles = [f'{name.replace("_", " ")} {counts[name]:,}' for name in TROUBLES if counts.get(name)]
    return '; '.join([read, ', '.join(troubles)] if troubles else [read])
