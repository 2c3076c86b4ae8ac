"""A call that is made outside of a reader, and made again while Kinesis fails for now."""
from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from pipeline.kinesis.errors import PassingError, ReadError

_log = logging.getLogger(__name__)
TRIES = 8
Answer = TypeVar('Answer')


def patiently(call: Callable[[str], Answer], stream: str, sleep: Callable[[float], None] = time.sleep,
              tries: float = TRIES) -> Answer:
    """Make a call again while it fails for now, about a minute long or as often as told; raises ReadError then."""
    failures = 0
    while True:
        try:
            return call(stream)
        except PassingError as error:
            failures += 1
            if failures >= tries:
                raise ReadError(f'Kinesis does not answer for stream {stream} ({error}): {error.reason}') from None
            if failures % TRIES == 0:
                _log.warning('Kinesis does not answer for stream %s (%s), asking again', stream, error)
        sleep(min(20.0, 0.5 * 2 ** min(failures - 1, 10)))
