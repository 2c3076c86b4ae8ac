"""run.sh: which Python it takes, where it installs, and whose package it runs.

Nothing is installed. A scripted Python is of the version it is told, writes down what it is asked to do, and makes a
`.venv` whose Python is another such script.
"""
from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
TOOLS = ('bash', 'cat', 'dirname', 'env', 'readlink')
PYTHON = """#!{real} -I
import json, os, pathlib, platform, sys
version, log, words = {version}, pathlib.Path({log!r}), sys.argv[1:]
if words[0] == '-c':
    sys.version_info, platform.python_version = version, lambda: '.'.join(map(str, version))
    exec(words[1])
elif words[:2] == ['-m', 'venv']:
    python = pathlib.Path(words[-1], 'bin', 'python')
    python.parent.mkdir(parents=True)
    python.write_text(pathlib.Path(__file__).read_text())
    python.chmod(0o700)
with log.open('a') as file:
    file.write(json.dumps([pathlib.Path(__file__).name, *words, os.environ.get('PYTHONPATH')]) + '\\n')
"""


class Machine:
    """A checkout and a path of programs with scripted Pythons."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.checkout, self.bin, self.log = folder / 'a checkout', folder / 'bin', folder / 'log'
        for made in (self.checkout, self.bin):
            made.mkdir()
        for name in ('run.sh', 'setup.py'):
            shutil.copy(ROOT / name, self.checkout / name)
        for name in TOOLS:
            (self.bin / name).symlink_to(str(shutil.which(name)))

    def python(self, name: str, *version: int) -> None:
        """Put a Python of a version on the path."""
        self.bin.joinpath(name).write_text(PYTHON.format(real=sys.executable, version=version, log=str(self.log)))
        self.bin.joinpath(name).chmod(0o700)

    def run(self, *words: str, program: pathlib.Path | None = None, **environment: str
            ) -> subprocess.CompletedProcess[str]:
        """Run run.sh, or a link to it."""
        return subprocess.run([program or self.checkout / 'run.sh', *words], text=True, capture_output=True, timeout=50,
                              cwd=self.bin, env={'PATH': str(self.bin), **environment})

    def asked(self) -> list[list[str]]:
        """Return what Pythons were asked since the last time, but for their versions."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return [line for line in lines if line[1] != '-c']


@pytest.fixture
def machine(tmp_path: pathlib.Path) -> Machine:
    return Machine(tmp_path)


def installs(machine: Machine) -> list[str]:
    """Return what was installed since the last time."""
    return [line[-2] for line in machine.asked() if line[1:4] == ['-m', 'pip', 'install']]


@pytest.mark.parametrize('version', [(3, 10, 13), (3, 9, 18), (2, 7, 18)])
def test_a_python_that_is_too_old_is_refused_at_once(machine: Machine, version: tuple[int, ...]) -> None:
    machine.python('python3', *version)

    done = machine.run('--help')

    assert (done.returncode, done.stdout, done.stderr) == (
        2, '', f'Python 3.11 or later is needed, python3 is {".".join(map(str, version))}\n')
    assert machine.asked() == [] and not (machine.checkout / '.venv').exists()


def test_a_python_that_beam_has_no_wheel_for_and_none_at_all_are_refused(machine: Machine) -> None:
    none = machine.run()
    machine.python('python3', 3, 15, 0)
    late = machine.run()

    assert (none.returncode, none.stderr) == (2, 'Python 3.11 or later is needed\n')
    assert (late.returncode, late.stderr) == (2, 'Python 3.11 to 3.14 is needed, python3 is 3.15.0\n')


@pytest.mark.parametrize(('pythons', 'taken'), [
    ({'python3': (3, 11, 7), 'python3.12': (3, 12, 1)}, 'python3'),
    ({'python3': (3, 10, 13), 'python3.12': (3, 12, 1)}, 'python3.12'),
    ({'python3': (3, 9, 18), 'python3.11': (3, 11, 2), 'python3.13': (3, 13, 0)}, 'python3.13'),
    ({'python3': (3, 15, 0), 'python3.14': (3, 14, 0)}, 'python3.14')])
def test_python3_is_taken_or_the_newest_beside_it_that_fits(
        machine: Machine, pythons: dict[str, tuple[int, ...]], taken: str) -> None:
    for name, version in pythons.items():
        machine.python(name, *version)

    assert machine.run('--stream', 'a b').returncode == 0
    assert [line[:-1] for line in machine.asked()] == [
        [taken, '-m', 'venv', '--clear', f'{machine.checkout}/.venv'],
        ['python', '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-e',
         f'{machine.checkout}[local]'],
        ['python', '-P', '-m', 'pipeline', '--stream', 'a b']]


