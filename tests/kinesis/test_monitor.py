"""What an operator sees of the readers."""
from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from pipeline.kinesis.monitor import Monitor, line_of
from pipeline.kinesis.positions import Cursor, ReaderId, ReaderState
from pipeline.kinesis.rate_limiter import RateLimiter
from pipeline.progress import PROGRESS
from tests.kinesis.fake import START_MS

STATE = ReaderState(START_MS, cursors=(Cursor('events', 'a'), Cursor('events', 'b', closed=True)))


@pytest.fixture(autouse=True)
def progress() -> Iterator[None]:
    PROGRESS.behind_ms.clear()
    yield
    PROGRESS.behind_ms.clear()


def test_a_line_sums_up_a_reader() -> None:
    counts = {'records': 12345, 'bytes': 6789012, 'windows': 3, 'pages': 7, 'throttles': 2, 'expired_iterators': 1}

    assert line_of(ReaderId(1, 4), STATE, counts, {'events/a': 3210, 'other/c': 99_000}) == (
        'reader 2 of 4 (events): at window 2027-01-15T08:00:00Z, 3.2 s behind the tip, 1 of 2 shards open; since the '
        'last line 12,345 records, 6,789,012 bytes, 3 windows; throttles 2, expired iterators 1')


def test_a_reader_without_shards_or_trouble_says_so() -> None:
    assert line_of(ReaderId(0, 1), ReaderState(START_MS), {}, {}) == (
        'reader 1 of 1 (no shards): at window 2027-01-15T08:00:00Z, 0.0 s behind the tip, 0 of 0 shards open; since '
        'the last line 0 records, 0 bytes, 0 windows')


def test_each_reader_writes_one_line_a_minute_of_what_came_since_the_last(caplog: pytest.LogCaptureFixture) -> None:
    seconds = [0.0]
    monitor = Monitor(RateLimiter(lambda: seconds[0]))
    caplog.set_level(logging.INFO, 'pipeline.kinesis')
    for _ in range(121):
        for reader in range(2):
            monitor.note(ReaderId(reader, 2), STATE, {'records': 10}, {})
        seconds[0] += 1

    lines = [record.getMessage() for record in caplog.records]
    assert [line[:13] for line in lines] == ['reader 1 of 2', 'reader 2 of 2'] * 2
    assert ['610 records' in line for line in lines] == [True, True, False, False]
    assert ['600 records' in line for line in lines] == [False, False, True, True]


def test_how_far_behind_a_shard_is_shows_in_the_progress_line() -> None:
    monitor = Monitor(RateLimiter(lambda: 0.0))
    monitor.note(ReaderId(0, 1), STATE, {}, {'events/a': 5000, 'events/b': 12_300})

    assert '12.3 s behind the tip' in PROGRESS.line()
    monitor.note(ReaderId(0, 1), STATE, {}, {'events/b': 0})
    assert '5.0 s behind the tip' in PROGRESS.line()
