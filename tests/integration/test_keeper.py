"""However a run of the tests ends, what they have started ends with it."""
from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import subprocess
import sys

import pytest

from tests.keeper import bearing
from tests.waiting import wait_until

ROOT = pathlib.Path(__file__).parents[2]
#: A server in a session of its own, which starts another process in one.
SERVER = """
import pathlib, subprocess, sys, time
subprocess.Popen(['sleep', '600'], start_new_session=True)
pathlib.Path(sys.argv[1]).touch()
time.sleep(600)
"""
SESSION = """
import pathlib, subprocess, sys, time

def test_that_takes_long():
    here = pathlib.Path(__file__)
    subprocess.Popen([sys.executable, here.with_name('server.py'), here.with_suffix('.up')], start_new_session=True)
    time.sleep(600)
"""


@pytest.mark.timeout(300)
@pytest.mark.parametrize(('way', 'workers'), [('SIGINT', 1), ('SIGINT', 2), ('SIGTERM', 2), ('SIGKILL', 1)])
def test_nothing_that_a_test_has_started_outlives_it(tmp_path: pathlib.Path, way: str, workers: int) -> None:
    (tmp_path / 'server.py').write_text(SERVER)
    for number in range(workers):
        (tmp_path / f'test_{number}.py').write_text(SESSION)
    options = ['-n', str(workers), '--dist', 'loadfile'] if workers > 1 else []
    mark = f'MMP_PROBE_{os.getpid()}_{tmp_path.name}'.replace('-', '_')
    command = [sys.executable, '-m', 'pytest', '-p', 'tests.conftest', '-p', 'no:cacheprovider', *options, '.']
    tests = subprocess.Popen(command, cwd=tmp_path, env={**os.environ, 'PYTHONPATH': str(ROOT), mark: '1'},
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        wait_until(lambda: len(list(tmp_path.glob('*.up'))) == workers, 'the servers')
        assert len(bearing(mark)) >= 3 * workers

        if way == 'SIGINT':  # by Ctrl-C, which a terminal sends to all processes of the run
            os.killpg(tests.pid, signal.SIGINT)
        else:
            tests.send_signal(getattr(signal, way))

        wait_until(lambda: not bearing(mark), f'the end of what bears {mark}', timeout_s=60)
        tests.communicate(timeout=60)
    finally:
        for pid in bearing(mark):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
