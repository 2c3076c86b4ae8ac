"""Retention drops unread records during a run: the run fails or skips them, and never commits part of a window."""
from __future__ import annotations

import dataclasses
import pathlib

import pytest

from pipeline.errors import Gap
from pipeline.kinesis import read as read_module
from pipeline.kinesis.api import Page
from pipeline.options.options import Options, parse_options
from pipeline.run import run as run_module
from pipeline.run.run import run
from tests.kinesis.driver import shared_of
from tests.kinesis.fake import DAY_MS, FakeKinesis

HOUR_MS = 3_600_000
A = 'shardId-000000000000'


class Stalled(FakeKinesis):
    """Two days pass during the first GetRecords, and retention is one day."""

    stalled = False

    def records(self, stream: str, shard: str, iterator: str) -> Page:
        if not self.stalled:
            self.stalled = True
            self.now_ms += 2 * DAY_MS
            iterator = self.iterator(stream, shard, '', 1)
            self.put(A, b'{"a":"kept"}')
            self.now_ms += 2 * HOUR_MS
        return super().records(stream, shard, iterator)


@pytest.fixture
def stream(monkeypatch: pytest.MonkeyPatch) -> FakeKinesis:
    fake = Stalled()
    fake.put(A, b'{"a":"lost"}')
    fake.now_ms += 2 * HOUR_MS
    shared = shared_of(fake)
    monkeypatch.setattr(read_module, 'share', lambda *_: shared)
    monkeypatch.setattr(run_module, 'connect', lambda *_: fake)
    return fake


def options_of(output: pathlib.Path, **changes: str | bool) -> Options:
    options = parse_options(['--stream', 'events', '--output', str(output), '--flush_interval_s', '3600',
                             '--stop', 'now', '--aws_region', 'eu-west-1', '--compression', 'none'])
    return dataclasses.replace(options, **changes)  # type: ignore[arg-type]


def lines_of(output: pathlib.Path) -> list[bytes]:
    return [line for path in sorted(output.glob('events/**/*.json')) for line in path.read_bytes().splitlines()]


def test_a_gap_during_a_run_fails_it_and_nothing_is_written_of_incomplete_windows(
        stream: FakeKinesis, tmp_path: pathlib.Path) -> None:
    with pytest.raises(Gap, match='--on_gap=skip goes on after it'):
        run(options_of(tmp_path), print)

    assert lines_of(tmp_path) == []
    assert not list(tmp_path.glob('manifests/**/*.json'))


@pytest.mark.parametrize('start', [{}, {'start': 'earliest', 'start_over': True}], ids=['resume', 'start over'])
def test_a_gap_during_a_run_is_skipped_up_to_the_first_complete_window_and_reported(
        stream: FakeKinesis, tmp_path: pathlib.Path, start: dict[str, str | bool]) -> None:
    printed: list[str] = []
    run(options_of(tmp_path, on_gap='skip', **start), printed.append)

    assert printed[1] == 'retention ran ahead of reading: going on after what is lost'
    assert lines_of(tmp_path) == [b'{"a":"kept"}']
    assert 'is lost in part: went on at' in printed[-1]
    assert 'starting over' not in printed[-1]
