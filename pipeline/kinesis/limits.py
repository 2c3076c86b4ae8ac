"""Which records a window has to hold because it, or its neighbour, was committed before: the manifests say so."""
from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pipeline.errors import ReadError
from pipeline.kinesis.positions import Cursor, ReaderId, ReaderState
from pipeline.kinesis.settings import ReadSettings
from pipeline.kinesis.shards import owner_of
from pipeline.source import CommittedWindow
from pipeline.windows import iso

#: Less than every sequence number.
NOTHING = -1


class ShardLimit(NamedTuple):
    """Which records of one shard belong to a window, by sequence numbers.

    A record after `last` belongs to a later window; None if no manifest tells. If `exact`, each unread record up to
    `last` belongs to the window, whatever its arrival. `held` are the first and the last record that manifests inside
    the window name: the window must hold them again.
    """

    last: int | None = None
    exact: bool = False
    held: tuple[int, int] | None = None


UNLIMITED = ShardLimit()


class Limits:
    """The limits of the windows that one reader reads.

    A record that was overtaken is in a later window than its arrival says. Only manifests tell which. So a window is
    written again with the records that its manifest names. Without a manifest, a window ends before the first record
    of the next one that has a manifest: that record stays there.
    """

    def __init__(self, settings: ReadSettings) -> None:
        self._settings = settings
        self._created_ms = {stream.name: stream.created_ms for stream in settings.streams}
        self._window_ms: int | None = None
        self._windows: Sequence[CommittedWindow] = ()
        self._known: dict[str, ShardLimit] = {}

    def of(self, window_ms: int, cursor: Cursor) -> ShardLimit:
        """Return the limit of a shard in the window. Raise StoreError or ManifestError if manifests cannot be read."""
        self._load(window_ms)
        if not self._windows:
            return UNLIMITED
        if cursor.key not in self._known:
            same = [window for window in self._windows if self._is_of(window, cursor.stream)]
            self._known[cursor.key] = limit_of(same, window_ms, window_ms + self._settings.flush_ms, cursor.key)
        return self._known[cursor.key]

    def has_passed(self, window_ms: int, cursor: Cursor) -> bool:
        """Return whether the shard has no more records for the window."""
        limit, end_ms = self.of(window_ms, cursor), window_ms + self._settings.flush_ms
        if not limit.exact or limit.last is None:
            return cursor.reached_ms >= end_ms
        return cursor.closed or cursor.passed_ms >= end_ms or number_of(cursor.sequence) >= limit.last

    def check_page(self, window_ms: int, before: Cursor, after: Cursor) -> None:
        """Raise ReadError if the first records that the window held were not in the page between these cursors."""
        held = self.of(window_ms, before).held
        if held and number_of(before.sequence) < held[0] < number_of(after.first):
            raise self._missing(window_ms, before.key, held[0])

    def check_window(self, state: ReaderState, reader_id: ReaderId) -> None:
        """Raise ReadError if the window that a reader closes has not got all records that it held before."""
        window_ms = state.window_ms
        self._load(window_ms)
        cursors = {cursor.key: cursor for cursor in state.cursors}
        for key in {key for window in self._windows for key in window.accounts}:
            stream, shard = key.rsplit('/', 1)
            if stream in self._created_ms and owner_of(stream, shard, reader_id.readers) == reader_id.number:
                cursor = cursors.get(key, Cursor(stream, shard))
                held = self.of(window_ms, cursor).held
                if held and number_of(cursor.sequence) < held[1]:
                    raise self._missing(window_ms, key, held[1])

    def _load(self, window_ms: int) -> None:
        if window_ms == self._window_ms:
            return
        committed, end_ms = self._settings.committed, window_ms + self._settings.flush_ms
        self._windows = committed.around(window_ms, end_ms) if committed else ()
        self._window_ms, self._known = window_ms, {}

    def _is_of(self, window: CommittedWindow, stream: str) -> bool:
        return window.created_ms.get(stream) == self._created_ms[stream]

    def _missing(self, window_ms: int, key: str, sequence: int) -> ReadError:
        end = iso(window_ms + self._settings.flush_ms)
        return ReadError(f'window {iso(window_ms)} is committed with record {sequence} of {key}, which this run cannot '
                         'read: the stream has dropped it, or it is before the start of this run; begin at an earlier '
                         f'window that is committed, or leave this one as it is with --start={end} (and --start_over '
                         'without --stop)')


def limit_of(windows: Sequence[CommittedWindow], window_ms: int, end_ms: int, key: str) -> ShardLimit:
    """Return the limit of the shard `stream/shard` in a window, from the committed windows around it, in order."""
    inside = [window.accounts[key] for window in windows
              if window_ms <= window.window_ms and window.end_ms <= end_ms and key in window.accounts]
    held = ((min(int(counts.first) for counts in inside), max(int(counts.last) for counts in inside))
            if inside else None)
    reaching = next((window for window in windows if window.end_ms >= end_ms), None)
    last = None if reaching is None else _last_before(end_ms, window_ms, reaching, key)
    return ShardLimit(last, last is not None and reaching is not None and reaching.end_ms == end_ms, held)


def _last_before(end_ms: int, window_ms: int, reaching: CommittedWindow, key: str) -> int | None:
    """Return the last record that may be in a window up to `end_ms`, None if a committed window does not tell."""
    counts, position = reaching.accounts.get(key), reaching.positions.get(key)
    if counts:
        return int(counts.last) if reaching.window_ms < end_ms else int(counts.first) - 1
    if reaching.window_ms <= window_ms:
        return NOTHING  # it covers all of the window, and has no record of this shard
    if position is None:
        return None
    if position.sequence is None:  # it had no record since that time
        return NOTHING if position.since_ms <= window_ms else None
    return int(position.sequence)


def number_of(sequence: str) -> int:
    """Return a sequence number as a number, less than all of them if it is empty."""
    return int(sequence) if sequence else NOTHING
