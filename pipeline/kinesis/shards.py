"""Which shards there are. A reader lists its streams every few seconds, which also tells it AWS's time."""
from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Mapping

from pipeline.kinesis.api import KinesisApi, ShardInfo
from pipeline.kinesis.errors import PassingError
from pipeline.kinesis.positions import Cursor, ReaderId, ReaderState
from pipeline.kinesis.retention import Retention
from pipeline.kinesis.settings import ReadSettings
from pipeline.kinesis.shared import Shared
from pipeline.paths import stable_hash

HASH_RANGE = 1 << 128
#: A closed shard that listings have not shown for this long is past its retention.
FORGET_MS = 3_600_000
LISTING_S = 10.0
#: When a window waits only for a listing, the next listing follows after this time.
LISTING_SOON_S = 1.0
SKEW_MS = 60_000


def owner_of(stream: str, shard: str, readers: int) -> int:
    """Return the number of the reader that reads that shard: the same on every machine and in every run."""
    return stable_hash(f'{stream}/{shard}') % readers


def owned_by(shards: Mapping[tuple[str, str], bool], reader_id: ReaderId) -> dict[tuple[str, str], bool]:
    """Return the shards that this reader reads, of all shards by (stream, shard)."""
    return {key: is_open for key, is_open in shards.items() if owner_of(*key, reader_id.readers) == reader_id.number}


def covers_hash_range(shards: Iterable[ShardInfo]) -> bool:
    """Return whether the open shards cover the whole hash range exactly once; during a reshard they may not."""
    expected = 0
    for shard in sorted((shard for shard in shards if shard.is_open), key=lambda shard: shard.first_hash):
        if shard.first_hash != expected:
            return False
        expected = shard.last_hash + 1
    return expected == HASH_RANGE


def list_streams(api: KinesisApi, settings: ReadSettings) -> tuple[dict[tuple[str, str], bool], int] | None:
    """Return whether each (stream, shard) of all streams is open, and AWS's time (epoch ms) of the earliest listing.

    Return None if a listing is incomplete. Raise PassingError or ReadError if a call fails.
    """
    found, times = dict[tuple[str, str], bool](), []
    for stream in settings.streams:
        shards, listed_ms = api.list_shards(stream.address)
        if not covers_hash_range(shards):
            return None
        found |= {(stream.name, shard.shard): shard.is_open for shard in shards}
        times.append(listed_ms)
    return found, min(times)


def merge_listing(state: ReaderState, owned: Mapping[tuple[str, str], bool], listed_ms: int,
                  since_ms: int) -> ReaderState:
    """Return the state with a cursor for each new shard, without those of closed shards that are long unlisted.

    `owned` says whether each shard of this reader is open, by (stream, shard). New shards are read from `since_ms`. If
    a shard was taken for closed but is listed as open, it is read on: the answer without an iterator was wrong.
    """
    known = {(cursor.stream, cursor.shard) for cursor in state.cursors}
    new = [Cursor(stream, shard, since_ms) for stream, shard in owned.keys() - known]
    old = [_mark_listed(cursor, owned, listed_ms) for cursor in state.cursors]
    kept = [cursor for cursor in old
            if not (cursor.closed and cursor.unlisted_ms and listed_ms - cursor.unlisted_ms > FORGET_MS)]
    cursors = tuple(sorted([*kept, *new], key=lambda cursor: cursor.key))
    return dataclasses.replace(state, cursors=cursors, listed_ms=max(state.listed_ms, listed_ms))


def _mark_listed(cursor: Cursor, owned: Mapping[tuple[str, str], bool], listed_ms: int) -> Cursor:
    is_open = owned.get((cursor.stream, cursor.shard))
    if is_open is not None:
        closed = cursor.closed and not is_open
        unchanged = closed == cursor.closed and not cursor.unlisted_ms
        return cursor if unchanged else dataclasses.replace(cursor, unlisted_ms=0, closed=closed)
    return cursor if cursor.unlisted_ms else dataclasses.replace(cursor, unlisted_ms=listed_ms)


class Discovery:
    """List the streams for one reader, every ten seconds; `counts` is where it counts what happened, by name."""

    def __init__(self, settings: ReadSettings, reader_id: ReaderId, shared: Shared, retention: Retention,
                 counts: collections.Counter[str]) -> None:
        self._settings, self._reader_id, self._shared = settings, reader_id, shared
        self._retention, self._counts = retention, counts
        self._keys = [(settings.streams, 'listing', kind, reader_id) for kind in ('regular', 'soon')]

    def wait_s(self, state: ReaderState, urgent: bool) -> float:
        """Return the seconds until the next listing; `urgent` says that a window waits for nothing else."""
        regular_s, soon_s = map(self._shared.limiter.wait_s, self._keys)
        return min(regular_s, soon_s) if urgent or not state.listed_ms else regular_s

    def list(self, state: ReaderState) -> ReaderState:
        """Return the state after a new listing, or unchanged if no complete one can be had for now.

        Raise ReadError if a call fails for good, or if a stream was deleted and made again.
        """
        try:
            self._retention.refresh_if_due()
            listing = list_streams(self._shared.api, self._settings)
        except PassingError as error:
            return self._failed(state, 'throttles' if error.throttled else 'failed_calls')
        if listing is None:
            return self._failed(state, 'unfinished_listings')
        found, listed_ms = listing
        for key, delay_s in zip(self._keys, (LISTING_S, LISTING_SOON_S), strict=True):
            self._shared.limiter.succeeded(key, delay_s)
        self._counts['clock_skew'] += abs(self._shared.wall_ms() - listed_ms) > SKEW_MS
        return merge_listing(state, owned_by(found, self._reader_id), listed_ms, self._settings.since_ms)

    def _failed(self, state: ReaderState, problem: str) -> ReaderState:
        self._counts[problem] += 1
        for key in self._keys:
            self._shared.limiter.failed(key, problem == 'throttles')
        return state
