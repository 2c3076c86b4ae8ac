from __future__ import annotations

import io
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pipeline import main as program
from pipeline.errors import Incomplete, ReadError, RunRefused

ARGS = ['--stream', 'app', '--output', '/tmp/lake', '--stop', 'now']


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


def outcome_of(monkeypatch: pytest.MonkeyPatch, *lines: str, error: BaseException | None = None,
               args: list[str] = ARGS) -> int:
    """Return the exit code of a run that says these lines and then raises that error."""
    def run(_: Any, say: Callable[[str], None]) -> None:
        for line in lines:
            say(line)
        if error:
            raise error

    monkeypatch.setattr('pipeline.run.run.run', run)
    return program.main(args)


def test_what_a_run_says_is_printed(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    assert outcome_of(monkeypatch, 'reading', 'windows 1') == 0
    assert capfd.readouterr() == ('reading\nwindows 1\n', '')


@pytest.mark.parametrize(('error', 'code'), [
    (RunRefused('--start: no'), 2), (ReadError('no access'), 1), (Incomplete('2 windows'), 1),
    (RuntimeError("Traceback\npipeline.errors.StoreError: no bucket [while running 'Put']"), 1)])
def test_a_run_that_fails_says_why_in_one_line(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
                                               error: Exception, code: int) -> None:
    assert outcome_of(monkeypatch, 'reading', error=error) == code
    out, err = capfd.readouterr()
    assert (out, err.count('\n'), err[:17]) == ('reading\n', 1, 'pipeline: error: ')


def test_a_bug_shows_its_traceback(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    assert outcome_of(monkeypatch, error=KeyError('x')) == 1
    err = capfd.readouterr().err
    assert err.startswith('Traceback')
    assert err.endswith("KeyError: 'x'\npipeline: error: a bug, see above; what is committed stays, go on with "
                        '--start=resume\n')


@pytest.mark.parametrize(('args', 'code'), [(ARGS, 130), (ARGS[:4], 0)], ids=['bounded', 'continuous'])
def test_an_interrupted_run_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
                                              args: list[str], code: int) -> None:
    assert outcome_of(monkeypatch, error=KeyboardInterrupt(), args=args) == code
    assert capfd.readouterr().err == 'pipeline: ended; what is committed stays, go on with --start=resume\n'


def test_leaving_runs_what_was_registered_for_the_end_waits_for_no_thread_and_adds_no_line() -> None:
    script = ('import atexit, sys, threading, time, pipeline.main as program\n'
              'atexit.register(print, "stopped")\n'
              'atexit.register(lambda: print("lost", file=sys.stderr))\n'
              'print("pipeline: error: why", file=sys.stderr)\n'
              'threading.Thread(target=time.sleep, args=[60]).start()\n'
              'print("done")\n'
              'program.leave(3)\n')

    job = subprocess.run([sys.executable, '-c', script], text=True, capture_output=True, timeout=50)

    assert (job.returncode, job.stdout.split(), job.stderr) == (3, ['done', 'stopped'], 'pipeline: error: why\n')


@pytest.mark.parametrize(('args', 'err'), [
    ([], 'pipeline: error: --stream and --output: must be given; see --help\n'),
    ([*ARGS, '--flush_interval_s', '7'], "pipeline: error: --flush_interval_s: got '7', must be a whole number of "
                                         'seconds that divides 3600, such as 60, 300 or 900; see --help\n')])
def test_a_wrong_command_line_is_answered_by_one_line(args: list[str], err: str) -> None:
    job = subprocess.run([sys.executable, '-m', 'pipeline', *args], text=True, capture_output=True)

    assert (job.returncode, job.stdout, job.stderr) == (2, '', err)


def test_a_run_whose_lines_nobody_reads_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError
    monkeypatch.setattr(sys, 'stdout', Closed())
    monkeypatch.setattr(program, '_nowhere', io.StringIO)

    assert outcome_of(monkeypatch, 'reading', 'windows 1') == 0
