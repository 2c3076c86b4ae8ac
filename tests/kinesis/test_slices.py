"""Slices end at the same window for all readers."""
from __future__ import annotations

from collections.abc import Iterator

import pytest

from pipeline.kinesis.slices import Slice, close_slice, has_ended, note_window, open_slice


@pytest.fixture
def current() -> Iterator[Slice]:
    yield open_slice('slice', 100)
    close_slice('slice')


def test_a_slice_ends_at_the_window_that_exceeds_its_bytes(current: Slice) -> None:
    assert [note_window('slice', 0, end_ms, 40) for end_ms in (10, 20, 30)] == [False, False, True]
    assert current.end_ms == 30


def test_all_readers_end_at_the_window_of_the_reader_that_is_furthest(current: Slice) -> None:
    note_window('slice', 0, 40, 10)

    assert not note_window('slice', 1, 10, 100)
    assert current.end_ms == 40
    assert [note_window('slice', 1, end_ms, 0) for end_ms in (20, 30, 40)] == [False, False, True]
    assert [has_ended('slice', window_ms) for window_ms in (30, 40, 50)] == [False, True, True]


def test_without_a_slice_nothing_ends() -> None:
    assert not note_window('none', 0, 10, 1 << 40)
    assert not has_ended('none', 10)


def test_a_closed_slice_is_forgotten(current: Slice) -> None:
    close_slice('slice')

    assert not note_window('slice', 0, 10, 1000)
