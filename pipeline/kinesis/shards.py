"""Which shards there are. A reader lists its streams every few seconds, which also tells it AWS's time."""
from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from pipeline.kinesis.api import KinesisApi, ShardInfo
from pipeline.kinesis.errors import PassingError
from pipeline.kinesis.positions import Cursor, ReaderId, ReaderState
from pipeline.kinesis.retention import Retention
from pipeline.kinesis.settings import ReadSettings
from pipeline.kinesis.shared import Shared
from pipeline.paths import stable_hash

HASH_RANGE = 1 << 128
#: What the objects of one part may gather in a worker, in MiB of records: see docs/runners.md, Memory.
GATHER_MIB = 2048
#: A closed shard that listings have not shown for this long is past its retention.
FORGET_MS = 3_600_000
LISTING_S = 10.0
#: When a window waits only for a listing, the next listing follows after this time.
LISTING_SOON_S = 1.0
SKEW_MS = 60_000

Key = tuple[str, str]


class Listed(NamedTuple):
    """What a listing says of a shard: whether it still takes records, and the size of its parts in record bytes."""

    is_open: bool
    part_bytes: int


def owner_of(stream: str, shard: str, readers: int) -> int:
    """Return the number of the reader that reads that shard: the same on every machine and in every run."""
    return stable_hash(f'{stream}/{shard}') % readers


def owned_by(shards: Mapping[Key, Listed], reader_id: ReaderId) -> dict[Key, Listed]:
    """Return the shards that this reader reads, of all shards by (stream, shard)."""
    return {key: listed for key, listed in shards.items() if owner_of(*key, reader_id.readers) == reader_id.number}


def part_bytes_of(shard: ShardInfo, settings: ReadSettings) -> int:
    """Return the size of a part of that shard in record bytes: `flush_bytes`, or less if the shard is narrow.

    Each output shard may gather 2 GiB. The streams share that evenly, and the open shards of a stream by their part of
    the hash range, which never changes. So however many shards there are, their parts fit. A share is rounded up to a
    whole MiB, because shards of equal size may differ by a hash.
    """
    hashes = shard.last_hash + 1 - shard.first_hash
    share_mib = -(-GATHER_MIB * settings.output_shards * hashes // (HASH_RANGE * len(settings.streams)))
    return min(settings.flush_bytes, max(1, share_mib) << 20)


def covers_hash_range(shards: Iterable[ShardInfo]) -> bool:
    """Return whether the open shards cover the whole hash range exactly once; during a reshard they may not."""
    expected = 0
    for shard in sorted((shard for shard in shards if shard.is_open), key=lambda shard: shard.first_hash):
        if shard.first_hash != expected:
            return False
        expected = shard.last_hash + 1
    return expected == HASH_RANGE


def list_streams(api: KinesisApi, settings: ReadSettings) -> tuple[dict[Key, Listed], int] | None:
    """Return all shards of all streams by (stream, shard), and AWS's time (epoch ms) of the earliest listing.

    Return None if a listing is incomplete. Raise PassingError or ReadError if a call fails.
    """
    found, times = dict[Key, Listed](), []
    for stream in settings.streams:
        shards, listed_ms = api.list_shards(stream.address)
        if not covers_hash_range(shards):
            return None
        found |= {(stream.name, shard.shard): Listed(shard.is_open, part_bytes_of(shard, settings)) for shard in shards}
        times.append(listed_ms)
    return found, min(times)


def merge_listing(state: ReaderState, owned: Mapping[Key, Listed], listed_ms: int, since_ms: int) -> ReaderState:
    """Return the state with a cursor for each new shard, without those of closed shards that are long unlisted.

    `owned` has the shards of this reader, by (stream, shard). New shards are read from `since_ms`. If a shard was taken
    for closed but is listed as open, it is read on: the answer without an iterator was wrong.
    """
    known = {(cursor.stream, cursor.shard) for cursor in state.cursors}
    new = [Cursor(*key, since_ms, part_bytes=owned[key].part_bytes) for key in owned.keys() - known]
    old = [_mark_listed(cursor, owned, listed_ms) for cursor in state.cursors]
    kept = [cursor for cursor in old
            if not (cursor.closed and cursor.unlisted_ms and listed_ms - cursor.unlisted_ms > FORGET_MS)]
    cursors = tuple(sorted([*kept, *new], key=lambda cursor: cursor.key))
    return dataclasses.replace(state, cursors=cursors, listed_ms=max(state.listed_ms, listed_ms))


def _mark_listed(cursor: Cursor, owned: Mapping[Key, Listed], listed_ms: int) -> Cursor:
    listed = owned.get((cursor.stream, cursor.shard))
    if listed:
        return dataclasses.replace(cursor, unlisted_ms=0, closed=cursor.closed and not listed.is_open,
                                   part_bytes=listed.part_bytes)
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
