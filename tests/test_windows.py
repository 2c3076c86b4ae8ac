from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.windows import align_down, align_up, iso, part_of, timestamp_of, utc

FLUSH_MS = 300_000


@pytest.mark.parametrize(('ms', 'down', 'up'), [
    (0, 0, 0), (1, 0, FLUSH_MS), (299_999, 0, FLUSH_MS), (300_000, 300_000, 300_000), (300_001, 300_000, 600_000)])
def test_the_first_millisecond_belongs_to_a_window_and_the_last_one_too(ms: int, down: int, up: int) -> None:
    assert (align_down(ms, FLUSH_MS), align_up(ms, FLUSH_MS)) == (down, up)


@given(st.integers(0, 1 << 45), st.sampled_from([1000, 60_000, FLUSH_MS, 3_600_000]))
def test_windows_tile_time(ms: int, flush_ms: int) -> None:
    start_ms = align_down(ms, flush_ms)

    assert start_ms <= ms < start_ms + flush_ms
    assert align_up(ms, flush_ms) == (ms if ms == start_ms else start_ms + flush_ms)
    assert align_down(ms, 3_600_000) == align_down(start_ms, 3_600_000)


@pytest.mark.parametrize(('before', 'part'), [(0, 0), (9, 0), (10, 1), (19, 1), (20, 2)])
def test_a_part_begins_once_the_flush_size_is_reached(before: int, part: int) -> None:
    assert part_of(before, 10) == part


@pytest.mark.parametrize(('ms', 'text'), [
    (0, '1970-01-01T00:00:00Z'), (1_763_893_500_000, '2025-11-23T10:25:00Z'), (1, '1970-01-01T00:00:00.001Z'),
    (32_503_679_999_999, '2999-12-31T23:59:59.999Z')])
def test_times_are_formatted_in_utc_with_milliseconds_only_if_needed(ms: int, text: str) -> None:
    assert iso(ms) == text


def test_milliseconds_survive_every_conversion() -> None:
    ms = 1_763_893_500_123

    assert timestamp_of(ms).micros == ms * 1000
    assert utc(ms).timestamp() * 1000 == ms
