"""Listings: which are complete, which reader owns a shard, what they change in a state, when they are made."""
from __future__ import annotations

import collections
import dataclasses
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.kinesis.api import ShardInfo
from pipeline.kinesis.errors import PassingError
from pipeline.kinesis.positions import Cursor, ReaderId, ReaderState
from pipeline.kinesis.retention import Retention
from pipeline.kinesis.shards import (
    FORGET_MS,
    HASH_RANGE,
    Discovery,
    Listed,
    covers_hash_range,
    list_streams,
    merge_listing,
    owned_by,
    owner_of,
    part_bytes_of,
)
from pipeline.paths import output_shard
from tests.kinesis.driver import shared_of
from tests.kinesis.fake import START_MS, FakeKinesis

HALF = HASH_RANGE // 2
A, B = ('events', 'a'), ('events', 'b')
STATE = ReaderState(START_MS)
ONLY = ReaderId(0, 1)
MIB = 1 << 20
OPEN, CLOSED = Listed(True, 64 * MIB), Listed(False, 64 * MIB)


def shards_of(*ranges: tuple[int, int], closed: tuple[tuple[int, int], ...] = ()) -> list[ShardInfo]:
    return [*(ShardInfo(f'open{first}', first, end - 1, True) for first, end in ranges),
            *(ShardInfo(f'closed{first}', first, end - 1, False) for first, end in closed)]