@pytest.mark.parametrize('relative', [True, False])
def test_a_link_leads_to_the_checkout_and_nothing_beside_it_is_touched(
        machine: Machine, tmp_path: pathlib.Path, relative: bool) -> None:
    machine.python('python3', 3, 11, 7)
    theirs = tmp_path / 'theirs'
    (theirs / '.venv').mkdir(parents=True)
    (theirs / 'again').symlink_to('../a checkout/run.sh' if relative else machine.checkout / 'run.sh')
    (theirs / 'run.sh').symlink_to('again' if relative else theirs / 'again')

    assert machine.run(program=theirs / 'run.sh').returncode == 0
    assert machine.asked()[0][4:5] == [f'{machine.checkout}/.venv']
    assert list((theirs / '.venv').iterdir()) == []


def test_it_installs_once_and_again_if_the_checkout_was_moved_or_setup_changed(
        machine: Machine, tmp_path: pathlib.Path) -> None:
    machine.python('python3', 3, 11, 7)
    runs = []
    for _ in range(2):
        machine.run()
        runs.append(installs(machine))
    machine.checkout = machine.checkout.rename(tmp_path / 'moved')
    for _ in range(2):
        machine.run()
        runs.append(installs(machine))
    stamp = (machine.checkout / '.venv/local.stamp').stat().st_mtime
    os.utime(machine.checkout / 'setup.py', (stamp + 1, stamp + 1))
    machine.run()
    runs.append(installs(machine))

    before, after = [f'{tmp_path}/a checkout[local]'], [f'{tmp_path}/moved[local]']
    assert runs == [before, [], after, [], after]


def test_an_installation_that_was_cut_short_is_made_anew(machine: Machine) -> None:
    machine.python('python3', 3, 11, 7)
    machine.run()
    machine.asked()
    (machine.checkout / '.venv/local.stamp').write_text('')

    machine.run()

    assert installs(machine) == [f'{machine.checkout}[local]']


@pytest.mark.parametrize(('words', 'left_out', 'tools'), [
    (['test', '-k', 'a b'], [], ['installed']),
    (['test', '--fast', '-k', 'a b'], ['--ignore=tests/integration', '--hypothesis-profile=fast'], [])],
    ids=['all', 'fast'])
def test_the_fast_tests_are_all_but_those_of_integration_and_need_no_tools(
        machine: Machine, words: list[str], left_out: list[str], tools: list[str]) -> None:
    machine.python('python3', 3, 11, 7)
    install = machine.checkout / 'tests/tools/install.sh'
    install.parent.mkdir(parents=True)
    install.write_text('#!/usr/bin/env bash\necho installed\n')
    install.chmod(0o700)

    done = machine.run(*words)

    assert (done.returncode, done.stdout.splitlines()) == (0, tools)
    assert [line[1:-1] for line in machine.asked()][-3:] == [
        ['-m', 'ruff', 'check'], ['-m', 'mypy'],
        ['-m', 'pytest', '-q', '-n', '2', '--dist', 'loadfile', '--no-loadscope-reorder', *left_out, '-k', 'a b']]


@pytest.mark.parametrize('others', ['', '/others'])
def test_its_own_package_comes_before_all_others_in_workers_too(machine: Machine, others: str) -> None:
    machine.python('python3', 3, 11, 7)

    machine.run(**({'PYTHONPATH': others} if others else {}))

    assert machine.asked()[-1][-1] == f'{machine.checkout}{":" if others else ""}{others}'


def test_another_package_of_the_same_name_is_not_run(machine: Machine, tmp_path: pathlib.Path) -> None:
    other = tmp_path / 'other'
    (other / 'pipeline').mkdir(parents=True)
    (other / 'pipeline/__init__.py').write_text('raise SystemExit("the other package")')
    for name in ('pipeline', 'transforms'):
        shutil.copytree(ROOT / name, machine.checkout / name)
    (machine.checkout / '.venv/bin').mkdir(parents=True)
    (machine.checkout / '.venv/bin/python').write_text(f'#!/usr/bin/env bash\nexec {sys.executable} "$@"\n')
    (machine.checkout / '.venv/bin/python').chmod(0o700)
    (machine.checkout / '.venv/local.stamp').write_text(f'{machine.checkout}\n')

    done = machine.run('--help', PYTHONPATH=str(other))

    assert (done.returncode, done.stdout[:28]) == (0, 'usage: python -m pipeline --')
