"""The restriction tracker, behind the wrappers that runners put around it."""
from __future__ import annotations

import dataclasses

import pytest
from apache_beam.runners.sdf_utils import RestrictionTrackerView, ThreadsafeRestrictionTracker
from apache_beam.utils.timestamp import Duration

from pipeline.kinesis.positions import Cursor, ReaderState, ReaderStateCoder
from pipeline.kinesis.tracker import ReaderTracker

FIRST = ReaderState(0, cursors=(Cursor('events', 'a'),))
SECOND = FIRST.with_cursor(Cursor('events', 'a', sequence='1'))
THIRD = dataclasses.replace(SECOND, window_ms=10_000)


def wrapped() -> tuple[ThreadsafeRestrictionTracker, RestrictionTrackerView]:
    tracker = ThreadsafeRestrictionTracker(ReaderTracker(FIRST))
    return tracker, RestrictionTrackerView(tracker)


def test_a_deferred_reader_resumes_at_its_last_claim() -> None:
    tracker, view = wrapped()
    view.try_claim(SECOND)
    view.try_claim(THIRD)
    view.defer_remainder(Duration(2))
    tracker.check_done()

    residual, delay = tracker.deferred_status()

    assert residual == THIRD
    assert 1 < delay.micros / 1e6 <= 2
    assert ReaderStateCoder().decode(ReaderStateCoder().encode(residual)) == THIRD


def test_deferring_without_a_delay_asks_for_a_delay_of_0() -> None:
    tracker, view = wrapped()
    view.try_claim(SECOND)
    view.defer_remainder(None)

    assert tracker.deferred_status()[1].micros == 0


def test_before_the_first_claim_there_is_no_checkpoint() -> None:
    tracker, _ = wrapped()

    assert tracker.try_split(0) is None


def test_a_checkpoint_of_the_runner_stops_further_claims_and_resumes_at_the_last() -> None:
    tracker, view = wrapped()
    view.try_claim(SECOND)
    primary, residual = tracker.try_split(0)

    assert (primary, residual) == (dataclasses.replace(SECOND, done=True), SECOND)
    assert not view.try_claim(THIRD)
    assert tracker.check_done()
    assert tracker.try_split(0) is None


@pytest.mark.parametrize('fraction', [0.01, 0.5, 1.0])
def test_a_reader_is_not_split_in_parts(fraction: float) -> None:
    tracker, view = wrapped()
    view.try_claim(SECOND)

    assert tracker.try_split(fraction) is None
    assert view.try_claim(THIRD)


def test_a_reader_at_its_end_is_not_split() -> None:
    tracker, view = wrapped()
    view.try_claim(dataclasses.replace(THIRD, done=True))

    assert tracker.try_split(0) is None
    assert tracker.check_done()


@pytest.mark.parametrize('claims', [[], [SECOND]])
def test_returning_in_the_middle_of_a_window_is_an_error(claims: list[ReaderState]) -> None:
    tracker, view = wrapped()
    for claim in claims:
        view.try_claim(claim)

    with pytest.raises(ValueError, match='returned in the middle of window 0 without deferring'):
        tracker.check_done()


def test_a_primary_that_was_split_off_is_done_when_it_comes_back() -> None:
    assert ReaderTracker(dataclasses.replace(FIRST, done=True)).check_done()


def test_progress_says_whether_work_is_left() -> None:
    tracker = ReaderTracker(FIRST)
    before = tracker.current_progress().remaining_work
    tracker.try_claim(dataclasses.replace(FIRST, done=True))

    assert (before, tracker.current_progress().remaining_work) == (1, 0)


@pytest.mark.parametrize(('stop_ms', 'bounded'), [(None, False), (0, True), (10_000, True)])
def test_a_reader_with_a_stop_is_bounded(stop_ms: int | None, bounded: bool) -> None:
    assert ReaderTracker(ReaderState(0, stop_ms)).is_bounded() == bounded


def test_progress_before_the_first_output_is_a_number() -> None:
    progress = ReaderTracker(FIRST).current_progress()

    assert progress.with_completed(float('nan')).fraction_completed == 0.0
