"""When a key may be asked again after an answer, a failure or a throttle."""
from __future__ import annotations

import threading

import pytest

from pipeline.kinesis.rate_limiter import RateLimiter


class Clock:
    """A clock that tests move, in seconds."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_key_that_was_never_asked_comes_first_and_may_be_asked_now() -> None:
    limiter = RateLimiter(Clock())
    limiter.succeeded('asked', 0)

    assert limiter.wait_s('new') == 0
    assert limiter.ready_s('new') < limiter.ready_s('asked')


def test_after_an_answer_the_key_waits_for_its_delay() -> None:
    clock = Clock()
    limiter = RateLimiter(clock)
    limiter.succeeded('key', 1.0)
    waited = [limiter.wait_s('key')]
    clock.now += 0.4
    waited.append(limiter.wait_s('key'))
    clock.now += 5

    assert [*waited, limiter.wait_s('key'), limiter.wait_s('other')] == pytest.approx([1.0, 0.6, 0, 0])


@pytest.mark.parametrize(('throttled', 'expected'), [
    (False, [0.5, 1, 2, 4, 8, 16, 20, 20]), (True, [1, 1, 2, 4, 5, 5, 5, 5])])
def test_the_delay_doubles_with_each_failure_in_a_row_within_bounds(throttled: bool, expected: list[float]) -> None:
    limiter, waits = RateLimiter(Clock(), jitter=lambda: 1.0), []
    for _ in expected:
        limiter.failed('key', throttled)
        waits.append(limiter.wait_s('key'))

    assert waits == expected


def test_an_answer_resets_the_delay_after_failures() -> None:
    limiter = RateLimiter(Clock(), jitter=lambda: 1.0)
    for _ in range(5):
        limiter.failed('key', throttled=False)
    limiter.succeeded('key', 0)
    limiter.failed('key', throttled=False)

    assert limiter.wait_s('key') == 0.5


def test_delays_after_failures_have_jitter() -> None:
    limiter, waits = RateLimiter(Clock()), set()
    for key in range(50):
        limiter.failed(key, throttled=False)
        waits.add(limiter.wait_s(key))

    assert len(waits) > 25
    assert 0.25 <= min(waits) and max(waits) <= 0.5


def test_failures_of_several_threads_are_all_counted() -> None:
    limiter = RateLimiter(Clock(), jitter=lambda: 1.0)
    threads = [threading.Thread(target=lambda: [limiter.failed('key', False) for _ in range(2)]) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert limiter.wait_s('key') == 0.5 * 2 ** 5
