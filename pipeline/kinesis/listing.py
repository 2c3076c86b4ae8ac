"""Which shards there are: found by the reader itself, by listing its streams again and again."""
from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from pipeline.kinesis.answers import Calls, ShardInfo
from pipeline.kinesis.positions import Cursor, ReaderState
from pipeline.kinesis.settings import ReadSettings
from pipeline.paths import stable_hash

HASH_RANGE = 1 << 128
#: A closed shard that listings have not shown for so long is past its retention.
FORGET_MS = 3_600_000


def owner_of(stream: str, shard: str, readers: int) -> int:
    """Say which of the readers reads that shard, on every machine and run alike."""
    return stable_hash(f'{stream}/{shard}') % readers


def owned_by(shards: Iterable[tuple[str, str]], reader: int, readers: int) -> set[tuple[str, str]]:
    """Give those of the (stream, shard) that are this reader's."""
    return {(stream, shard) for stream, shard in shards if owner_of(stream, shard, readers) == reader}


def tiles(shards: Iterable[ShardInfo]) -> bool:
    """Tell whether the open shards cover the whole hash range once: in the middle of a reshard a listing may not."""
    expected = 0
    for shard in sorted((shard for shard in shards if shard.is_open), key=lambda shard: shard.first_hash):
        if shard.first_hash != expected:
            return False
        expected = shard.last_hash + 1
    return expected == HASH_RANGE


def list_streams(calls: Calls, settings: ReadSettings) -> tuple[set[tuple[str, str]], int] | None:
    """List the (stream, shard) of all streams and AWS's time of the earliest listing; None where one is not whole."""
    found, times = set[tuple[str, str]](), []
    for stream in settings.streams:
        shards, listed_ms = calls.list_shards(stream.address)
        if not tiles(shards):
            return None
        found |= {(stream.name, shard.shard) for shard in shards}
        times.append(listed_ms)
    return found, min(times)


def merge_listing(state: ReaderState, owned: set[tuple[str, str]], listed_ms: int, since_ms: int) -> ReaderState:
    """Add cursors for shards that are new, and drop those of shards read out and long gone."""
    known = {(cursor.stream, cursor.shard) for cursor in state.cursors}
    new = [Cursor(stream, shard, since_ms) for stream, shard in owned - known]
    old = [_mark(cursor, owned, listed_ms) for cursor in state.cursors]
    kept = [cursor for cursor in old
            if not (cursor.closed and cursor.unlisted_ms and listed_ms - cursor.unlisted_ms > FORGET_MS)]
    cursors = tuple(sorted([*kept, *new], key=lambda cursor: cursor.key))
    return dataclasses.replace(state, cursors=cursors, listed_ms=max(state.listed_ms, listed_ms))


def _mark(cursor: Cursor, owned: set[tuple[str, str]], listed_ms: int) -> Cursor:
    if (cursor.stream, cursor.shard) in owned:
        return dataclasses.replace(cursor, unlisted_ms=0) if cursor.unlisted_ms else cursor
    return cursor if cursor.unlisted_ms else dataclasses.replace(cursor, unlisted_ms=listed_ms)
