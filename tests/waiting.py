"""The one way in which tests wait for something that another process or thread does."""
from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar('T')
#: Longer than anything takes, also on a machine that does much else: who waits in vain has found a fault.
TIMEOUT_S = 240.0


def wait_until(condition: Callable[[], T], what: str, timeout_s: float = TIMEOUT_S, every_s: float = 0.1) -> T:
    """Return the first value of a condition that is true; raise AssertionError if there is none in time.

    >>> numbers = iter([0, 0, 7])
    >>> wait_until(lambda: next(numbers), 'a number', every_s=0)
    7
    """
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f'waited {timeout_s:g} s for {what}, which is still {value!r}')
        time.sleep(every_s)
    return value