@pytest.mark.parametrize(('shards', 'covered'), [
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
def test_open_shards_must_cover_the_hash_range_once(shards: list[ShardInfo], covered: bool) -> None:
    assert covers_hash_range(shards) == covered


def test_2500_shards_cover_the_hash_range_and_are_spread_over_readers_evenly() -> None:
    bounds = [HASH_RANGE * index // 2500 for index in range(2501)]
    shards = shards_of(*zip(bounds, bounds[1:], strict=False))
    names = {('events', f'shardId-{number:012d}'): OPEN if number % 2 else CLOSED for number in range(2500)}
    owned = [owned_by(names, ReaderId(reader, 16)) for reader in range(16)]

    assert covers_hash_range(shards)
    assert {key: listed for part in owned for key, listed in part.items()} == names
    assert sum(map(len, owned)) == 2500
    assert 100 < min(map(len, owned)) and max(map(len, owned)) < 220


def test_an_owner_is_the_same_on_every_machine_and_run() -> None:
    names = [f'shardId-{number:012d}' for number in range(8)]
    digests = [hashlib.blake2b(f'events/{name}'.encode(), digest_size=8).digest() for name in names]

    assert [owner_of('events', name, 4) for name in names] == [int.from_bytes(digest) % 4 for digest in digests]


def test_a_listing_of_several_streams_has_the_time_of_the_earliest_answer_and_must_be_complete() -> None:
    first, second = FakeKinesis(2, name='one'), FakeKinesis(1, name='two')
    second.now_ms += 5000

    class Both:
        def list_shards(self, stream: str) -> tuple[list[ShardInfo], int]:
            return (first if stream == 'one' else second).list_shards(stream)

    settings = first.settings(streams=(*first.infos(), *second.infos()))
    found = list_streams(Both(), settings)  # type: ignore[arg-type]
    second.hidden.add('shardId-000000000000')

    assert found == ({('one', 'shardId-000000000000'): OPEN, ('one', 'shardId-000000000001'): OPEN,
                      ('two', 'shardId-000000000000'): OPEN}, first.now_ms)
    assert list_streams(Both(), settings) is None  # type: ignore[arg-type]


def test_new_shards_are_read_from_since_ms_and_known_ones_keep_their_position() -> None:
    known = Cursor(*B, since_ms=1, sequence='7')

    state = merge_listing(ReaderState(0, cursors=(known,)), {A: OPEN, B: CLOSED}, 5000, since_ms=3)

    assert state.cursors == (Cursor(*A, since_ms=3, part_bytes=64 * MIB),
                             dataclasses.replace(known, part_bytes=64 * MIB))
    assert state.listed_ms == 5000


def test_the_time_of_listings_never_goes_back() -> None:
    assert merge_listing(ReaderState(0, listed_ms=9), {}, 5, 0).listed_ms == 9


def test_a_closed_shard_is_forgotten_only_when_long_absent_from_listings() -> None:
    closed = Cursor(*A, closed=True, part_bytes=64 * MIB)
    absent = merge_listing(ReaderState(0, cursors=(closed,)), {}, 1000, 0)
    still = merge_listing(absent, {}, 1000 + FORGET_MS, 0)
    gone = merge_listing(still, {}, 1001 + FORGET_MS, 0)
    back = merge_listing(still, {A: CLOSED}, 1001 + FORGET_MS, 0)

    assert absent.cursors == still.cursors == (dataclasses.replace(closed, unlisted_ms=1000),)
    assert gone.cursors == ()
    assert back.cursors == (closed,)


def test_a_shard_that_was_taken_for_closed_and_is_listed_as_open_is_read_on() -> None:
    closed = Cursor(*A, sequence='7', closed=True, part_bytes=64 * MIB)

    state = merge_listing(ReaderState(0, cursors=(closed,)), {A: OPEN}, 1000, 0)

    assert state.cursors == (dataclasses.replace(closed, closed=False),)
    assert merge_listing(ReaderState(0, cursors=(closed,)), {A: CLOSED}, 1000, 0).cursors == (closed,)


def test_an_open_shard_is_never_forgotten() -> None:
    absent = Cursor(*A, unlisted_ms=1)

    assert merge_listing(ReaderState(0, cursors=(absent,)), {}, FORGET_MS * 9, 0).cursors == (absent,)


def test_two_streams_may_have_shards_of_the_same_name() -> None:
    state = merge_listing(ReaderState(0), {('one', 'a'): OPEN, ('two', 'a'): OPEN}, 1, 0)

    assert [cursor.key for cursor in state.cursors] == ['one/a', 'two/a']


def test_a_position_of_an_earlier_run_gets_its_part_size_from_the_first_listing_and_keeps_it() -> None:
    restored = ReaderState(0, cursors=(Cursor(*A, sequence='7'),))

    listed = merge_listing(restored, {A: Listed(True, 5 * MIB)}, 1000, 0)
    unlisted = merge_listing(listed, {}, 2000, 0)

    assert [state.cursors[0].part_bytes for state in (restored, listed, unlisted)] == [0, 5 * MIB, 5 * MIB]


def part_mib(bounds: tuple[int, int], flush_mib: int = 64, output_shards: int = 1, streams: int = 1) -> int:
    settings = FakeKinesis().settings(flush_bytes=flush_mib * MIB, output_shards=output_shards,
                                      streams=FakeKinesis().infos() * streams)
    size = part_bytes_of(ShardInfo('a', bounds[0], bounds[1] - 1, True), settings)
    assert size % MIB == 0
    return size // MIB


@pytest.mark.parametrize(('wide', 'given', 'mib'), [
    ((0, HASH_RANGE), {}, 64),
    ((0, HASH_RANGE // 32), {}, 64),
    ((0, HASH_RANGE // 64), {}, 32),
    ((HASH_RANGE - HASH_RANGE // 64, HASH_RANGE), {}, 32),
    ((0, HASH_RANGE // 64 + 1), {}, 33),
    ((0, HASH_RANGE // 64), {'output_shards': 2}, 64),
    ((0, HASH_RANGE // 64), {'streams': 2}, 16),
    ((0, HASH_RANGE // 64), {'flush_mib': 8}, 8),
    ((0, HASH_RANGE), {'flush_mib': 1024}, 1024),
    ((0, HASH_RANGE // 33), {}, 63),
    ((0, HASH_RANGE // 5000), {}, 1),
    ((5, 6), {}, 1),
    ((5, 5), {}, 1),
    ((6, 5), {}, 1)], ids=str)
def test_a_part_is_as_large_as_the_share_of_its_shard_in_the_hash_range(
        wide: tuple[int, int], given: dict[str, int], mib: int) -> None:
    assert part_mib(wide, **given) == mib


@given(st.integers(1, 1024), st.integers(1, 1000), st.integers(1, 3000), st.data())
def test_equal_shards_that_always_fitted_into_memory_keep_the_parts_that_they_had(
        flush_mib: int, output_shards: int, shards: int, data: st.DataObject) -> None:
    shards = min(shards, 2048 // flush_mib * output_shards)
    index = data.draw(st.integers(0, shards - 1))
    bounds = HASH_RANGE * index // shards, HASH_RANGE * (index + 1) // shards

    assert part_mib(bounds, flush_mib, output_shards) == flush_mib


@given(st.lists(st.lists(st.integers(1, HASH_RANGE - 1), max_size=40, unique=True), min_size=1, max_size=3),
       st.integers(1, 1024), st.integers(1, 4))
def test_whatever_the_shards_are_the_objects_of_a_part_gather_two_gib_each_and_a_mib_a_shard(
        tilings: list[list[int]], flush_mib: int, output_shards: int) -> None:
    gathered = collections.Counter[int]()
    count = 0
    for stream, tiling in enumerate(tilings):
        bounds = [0, *sorted(tiling), HASH_RANGE]
        for number, pair in enumerate(zip(bounds, bounds[1:], strict=False)):
            group = output_shard(f'stream-{stream}', f'shardId-{number:012d}', output_shards)
            gathered[group] += part_mib(pair, flush_mib, output_shards, len(tilings))
            count += 1

    assert sum(gathered.values()) <= 2048 * output_shards + count
    if output_shards == 1:
        assert gathered[0] <= 2048 + count


def discovery_of(fake: FakeKinesis, reader_id: ReaderId = ONLY) -> tuple[Discovery, collections.Counter[str]]:
    shared, counts = shared_of(fake), collections.Counter[str]()
    retention = Retention(fake.settings(), fake, shared.limiter, 'retention')
    return Discovery(fake.settings(), reader_id, shared, retention, counts), counts


def test_a_listing_adds_the_shards_of_this_reader_and_aws_time() -> None:
    fake = FakeKinesis(8)
    found = [discovery_of(fake, ReaderId(reader, 3))[0].list(STATE) for reader in range(3)]

    assert sorted(cursor.shard for state in found for cursor in state.cursors) == sorted(fake.shards)
    assert {state.listed_ms for state in found} == {START_MS}


def test_the_next_listing_follows_after_ten_seconds_or_one_if_a_window_waits_for_it() -> None:
    discovery, _ = discovery_of(FakeKinesis())
    before = discovery.wait_s(STATE, urgent=False)
    state = discovery.list(STATE)

    assert before == 0
    assert (discovery.wait_s(state, urgent=False), discovery.wait_s(state, urgent=True)) == (10, 1)


def test_a_reader_without_a_listing_lists_soon() -> None:
    discovery, _ = discovery_of(FakeKinesis())
    discovery.list(STATE)  # by an earlier run in this process

    assert discovery.wait_s(STATE, urgent=False) == 1


@pytest.mark.parametrize(('error', 'problem', 'waits'), [
    (PassingError('LimitExceededException'), 'throttles', [1, 1, 2]),
    (PassingError('ExpiredNextTokenException'), 'failed_calls', [0.5, 1, 2])])
def test_a_failed_listing_changes_nothing_and_is_repeated(
        error: PassingError, problem: str, waits: list[float]) -> None:
    fake = FakeKinesis()
    discovery, counts = discovery_of(fake)
    fake.fail('list_shards', error, error, error)
    waited = []
    for _ in waits:
        assert discovery.list(STATE) == STATE
        waited.append(discovery.wait_s(STATE, urgent=True))

    assert waited == waits
    assert counts == {problem: 3}
    assert discovery.list(STATE).listed_ms == START_MS


def test_a_failed_call_for_the_retention_does_not_delay_a_listing() -> None:
    fake = FakeKinesis()
    fake.fail('summary', PassingError('LimitExceededException'))
    discovery, _ = discovery_of(fake)

    assert discovery.list(STATE).listed_ms == START_MS


def test_an_incomplete_listing_is_not_used() -> None:
    fake = FakeKinesis(2)
    fake.hidden.add('shardId-000000000001')
    discovery, counts = discovery_of(fake)

    assert discovery.list(STATE) == STATE
    assert counts == {'unfinished_listings': 1}


@pytest.mark.parametrize(('offset_ms', 'skewed'), [(0, 0), (59_000, 0), (61_000, 1), (-61_000, 1)])
def test_a_local_clock_a_minute_off_is_counted(offset_ms: int, skewed: int) -> None:
    fake = FakeKinesis()
    fake.local_offset_ms = offset_ms
    discovery, counts = discovery_of(fake)

    state = discovery.list(STATE)

    assert counts['clock_skew'] == skewed
    assert state.listed_ms == START_MS
