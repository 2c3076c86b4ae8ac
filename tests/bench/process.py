"""Programs of their own, and what the kernel of the system says of them when they end."""
from __future__ import annotations

import os
import pathlib
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import NamedTuple

ROOT = pathlib.Path(__file__).parents[2]


class Ended(NamedTuple):
    """CPU seconds of a process that ended, user and system, its peak of resident memory in MiB, and its output."""

    cpu_s: float
    peak_mib: float
    output: str


def run_process(command: Sequence[str], environment: dict[str, str] | None = None) -> Ended:
    """Run a program to its end. Raises RuntimeError with its output where it fails."""
    with tempfile.TemporaryFile() as output:
        program = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(program.pid, 0)
        program.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read().decode()
    if program.returncode:
        raise RuntimeError(f'{" ".join(command)} ended with {program.returncode}: {text[-2000:]}')
    return Ended(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, text)


def peak_mib() -> float:
    """Give this process's own peak of resident memory in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def cpu_of_python(*arguments: str) -> float:
    """Run this Python with these arguments; gives the CPU seconds."""
    return run_process([sys.executable, *arguments]).cpu_s
