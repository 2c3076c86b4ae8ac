"""Listings: which are whole, whose shards are whose, what they add to and drop from a state."""
from __future__ import annotations

import dataclasses
import hashlib

import pytest

from pipeline.kinesis.api import ShardInfo
from pipeline.kinesis.positions import Cursor, ReaderState
from pipeline.kinesis.settings import ReadSettings
from pipeline.kinesis.shards import FORGET_MS, HASH_RANGE, list_streams, merge_listing, owned_by, owner_of, tiles
from tests.kinesis.fake import FakeKinesis

HALF = HASH_RANGE // 2
A, B = ('events', 'a'), ('events', 'b')


def shards_of(*ranges: tuple[int, int], closed: tuple[tuple[int, int], ...] = ()) -> list[ShardInfo]:
    return [*(ShardInfo(f'open{first}', first, end - 1, True) for first, end in ranges),
            *(ShardInfo(f'closed{first}', first, end - 1, False) for first, end in closed)]


@pytest.mark.parametrize(('shards', 'whole'), [
    (shards_of((0, HASH_RANGE)), True),
    (shards_of((HALF, HASH_RANGE), (0, HALF)), True),
    (shards_of((0, HALF), (HALF, HASH_RANGE), closed=((0, HASH_RANGE),)), True),
    ([], False),
    (shards_of((0, HALF)), False),
    (shards_of((HALF, HASH_RANGE)), False),
    (shards_of((0, HALF), (HALF + 1, HASH_RANGE)), False),
    (shards_of((0, HALF + 1), (HALF, HASH_RANGE)), False),
    (shards_of((0, HASH_RANGE), (0, HALF), (HALF, HASH_RANGE)), False),
    (shards_of(closed=((0, HASH_RANGE),)), False)],
    ids=['one', 'two', 'children of a split', 'none', 'upper missing', 'lower missing', 'a hole', 'overlap',
         'parent still open', 'children not listed'])
def test_open_shards_must_tile_the_hash_range(shards: list[ShardInfo], whole: bool) -> None:
    assert tiles(shards) == whole


def test_2500_shards_tile_and_are_spread_over_readers_evenly() -> None:
    bounds = [HASH_RANGE * at // 2500 for at in range(2501)]
    shards = shards_of(*zip(bounds, bounds[1:], strict=False))
    names = {('events', f'shardId-{number:012d}'): number % 2 == 0 for number in range(2500)}
    owned = [owned_by(names, reader, 16) for reader in range(16)]

    assert tiles(shards)
    assert {key: is_open for part in owned for key, is_open in part.items()} == names
    assert sum(map(len, owned)) == 2500
    assert 100 < min(map(len, owned)) and max(map(len, owned)) < 220


def test_an_owner_is_the_same_on_every_machine_and_run() -> None:
    names = [f'shardId-{number:012d}' for number in range(8)]
    digests = [hashlib.blake2b(f'events/{name}'.encode(), digest_size=8).digest() for name in names]

    assert [owner_of('events', name, 4) for name in names] == [int.from_bytes(digest) % 4 for digest in digests]


def test_a_listing_of_several_streams_counts_from_its_earliest_answer_and_only_whole() -> None:
    first, second = FakeKinesis(2, name='one'), FakeKinesis(1, name='two')
    second.now_ms += 5000

    class Both:
        def list_shards(self, stream: str) -> tuple[list[ShardInfo], int]:
            return (first if stream == 'one' else second).list_shards(stream)

    settings = ReadSettings((*first.infos(), *second.infos()), 0, -1, 1000, 1, 0, 0)
    found = list_streams(Both(), settings)  # type: ignore[arg-type]
    second.hidden.add('shardId-000000000000')

    assert found == ({('one', 'shardId-000000000000'): True, ('one', 'shardId-000000000001'): True,
                      ('two', 'shardId-000000000000'): True}, first.now_ms)
    assert list_streams(Both(), settings) is None  # type: ignore[arg-type]


def test_new_shards_are_read_from_since_and_known_ones_keep_their_place() -> None:
    known = Cursor(*B, since_ms=1, sequence='7')

    state = merge_listing(ReaderState(0, cursors=(known,)), {A: True, B: False}, 5000, since_ms=3)

    assert state.cursors == (Cursor(*A, since_ms=3), known)
    assert state.listed_ms == 5000


def test_the_time_of_listings_never_goes_back() -> None:
    assert merge_listing(ReaderState(0, listed_ms=9), {}, 5, 0).listed_ms == 9


def test_a_closed_shard_is_forgotten_only_when_long_absent_from_listings() -> None:
    closed = Cursor(*A, closed=True)
    absent = merge_listing(ReaderState(0, cursors=(closed,)), {}, 1000, 0)
    still = merge_listing(absent, {}, 1000 + FORGET_MS, 0)
    gone = merge_listing(still, {}, 1001 + FORGET_MS, 0)
    back = merge_listing(still, {A: False}, 1001 + FORGET_MS, 0)

    assert absent.cursors == still.cursors == (dataclasses.replace(closed, unlisted_ms=1000),)
    assert gone.cursors == ()
    assert back.cursors == (closed,)


def test_a_shard_that_seemed_read_out_and_is_listed_as_open_is_read_on() -> None:
    closed = Cursor(*A, sequence='7', closed=True)

    state = merge_listing(ReaderState(0, cursors=(closed,)), {A: True}, 1000, 0)

    assert state.cursors == (dataclasses.replace(closed, closed=False),)
    assert merge_listing(ReaderState(0, cursors=(closed,)), {A: False}, 1000, 0).cursors == (closed,)


def test_an_open_shard_is_never_forgotten() -> None:
    absent = Cursor(*A, unlisted_ms=1)

    assert merge_listing(ReaderState(0, cursors=(absent,)), {}, FORGET_MS * 9, 0).cursors == (absent,)


def test_shards_of_one_name_in_two_streams_are_two() -> None:
    state = merge_listing(ReaderState(0), {('one', 'a'): True, ('two', 'a'): True}, 1, 0)

    assert [cursor.key for cursor in state.cursors] == ['one/a', 'two/a']
