"""Accounts of closed windows, and positions to and from manifests."""
from __future__ import annotations

import json

import pytest

from pipeline.kinesis.positions import Cursor, ReaderState, cursor_at, position_of, report_of

READ = Cursor('events', 'a', 5, '12', 100, passed_ms=200, walked_ms=150, iterator='it', issued_ms=1, records=3,
              bytes=30, first='10')
IDLE = Cursor('my.events', 'b', 5)


def test_an_account_tells_of_shards_with_records_and_of_every_position() -> None:
    account = json.loads(report_of(ReaderState(0, cursors=(READ, IDLE)), 1, 4))

    assert account == {'account': {
        'reader': 1, 'readers': 4,
        'shards': {'events/a': {'records': 3, 'bytes': 30, 'first': '10', 'last': '12'}},
        'positions': {'events/a': {'sequence': '12', 'since_ms': 5, 'arrival_ms': 100, 'walked_ms': 150, 'open': True},
                      'my.events/b': {'sequence': None, 'since_ms': 5, 'arrival_ms': 0, 'walked_ms': 0,
                                      'open': True}}}}


@pytest.mark.parametrize(('cursor', 'expected'), [
    (READ, Cursor('events', 'a', 5, '12', 100, walked_ms=150)), (IDLE, IDLE),
    (Cursor('events', 'a', 5, '12', 100, closed=True), Cursor('events', 'a', 5, '12', 100, closed=True))])
def test_a_position_comes_back_as_a_cursor_without_what_does_not_last(cursor: Cursor, expected: Cursor) -> None:
    assert cursor_at(cursor.key, json.loads(json.dumps(position_of(cursor)))) == expected


def test_a_position_that_does_not_say_how_far_reading_walked_is_read_too() -> None:
    position = {name: value for name, value in position_of(READ).items() if name != 'walked_ms'}

    assert cursor_at('events/a', position) == Cursor('events', 'a', 5, '12', 100)
