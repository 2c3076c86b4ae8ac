"""The restriction and its coder."""
from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.kinesis.positions import NEVER, VERSION, Cursor, ReaderState, ReaderStateCoder

_ms = st.integers(0, 1 << 60)
_cursors = st.builds(Cursor, stream=st.text(), shard=st.text(), since_ms=_ms, sequence=st.text('0123456789'),
                     arrival_ms=_ms, passed_ms=_ms, walked_ms=_ms, closed=st.booleans(), iterator=st.text(),
                     issued_ms=_ms, records=_ms, bytes=_ms, first=st.text('0123456789'), unlisted_ms=_ms)
_states = st.builds(ReaderState, window_ms=_ms, stop_ms=st.integers(-1, 1 << 60), listed_ms=_ms,
                    cursors=st.lists(_cursors, max_size=5).map(tuple), done=st.booleans())


@given(_states)
def test_a_state_comes_back_equal_and_encodes_to_the_same_bytes_again(state: ReaderState) -> None:
    coder = ReaderStateCoder()
    encoded = coder.encode(state)

    assert coder.decode(encoded) == state
    assert coder.encode(coder.decode(encoded)) == encoded
    assert coder.is_deterministic()


def test_state_of_another_version_is_refused() -> None:
    encoded = ReaderStateCoder().encode(ReaderState(0))

    with pytest.raises(ValueError, match='saved reader state is of version .*--start=resume and no savepoint'):
        ReaderStateCoder().decode(b'\x02' + encoded[1:])
    assert encoded[:1] == VERSION


def test_sequence_numbers_of_129_digits_survive() -> None:
    state = ReaderState(0, cursors=(Cursor('events', 'a', sequence='9' * 129),))

    assert ReaderStateCoder().decode(ReaderStateCoder().encode(state)) == state


def test_no_state_is_falsy() -> None:
    """Beam drops a residual that is."""
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
