"""What the other tests rely on: a wait that says what it waited for, and that nothing outlives the tests."""
from __future__ import annotations

import collections
import contextlib
import os
import pathlib
import signal
import subprocess
import sys

import pytest

from tests.keeper import bearing
from tests.waiting import wait_until

ROOT = pathlib.Path(__file__).parents[1]
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


def test_a_wait_returns_what_it_waited_for() -> None:
    values = iter([None, '', 'there'])

    assert wait_until(lambda: next(values), 'a value', every_s=0) == 'there'


def test_a_wait_in_vain_names_what_it_waited_for_and_the_last_value() -> None:
    with pytest.raises(AssertionError) as error:
        wait_until(lambda: [], 'a manifest', timeout_s=0.01, every_s=0.001)

    assert str(error.value) == 'waited 0.01 s for a manifest, which is still []'


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


def test_no_two_helper_modules_have_one_name() -> None:
    helpers = collections.Counter(
        file.name for folder in ('tests', 'pipeline/local') for file in (ROOT / folder).rglob('*.py')
        if not file.name.startswith(('test_', '__', 'conftest')))

    assert [name for name, count in helpers.items() if count > 1] == []
