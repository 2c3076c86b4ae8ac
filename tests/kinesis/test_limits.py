"""What the manifests around a window say of one shard: the last record that may be in it, and those that must be."""
from __future__ import annotations

from collections.abc import Sequence

import pytest

from pipeline.errors import ReadError
from pipeline.kinesis.limits import NOTHING, Limits, ShardLimit, limit_of
from pipeline.kinesis.positions import Cursor, ReaderId, ReaderState
from pipeline.source import CommittedWindow, ShardCounts, ShardPosition
from tests.kinesis.fake import START_MS, FakeKinesis
from tests.ledgers import position

SHARD = 'shardId-000000000000'
KEY = f'events/{SHARD}'


def committed(window_ms: int, end_ms: int, records: tuple[int, int] | None = None, at: ShardPosition | None = None,
              created_ms: int = START_MS) -> CommittedWindow:
    """Make a committed window: the first and the last record of the shard if it has some, and its position."""
    accounts = {KEY: ShardCounts(9, 9, str(records[0]), str(records[1]))} if records else {}
    return CommittedWindow(window_ms, end_ms, {'events': created_ms}, accounts, {KEY: at} if at else {})


@pytest.mark.parametrize(('windows', 'expected'), [
    ([], ShardLimit()),
    ([committed(20, 30, (3, 5))], ShardLimit(5, exact=True, held=(3, 5))),
    ([committed(20, 30, at=position('2'))], ShardLimit(NOTHING, exact=True)),
    ([committed(20, 30)], ShardLimit(NOTHING, exact=True)),
    ([committed(20, 25, (3, 5)), committed(25, 30, (6, 7))], ShardLimit(7, exact=True, held=(3, 7))),
    ([committed(20, 25, (3, 5)), committed(25, 30, at=position('5'))], ShardLimit(5, exact=True, held=(3, 5))),
    ([committed(25, 30, (6, 7))], ShardLimit(7, exact=True, held=(6, 7))),
    ([committed(20, 25, (3, 5))], ShardLimit(held=(3, 5))),
    ([committed(20, 25, (3, 5)), committed(40, 50, (9, 9))], ShardLimit(8, held=(3, 5))),
    ([committed(10, 40, (3, 9))], ShardLimit(9)),
    ([committed(10, 30, (3, 9))], ShardLimit(9, exact=True)),
    ([committed(20, 40)], ShardLimit(NOTHING)),
    ([committed(30, 40, (9, 10))], ShardLimit(8)),
    ([committed(50, 60, at=position('7'))], ShardLimit(7)),
    ([committed(30, 40)], ShardLimit()),
    ([committed(30, 40, at=position(None, since_ms=30))], ShardLimit()),
    ([committed(30, 40, at=position(None, since_ms=20))], ShardLimit(NOTHING)),
], ids=['no manifest', 'its own', 'its own, no record', 'its own, shard unknown', 'two in it', 'the second has none',
        'only the second in it', 'only the first in it', 'the first in it and a later one', 'a longer one',
        'the end of a longer one', 'a longer one, no record', 'the next one', 'a later one, no record',
        'the next one, shard unknown', 'the next one, read from there', 'the next one, read from here'])
def test_the_last_record_of_the_window_from_20_to_30(
        windows: Sequence[CommittedWindow], expected: ShardLimit) -> None:
    assert limit_of(windows, 20, 30, KEY) == expected


class Known:
    """Committed windows by hand."""

    def __init__(self, *windows: CommittedWindow) -> None:
        self._windows = windows

    def around(self, window_ms: int, end_ms: int) -> Sequence[CommittedWindow]:
        return self._windows


def limits(*windows: CommittedWindow) -> Limits:
    return Limits(FakeKinesis().settings(flush_ms=10, committed=Known(*windows)))


def cursor(sequence: str = '', passed_ms: int = 0, arrival_ms: int = 0, closed: bool = False) -> Cursor:
    return Cursor('events', SHARD, sequence=sequence, passed_ms=passed_ms, arrival_ms=arrival_ms, closed=closed)


@pytest.mark.parametrize(('at', 'passed'), [
    (cursor('4', arrival_ms=30), False), (cursor('5'), True), (cursor('4', passed_ms=30), True),
    (cursor('4', passed_ms=29), False), (cursor('4', closed=True), True)])
def test_a_shard_has_passed_a_committed_window_at_the_last_record_of_it_whatever_its_arrival(
        at: Cursor, passed: bool) -> None:
    assert limits(committed(20, 30, (3, 5))).has_passed(20, at) is passed


@pytest.mark.parametrize('known', [limits(), limits(committed(30, 40, (9, 10)))], ids=['no manifest', 'the next one'])
def test_without_a_manifest_it_has_passed_by_arrival(known: Limits) -> None:
    assert not known.has_passed(20, cursor('8', arrival_ms=29))
    assert known.has_passed(20, cursor('8', arrival_ms=30))


def test_a_stream_that_was_made_again_has_no_limit() -> None:
    assert limits(committed(20, 30, (3, 5), created_ms=1)).of(20, cursor()) == ShardLimit()


def test_each_window_has_limits_of_its_own() -> None:
    known = limits(committed(20, 30, (3, 5)))

    assert known.of(20, cursor()).exact
    assert known.of(30, cursor()) == ShardLimit()


@pytest.mark.parametrize('sequence', ['', '4'])
def test_a_window_is_not_closed_before_its_last_record_was_read(sequence: str) -> None:
    known = limits(committed(20, 30, (3, 5)))

    with pytest.raises(ReadError, match=f'is committed with record 5 of {KEY}'):
        known.check_window(ReaderState(20, cursors=(cursor(sequence),)), ReaderId(0, 1))
    known.check_window(ReaderState(20, cursors=(cursor('5'),)), ReaderId(0, 1))


def test_a_shard_that_is_no_longer_listed_is_missed_by_the_reader_that_has_it() -> None:
    known, missed = limits(committed(20, 30, (3, 5))), []
    for number in range(3):
        try:
            known.check_window(ReaderState(20), ReaderId(number, 3))
        except ReadError:
            missed.append(number)

    assert len(missed) == 1


@pytest.mark.parametrize(('before', 'first', 'lost'), [
    ('', '4', True), ('2', '4', True), ('2', '3', False), ('3', '4', False), ('2', '', False)])
def test_a_page_that_begins_after_the_first_record_of_the_window_is_refused(
        before: str, first: str, lost: bool) -> None:
    known, after = limits(committed(20, 30, (3, 5))), Cursor('events', SHARD, first=first)

    if lost:
        with pytest.raises(ReadError, match='is committed with record 3 of'):
            known.check_page(20, cursor(before), after)
    else:
        known.check_page(20, cursor(before), after)


def test_records_of_a_stream_that_is_not_read_are_not_missed() -> None:
    window = committed(20, 30)._replace(accounts={f'other/{SHARD}': ShardCounts(9, 9, '3', '5')})

    limits(window).check_window(ReaderState(20), ReaderId(0, 1))
