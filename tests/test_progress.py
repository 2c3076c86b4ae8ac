from __future__ import annotations

import io
import sys
import threading

import pytest

from pipeline import progress
from pipeline.progress import PROGRESS, Progress, ProgressLine


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_line_says_how_far_the_run_has_come() -> None:
    assert Progress(12_345, 7, {'a': 0, 'b': 3_210}).line() == (
        '12,345 records read, 3.2 s behind the tip, 7 windows committed')


def test_before_the_first_read_nothing_is_behind() -> None:
    assert Progress().line() == '0 records read, 0.0 s behind the tip, 0 windows committed'


def test_nothing_is_written_to_a_log() -> None:
    out = io.StringIO()

    with ProgressLine(out):
        pass

    assert out.getvalue() == ''


def test_nothing_is_written_without_stderr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, '__stderr__', None)

    with ProgressLine():
        pass


def test_a_terminal_shows_one_line_and_clears_it_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = threading.Event()
    monkeypatch.setattr(progress, 'EVERY_S', 0.001)
    monkeypatch.setattr(PROGRESS, 'line', lambda: shown.set() or 'so far', raising=False)
    out = Terminal()

    with ProgressLine(out):
        assert shown.wait(30)

    lines = out.getvalue().split('\r\033[K')
    assert (lines[0], lines[1], lines[-1]) == ('', 'so far', '')
