"""When streams are listed, and what becomes of a listing that fails."""
from __future__ import annotations

import collections

import pytest

from pipeline.kinesis.errors import PassingError
from pipeline.kinesis.fetch import ShardPages
from pipeline.kinesis.monitor import Monitor
from pipeline.kinesis.positions import ReaderState
from pipeline.kinesis.rate_limiter import RateLimiter
from pipeline.kinesis.retention import Retention
from pipeline.kinesis.shards import Discovery
from pipeline.kinesis.shared import Shared
from tests.kinesis.driver import Inline
from tests.kinesis.fake import START_MS, FakeKinesis

STATE = ReaderState(START_MS)


def discovery_of(fake: FakeKinesis, element: tuple[int, int] = (0, 1)) -> tuple[Discovery, collections.Counter[str]]:
    limiter, counts = RateLimiter(fake.clock, jitter=lambda: 1.0), collections.Counter[str]()
    shared = Shared(fake, ShardPages(fake, fake.infos(), limiter=limiter), limiter, Monitor(limiter), Inline(),
                    fake.sleep, fake.local_ms)
    retention = Retention(fake.settings(), fake, limiter, 'retention')
    return Discovery(fake.settings(), element, shared, retention, counts), counts


def test_a_listing_brings_the_shards_of_this_reader_and_aws_time() -> None:
    fake = FakeKinesis(8)
    found = [discovery_of(fake, (reader, 3))[0].list(STATE) for reader in range(3)]

    assert sorted(cursor.shard for state in found for cursor in state.cursors) == sorted(fake.shards)
    assert {state.listed_ms for state in found} == {START_MS}


def test_the_next_listing_waits_ten_seconds_or_one_where_a_window_waits_for_it() -> None:
    discovery, _ = discovery_of(FakeKinesis())
    before = discovery.wait_s(STATE, wanted=False)
    state = discovery.list(STATE)

    assert before == 0
    assert (discovery.wait_s(state, wanted=False), discovery.wait_s(state, wanted=True)) == (10, 1)


def test_a_reader_that_has_no_listing_yet_wants_one() -> None:
    discovery, _ = discovery_of(FakeKinesis())
    discovery.list(STATE)  # of an earlier run in this process

    assert discovery.wait_s(STATE, wanted=False) == 1


@pytest.mark.parametrize(('error', 'problem', 'waits'), [
    (PassingError('LimitExceededException'), 'throttles', [1, 1, 2]),
    (PassingError('ExpiredNextTokenException'), 'failed_calls', [0.5, 1, 2])])
def test_a_failed_listing_changes_nothing_and_is_made_again(
        error: PassingError, problem: str, waits: list[float]) -> None:
    fake = FakeKinesis()
    discovery, counts = discovery_of(fake)
    fake.fail('list_shards', error, error, error)
    waited = []
    for _ in waits:
        assert discovery.list(STATE) == STATE
        waited.append(discovery.wait_s(STATE, wanted=True))

    assert waited == waits
    assert counts == {problem: 3}
    assert discovery.list(STATE).listed_ms == START_MS


def test_retention_that_cannot_be_asked_for_holds_no_listing() -> None:
    fake = FakeKinesis()
    fake.fail('summary', PassingError('LimitExceededException'))
    discovery, _ = discovery_of(fake)

    assert discovery.list(STATE).listed_ms == START_MS


def test_a_listing_that_is_not_whole_is_not_used() -> None:
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
