"""The restriction and its coder, reports of closed windows, positions to and from manifests."""
from __future__ import annotations

import dataclasses

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.kinesis.positions import (
    NEVER,
    VERSION,
    Cursor,
    ReaderId,
    ReaderState,
    ReaderStateCoder,
    cursor_at,
    position_of,
    report_of,
)
from pipeline.source import ShardPosition

READ = Cursor('events', 'a', since_ms=5, sequence='12', arrival_ms=100, passed_ms=200, walked_ms=150, iterator='it',
              issued_ms=1, records=3, bytes=30, first='10')
IDLE = Cursor('my.events', 'b', 5)

_ms = st.integers(0, 1 << 60)
_cursors = st.builds(Cursor, stream=st.text(), shard=st.text(), since_ms=_ms, sequence=st.text('0123456789'),
                     arrival_ms=_ms, passed_ms=_ms, walked_ms=_ms, closed=st.booleans(), iterator=st.text(),
                     issued_ms=_ms, records=_ms, bytes=_ms, first=st.text('0123456789'), unlisted_ms=_ms)
_states = st.builds(ReaderState, window_ms=_ms, stop_ms=st.none() | _ms, listed_ms=_ms,
                    cursors=st.lists(_cursors, max_size=5).map(tuple), done=st.booleans())


@given(_states)
def test_a_decoded_state_is_equal_and_encodes_to_the_same_bytes(state: ReaderState) -> None:
    coder = ReaderStateCoder()
    encoded = coder.encode(state)

    assert coder.decode(encoded) == state
    assert coder.encode(coder.decode(encoded)) == encoded
    assert coder.is_deterministic()


def test_state_of_another_version_is_refused() -> None:
    encoded = ReaderStateCoder().encode(ReaderState(0))

    with pytest.raises(ValueError, match='saved reader state is of version .*--start=resume and no savepoint'):
        ReaderStateCoder().decode(b'\x01' + encoded[1:])
    assert encoded[:1] == VERSION


def test_a_sequence_number_of_129_digits_is_encoded_and_decoded() -> None:
    state = ReaderState(0, cursors=(Cursor('events', 'a', sequence='9' * 129),))

    assert ReaderStateCoder().decode(ReaderStateCoder().encode(state)) == state


def test_no_state_is_falsy() -> None:
    """Beam drops a residual that is falsy."""
    assert all([ReaderState(0), ReaderState(0, done=True), Cursor('', '')])


def test_a_shard_has_reached_the_later_of_its_last_stamp_and_its_last_empty_read() -> None:
    cursor = Cursor('events', 'a', arrival_ms=5, passed_ms=3, walked_ms=99)

    assert cursor.reached_ms == 5
    assert dataclasses.replace(cursor, passed_ms=7).reached_ms == 7
    assert dataclasses.replace(cursor, closed=True).reached_ms == NEVER


def test_with_cursor_replaces_that_shard_only() -> None:
    state = ReaderState(0, cursors=tuple(Cursor('events', name) for name in 'abc'))

    changed = state.with_cursor(Cursor('events', 'b', sequence='1'))

    assert changed.cursors == (state.cursors[0], Cursor('events', 'b', sequence='1'), state.cursors[2])


def test_a_report_has_the_shards_with_records_and_the_position_of_every_shard() -> None:
    report = msgspec.json.decode(report_of(ReaderState(0, cursors=(READ, IDLE)), ReaderId(1, 4)))

    assert report == {
        'row': 'reader', 'reader': 1, 'readers': 4,
        'shards': {'events/a': {'records': 3, 'bytes': 30, 'first': '10', 'last': '12'}},
        'positions': {'events/a': {'sequence': '12', 'since_ms': 5, 'arrival_ms': 100, 'walked_ms': 150, 'open': True},
                      'my.events/b': {'sequence': None, 'since_ms': 5, 'arrival_ms': 0, 'walked_ms': 0,
                                      'open': True}}}


@pytest.mark.parametrize(('cursor', 'expected'), [
    (READ, Cursor('events', 'a', 5, '12', 100, walked_ms=150)), (IDLE, IDLE),
    (Cursor('events', 'a', 5, '12', 100, closed=True), Cursor('events', 'a', 5, '12', 100, closed=True))])
def test_a_position_is_decoded_to_a_cursor_without_iterator_and_counts(cursor: Cursor, expected: Cursor) -> None:
    encoded = msgspec.json.encode(position_of(cursor))

    assert cursor_at(cursor.key, msgspec.json.decode(encoded, type=ShardPosition)) == expected


def test_a_position_without_walked_ms_is_decoded_too() -> None:
    encoded = b'{"sequence":"12","since_ms":5,"arrival_ms":100,"open":true}'

    assert cursor_at('events/a', msgspec.json.decode(encoded, type=ShardPosition)) == Cursor(
        'events', 'a', 5, '12', 100)
