"""The limiter: when a key may be asked again after an answer, failures, throttles."""
from __future__ import annotations

import threading

import pytest

from pipeline.kinesis.rate_limiter import Pace


class Clock:
    """Seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_key_never_asked_comes_first_and_at_once() -> None:
    pace = Pace(Clock())
    pace.succeeded('asked', 0)

    assert pace.wait_s('new') == 0
    assert pace.ready_s('new') < pace.ready_s('asked')


def test_after_an_answer_the_key_waits_as_told() -> None:
    clock = Clock()
    pace = Pace(clock)
    pace.succeeded('key', 1.0)
    waited = [pace.wait_s('key')]
    clock.now += 0.4
    waited.append(pace.wait_s('key'))
    clock.now += 5

    assert [*waited, pace.wait_s('key'), pace.wait_s('other')] == pytest.approx([1.0, 0.6, 0, 0])


@pytest.mark.parametrize(('throttled', 'expected'), [
    (False, [0.5, 1, 2, 4, 8, 16, 20, 20]), (True, [1, 1, 2, 4, 5, 5, 5, 5])])
def test_failures_in_a_row_wait_twice_as_long_each_time_within_bounds(throttled: bool, expected: list[float]) -> None:
    pace, waits = Pace(Clock(), jitter=lambda: 1.0), []
    for _ in expected:
        pace.failed('key', throttled)
        waits.append(pace.wait_s('key'))

    assert waits == expected


def test_an_answer_ends_the_row_of_failures() -> None:
    pace = Pace(Clock(), jitter=lambda: 1.0)
    for _ in range(5):
        pace.failed('key', throttled=False)
    pace.succeeded('key', 0)
    pace.failed('key', throttled=False)

    assert pace.wait_s('key') == 0.5


def test_delays_after_failures_are_spread() -> None:
    pace, waits = Pace(Clock()), set()
    for key in range(50):
        pace.failed(key, throttled=False)
        waits.add(pace.wait_s(key))

    assert len(waits) > 25
    assert 0.25 <= min(waits) and max(waits) <= 0.5


def test_threads_do_not_lose_each_others_failures() -> None:
    pace = Pace(Clock(), jitter=lambda: 1.0)
    threads = [threading.Thread(target=lambda: [pace.failed('key', False) for _ in range(2)]) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert pace.wait_s('key') == 0.5 * 2 ** 5
