"""The program: from arguments to an exit code."""
from __future__ import annotations

import atexit
import contextlib
import functools
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from typing import NoReturn, TextIO

from pipeline.errors import GO_ON, PipelineError
from pipeline.gc_tuning import relax_gc
from pipeline.options.options import Options, parse_options
from pipeline.progress import PROGRESS

#: As shells show a program that Ctrl-C ended.
INTERRUPTED = 130
FAILED = 1

#: Loggers that say too much. Beam warns of options of its job server, which are checked here, and of each server that
#: it starts. The AWS SDK logs a traceback if it cannot renew credentials that are still valid; a call fails later.
QUIET = ('apache_beam.options.pipeline_options', 'apache_beam.utils.subprocess_server', 'botocore.credentials')


def main(argv: Sequence[str]) -> int:
    """Run the job. Return the exit code: 0 done, 1 failed or incomplete, 2 refused, 130 interrupted.

    A continuous run that is ended by Ctrl-C or SIGTERM has done its work: 0.
    """
    options = parse_options(argv)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: _interrupted(options))
    try:
        return _run(options)
    except KeyboardInterrupt:
        return _ended(options)


def leave(code: int) -> NoReturn:
    """End the process: a runner's threads may be in the middle of a window, which a resume reads again.

    The exit handlers of runners are called, since these end the processes that the runners started. The last line on
    stderr stays the last one: workers in threads lose their runner meanwhile, and print tracebacks.
    """
    logging.disable(logging.CRITICAL)
    _hush_threads()
    said, sys.stderr = sys.stderr, _nowhere()
    for stop in (said.flush, atexit._run_exitfuncs, sys.stdout.flush):
        with contextlib.suppress(Exception):
            stop()
    os._exit(code)


def _run(options: Options) -> int:
    # Beam and boto3 take a second to import: --help and wrong options answer without them.
    relax_gc()
    from pipeline.run.run import run
    from pipeline.runners.failures import reason_of

    try:
        with _quiet_beam(_runs_here(options.runner)):
            run(options, lambda line: _say(_fitting(line, options.start_over)))
    except Exception as error:
        reason, code = reason_of(error), error.exit_code if isinstance(error, PipelineError) else FAILED
        if reason is None:
            traceback.print_exc()
            reason = f'a bug, see above; {GO_ON}'
        return _failed(_fitting(reason, options.start_over) if code == FAILED else reason, code)
    return 0


def _fitting(line: str, start_over: bool) -> str:
    """Fit the advice of a line to this run: --start=resume does not go on with a replay, nor go with --start_over."""
    if PROGRESS.replays:
        return line.replace('go on with --start=resume', 'run the same command again')
    return line.replace('--start=resume', '--start=resume, without --start_over') if start_over else line


def _say(line: str) -> None:
    try:
        print(line, flush=True)
    except BrokenPipeError:  # nobody listens any more: the run goes on all the same
        sys.stdout = _nowhere()


def _failed(reason: str, code: int) -> int:
    print(f'pipeline: error: {reason}', file=sys.stderr)
    return code


@contextlib.contextmanager
def _quiet_beam(here: bool) -> Iterator[None]:
    """Keep Beam from reporting a failure once a step, in the log and on stderr: all of it is in the exception."""
    logging.basicConfig(level=logging.CRITICAL if here else logging.WARNING,
                        format='%(asctime)s %(levelname)s %(message)s', force=True)
    # A terminal has the progress line; a log has a line a minute of each reader.
    logging.getLogger('pipeline').setLevel(logging.WARNING if os.isatty(2) else logging.INFO)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.ERROR)
    logging.getLogger('PrismJobServer').disabled = True  # Beam sets a level of its own
    with contextlib.redirect_stderr(_nowhere() if here else sys.stderr):
        try:
            yield
        finally:
            _hush_threads()  # before stderr is back: what is said there now must stay the last line


def _hush_threads() -> None:
    """Let threads of a runner that is gone fail unseen: they lose their connections."""
    threading.excepthook = lambda _: None


@functools.cache
def _nowhere() -> TextIO:
    """Open a place for what nobody reads. It is never closed: threads of a dead runner write to it to the very end."""
    return open(os.devnull, 'w')


def _interrupted(options: Options) -> NoReturn:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)  # a second one does not wait for anything
    if _runs_here(options.runner):
        # Beam makes an ordinary error of an exception that is raised in the middle of its work.
        leave(_ended(options))
    raise KeyboardInterrupt  # the job on the cluster is to be cancelled first


def _runs_here(runner: str) -> bool:
    return runner in ('DirectRunner', 'PrismRunner')


def _ended(options: Options) -> int:
    clear = '\r\033[K' if os.isatty(2) else ''
    # Not print: the signal may have come in the middle of one.
    line = _fitting(f'pipeline: ended; {GO_ON}', options.start_over)
    os.write(2, f'{clear}{line}\n'.encode())
    return 0 if options.stop is None else INTERRUPTED
