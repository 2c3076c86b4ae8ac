"""Which shards there are: a reader lists its streams again and again, and learns AWS's time by it."""
from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Mapping

from pipeline.kinesis.api import KinesisApi, ShardInfo
from pipeline.kinesis.errors import PassingError
from pipeline.kinesis.positions import Cursor, ReaderState
from pipeline.kinesis.retention import Retention
from pipeline.kinesis.settings import ReadSettings
from pipeline.kinesis.shared import Shared
from pipeline.paths import stable_hash

HASH_RANGE = 1 << 128
#: A closed shard that listings have not shown for so long is past its retention.
FORGET_MS = 3_600_000


def owner_of(stream: str, shard: str, readers: int) -> int:
    """Say which of the readers reads that shard, on every machine and run alike."""
    return stable_hash(f'{stream}/{shard}') % readers


def owned_by(shards: Mapping[tuple[str, str], bool], reader: int, readers: int) -> dict[tuple[str, str], bool]:
    """Give those of the (stream, shard) that are this reader's."""
    return {key: is_open for key, is_open in shards.items() if owner_of(*key, readers) == reader}


def tiles(shards: Iterable[ShardInfo]) -> bool:
    """Tell whether the open shards cover the whole hash range once: in the middle of a reshard a listing may not."""
    expected = 0
    for shard in sorted((shard for shard in shards if shard.is_open), key=lambda shard: shard.first_hash):
        if shard.first_hash != expected:
            return False
        expected = shard.last_hash + 1
    return expected == HASH_RANGE


def list_streams(calls: KinesisApi, settings: ReadSettings) -> tuple[dict[tuple[str, str], bool], int] | None:
    """List the shards of all streams, (stream, shard) to whether it is open, and AWS's time of the earliest listing.

    None where one is not whole.
    """
    found, times = dict[tuple[str, str], bool](), []
    for stream in settings.streams:
        shards, listed_ms = calls.list_shards(stream.address)
        if not tiles(shards):
            return None
        found |= {(stream.name, shard.shard): shard.is_open for shard in shards}
        times.append(listed_ms)
    return found, min(times)


def merge_listing(state: ReaderState, owned: Mapping[tuple[str, str], bool], listed_ms: int,
                  since_ms: int) -> ReaderState:
    """Add cursors for shards that are new, drop those of shards read out and long gone.

    A shard that seemed read out and is listed as open is read on: an answer without an iterator was wrong.
    """
    known = {(cursor.stream, cursor.shard) for cursor in state.cursors}
    new = [Cursor(stream, shard, since_ms) for stream, shard in owned.keys() - known]
    old = [_mark(cursor, owned, listed_ms) for cursor in state.cursors]
    kept = [cursor for cursor in old
            if not (cursor.closed and cursor.unlisted_ms and listed_ms - cursor.unlisted_ms > FORGET_MS)]
    cursors = tuple(sorted([*kept, *new], key=lambda cursor: cursor.key))
    return dataclasses.replace(state, cursors=cursors, listed_ms=max(state.listed_ms, listed_ms))


def _mark(cursor: Cursor, owned: Mapping[tuple[str, str], bool], listed_ms: int) -> Cursor:
    is_open = owned.get((cursor.stream, cursor.shard))
    if is_open is not None:
        closed = cursor.closed and not is_open
        unchanged = closed == cursor.closed and not cursor.unlisted_ms
        return cursor if unchanged else dataclasses.replace(cursor, unlisted_ms=0, closed=closed)
    return cursor if cursor.unlisted_ms else dataclasses.replace(cursor, unlisted_ms=listed_ms)


LISTING_S = 10.0
#: When a window waits for nothing but a listing, the next one need not wait the whole ten seconds.
LISTING_SOON_S = 1.0
SKEW_MS = 60_000


class Discovery:
    """List the streams of one reader, at its own limiter; `counts` is where it counts what happened."""

    def __init__(self, settings: ReadSettings, element: tuple[int, int], shared: Shared, retention: Retention,
                 counts: collections.Counter[str]) -> None:
        self._settings, self._element, self._shared = settings, element, shared
        self._retention, self._counts = retention, counts
        self._keys = [(settings.streams, 'listing', kind, element) for kind in ('regular', 'soon')]

    def wait_s(self, state: ReaderState, wanted: bool) -> float:
        """Give the seconds until the next listing; `wanted`: a window waits for nothing else."""
        regular_s, soon_s = map(self._shared.limiter.wait_s, self._keys)
        return min(regular_s, soon_s) if wanted or not state.listed_ms else regular_s

    def list(self, state: ReaderState) -> ReaderState:
        """Give the state with what a listing shows, or as it was where there is no whole one for now."""
        try:
            self._retention.refresh_if_due()
            listing = list_streams(self._shared.calls, self._settings)
        except PassingError as error:
            return self._failed(state, 'throttles' if error.throttled else 'failed_calls')
        if listing is None:
            return self._failed(state, 'unfinished_listings')
        found, listed_ms = listing
        for key, delay_s in zip(self._keys, (LISTING_S, LISTING_SOON_S), strict=True):
            self._shared.limiter.succeeded(key, delay_s)
        self._counts['clock_skew'] += abs(self._shared.wall_ms() - listed_ms) > SKEW_MS
        return merge_listing(state, owned_by(found, *self._element), listed_ms, self._settings.since_ms)

    def _failed(self, state: ReaderState, problem: str) -> ReaderState:
        self._counts[problem] += 1
        for key in self._keys:
            self._shared.limiter.failed(key, problem == 'throttles')
        return state
