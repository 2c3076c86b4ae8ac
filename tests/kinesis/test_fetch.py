"""Pages of shards: iterators are kept and renewed, rests of cut pages are kept within bounds."""
from __future__ import annotations

import dataclasses

import pytest

from pipeline.errors import ReadError
from pipeline.kinesis import fetch as fetch_module
from pipeline.kinesis.api import Page
from pipeline.kinesis.errors import ExpiredIterator, PassingError
from pipeline.kinesis.fetch import Fetched, Outcome, ShardPages
from pipeline.kinesis.positions import Cursor
from pipeline.kinesis.rate_limiter import RateLimiter
from tests.kinesis.fake import START_MS, FakeKinesis

A = 'shardId-000000000000'
CURSOR = Cursor('events', A, since_ms=START_MS)


def pages_of(fake: FakeKinesis) -> ShardPages:
    return ShardPages(fake, fake.infos(), limiter=RateLimiter(fake.clock, jitter=lambda: 1.0), wall_ms=fake.local_ms)


def test_reading_from_a_time_begins_a_minute_earlier() -> None:
    fake = FakeKinesis()
    pages_of(fake).fetch(CURSOR)

    assert fake.calls('iterator') == [f'iterator {A} at {START_MS - 60_000}']


def test_reading_from_the_beginning_asks_for_the_beginning() -> None:
    fake = FakeKinesis()
    pages_of(fake).fetch(dataclasses.replace(CURSOR, since_ms=0))

    assert fake.calls('iterator') == [f'iterator {A} at 0']


def test_the_iterator_of_a_cursor_is_used_while_it_is_young() -> None:
    fake = FakeKinesis()
    pages, fetched = pages_of(fake), pages_of(fake).fetch(CURSOR)
    assert fetched.page is not None and fetched.page.next_iterator is not None
    carried = dataclasses.replace(fetched.cursor, iterator=fetched.page.next_iterator)
    fake.now_ms += 270_000

    assert pages.fetch(carried).outcome is Outcome.ASKED
    assert len(fake.calls('iterator')) == 1


@pytest.mark.parametrize('moved_ms', [271_000, -271_000])
def test_an_iterator_that_is_old_by_the_local_clock_is_renewed(moved_ms: int) -> None:
    fake = FakeKinesis()
    fetched = pages_of(fake).fetch(CURSOR)
    fake.local_offset_ms = moved_ms

    pages_of(fake).fetch(fetched.cursor)

    assert len(fake.calls('iterator')) == 2


@pytest.mark.parametrize(('error', 'outcome', 'wait_s'), [
    (PassingError('ProvisionedThroughputExceededException'), Outcome.THROTTLED, 1.0),
    (PassingError('InternalFailure'), Outcome.FAILED, 0.5),
    (ExpiredIterator(), Outcome.EXPIRED, 0.5)])
def test_after_a_failure_for_now_the_shard_waits(error: Exception, outcome: Outcome, wait_s: float) -> None:
    fake = FakeKinesis()
    fake.fail('records', error)
    pages = pages_of(fake)

    fetched = pages.fetch(CURSOR)

    assert fetched == Fetched(CURSOR, None, outcome)
    assert pages.wait_s(CURSOR) == wait_s


def test_a_failure_for_good_is_raised() -> None:
    fake = FakeKinesis()
    fake.fail('iterator', ReadError('no'))

    with pytest.raises(ReadError, match='no'):
        pages_of(fake).fetch(CURSOR)


def test_a_shard_that_does_not_exist_is_gone() -> None:
    assert pages_of(FakeKinesis()).fetch(Cursor('events', 'shardId-000000000009')).outcome is Outcome.GONE


def test_a_kept_rest_is_returned_without_a_call_or_a_wait_and_only_at_its_position() -> None:
    fake = FakeKinesis()
    fake.put(A, b'a')
    pages = pages_of(fake)
    page = pages.fetch(CURSOR).page
    assert page is not None
    pages.keep(CURSOR, page)
    elsewhere = dataclasses.replace(CURSOR, sequence='1')

    assert pages.fetch(CURSOR) == Fetched(CURSOR, page, Outcome.KEPT)
    assert (pages.wait_s(CURSOR), pages.wait_s(elsewhere)) == (0, 1.0)
    assert pages.wait_s(dataclasses.replace(CURSOR, since_ms=5)) == 1.0
    assert len(fake.calls('records')) == 1


def a_page_and_another_shard(monkeypatch: pytest.MonkeyPatch) -> tuple[FakeKinesis, Page, Cursor]:
    """Return a fake, a page of 60 bytes when 100 may be kept, and a cursor of another shard."""
    fake = FakeKinesis(2)
    fake.put(A, bytes(60))
    page = pages_of(fake).fetch(CURSOR).page
    assert page is not None
    monkeypatch.setattr(fetch_module, 'KEPT_BYTES', 100)
    return fake, page, dataclasses.replace(CURSOR, shard='shardId-000000000001')


def test_a_rest_that_would_hold_too_much_memory_is_read_again_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    fake, page, other = a_page_and_another_shard(monkeypatch)
    pages = pages_of(fake)
    pages.keep(CURSOR, page)
    pages.keep(other, page)
    kept = [pages.fetch(cursor).outcome for cursor in (CURSOR, other)]
    pages.forget(CURSOR)
    pages.keep(other, page)

    assert kept == [Outcome.KEPT, Outcome.ASKED]
    assert pages.fetch(other).outcome is Outcome.KEPT


def test_keeping_the_rest_of_the_rest_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeKinesis()
    fake.put(A, bytes(60))
    page = pages_of(fake).fetch(CURSOR).page
    assert page is not None
    monkeypatch.setattr(fetch_module, 'KEPT_BYTES', 100)
    pages = pages_of(fake)
    pages.keep(CURSOR, page)
    pages.keep(CURSOR, page)

    assert pages.fetch(CURSOR).outcome is Outcome.KEPT


def test_a_rest_that_is_not_asked_for_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    fake, page, other = a_page_and_another_shard(monkeypatch)
    pages = pages_of(fake)
    pages.keep(CURSOR, page)
    fake.sleep(601)
    pages.keep(other, page)

    assert [pages.fetch(cursor).outcome for cursor in (other, CURSOR)] == [Outcome.KEPT, Outcome.ASKED]
