"""Whole runs on a scripted stream: what is written again holds what it held, byte for byte."""
from __future__ import annotations

import pathlib
import shutil
import time
from collections.abc import Iterator

import pytest

from pipeline.errors import ReadError
from pipeline.kinesis.shared import share
from pipeline.run.run import run
from pipeline.windows import iso
from tests.command_lines import options_of
from tests.kinesis.fake import FakeKinesis

SHARD = 'shardId-000000000000'
MINUTE = 60_000
START_MS = 488_889 * 60 * MINUTE  # 2025-10-09T09:00:00Z
WINDOW_2 = '20251009T090200Z'


class Ticking(FakeKinesis):
    """A stream whose clock goes on by itself, and can be put forward."""

    def __init__(self) -> None:
        super().__init__(now_ms=START_MS)

    @property
    def now_ms(self) -> float:  # type: ignore[override]
        return self._set_ms + (time.monotonic() - self._began) * 1000

    @now_ms.setter
    def now_ms(self, now_ms: float) -> None:
        self._began, self._set_ms = time.monotonic(), now_ms


class Lake:
    """An output, and the stream that is written to it in windows of a minute."""

    def __init__(self, fake: Ticking, output: pathlib.Path) -> None:
        self.fake, self.output = fake, output

    def run(self, *args: str) -> None:
        run(options_of('--stream', 'events', '--output', str(self.output), '--flush_interval_s', '60',
                       '--compression', 'none', '--aws_region', 'eu-west-1', *args), lambda line: None)

    def files(self) -> dict[str, bytes]:
        """Return objects, manifests and resume.json by their paths; the latter two without positions."""
        return {str(path.relative_to(self.output)): path.read_bytes().split(b'"positions"')[0]
                for path in sorted(self.output.rglob('*.json'))}

    def windows_of(self, text: bytes) -> list[str]:
        """Return the windows of the objects under events/ that hold the text."""
        return [path.rsplit('/', 1)[-1][:16] for path, data in self.files().items()
                if path.startswith('events/') and text in data]


@pytest.fixture(scope='module')
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    """An output of an hour. Its record 2 arrived in window 0, and readers saw it after that was committed."""
    fake = Ticking()
    lake = Lake(fake, tmp_path_factory.mktemp('first'))
    with pytest.MonkeyPatch.context() as patch:
        for module in ('pipeline.run.run', 'pipeline.kinesis.shared'):
            patch.setattr(f'{module}.connect', lambda *_: fake)
        share.cache_clear()
        fake.put(SHARD, b'{"n": 1}')
        fake.put(SHARD, b'{"n": "overtaken"}', delay_ms=30 * MINUTE)
        fake.now_ms = START_MS + 131_000
        lake.run('--stop', iso(START_MS + 2 * MINUTE))
        fake.now_ms = START_MS + 200_000
        fake.put(SHARD, b'{"n": 3}')
        fake.now_ms = START_MS + 70 * MINUTE
        lake.run('--stop', iso(START_MS + 60 * MINUTE))
        yield lake
        share.cache_clear()


@pytest.fixture
def lake(first: Lake, tmp_path: pathlib.Path) -> Lake:
    """A copy of that output."""
    shutil.copytree(first.output, tmp_path / 'lake')
    copied = Lake(first.fake, tmp_path / 'lake')
    assert copied.windows_of(b'"n":"overtaken"') == [WINDOW_2]
    return copied


def test_windows_that_are_checked_stay_as_they_are(lake: Lake) -> None:
    before = lake.files()

    lake.run('--start', iso(START_MS), '--stop', iso(START_MS + 4 * MINUTE))

    assert lake.files() == before


def test_an_output_that_lost_resume_goes_on_with_what_was_overtaken(lake: Lake) -> None:
    before = lake.files()
    (lake.output / 'resume.json').unlink()

    lake.run('--start', iso(START_MS + 2 * MINUTE), '--stop', iso(START_MS + 60 * MINUTE))

    assert lake.files() == before


def test_a_longer_flush_interval_and_back_loses_and_doubles_nothing(lake: Lake) -> None:
    before = lake.files()
    whole = ('--replace', '--start', iso(START_MS), '--stop', iso(START_MS + 60 * MINUTE), '--flush_interval_s')

    lake.run(*whole, '120')
    assert lake.windows_of(b'"n":"overtaken"') == [WINDOW_2]
    lake.run(*whole, '60')

    assert lake.files() == before


def test_a_window_whose_record_has_expired_stays_as_it_is(lake: Lake) -> None:
    before, now_ms = lake.files(), lake.fake.now_ms
    lake.fake.now_ms = START_MS + MINUTE // 2 + lake.fake.retention_ms

    with pytest.raises(ReadError, match='window 2025-10-09T09:02:00Z is committed with record 2 of events/'):
        lake.run('--start', iso(START_MS + 2 * MINUTE), '--stop', iso(START_MS + 4 * MINUTE))

    lake.fake.now_ms = now_ms
    assert lake.files() == before
