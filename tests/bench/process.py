"""Run other programs, and read their CPU and memory from the operating system."""
from __future__ import annotations

import contextlib
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import NamedTuple

ROOT = pathlib.Path(__file__).parents[2]
SAMPLE_S = 0.02


class Ended(NamedTuple):
    """The CPU seconds (user and system) of an ended process, its peak resident memory in MiB, and its output."""

    cpu_s: float
    peak_mib: float
    output: str


def run_process(command: Sequence[str], environment: dict[str, str] | None = None) -> Ended:
    """Run a program to its end. Raise RuntimeError with its output if it fails."""
    with tempfile.TemporaryFile() as output:
        program = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)
        ended, peak = 0, 0.0
        while not ended:
            peak = max(peak, peak_mib(program.pid))
            ended, status, usage = os.wait4(program.pid, os.WNOHANG)
            time.sleep(SAMPLE_S)
        program.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read().decode()
    if program.returncode:
        raise RuntimeError(f'{" ".join(command)} ended with {program.returncode}: {text[-2000:]}')
    return Ended(usage.ru_utime + usage.ru_stime, peak, text)


def peak_mib(pid: int | str = 'self') -> float:
    """Return the peak resident memory of a process so far in MiB, or 0 if it has ended.

    `wait4` and `getrusage` would not do: for a child they report at least the memory of its parent at the start.
    """
    with contextlib.suppress(OSError):
        found = re.search(r'VmHWM:\s+(\d+) kB', pathlib.Path(f'/proc/{pid}/status').read_text())
        return int(found[1]) / 1024 if found else 0.0
    return 0.0


def cpu_of_python(*arguments: str) -> float:
    """Run this Python with these arguments. Return its CPU seconds."""
    return run_process([sys.executable, *arguments]).cpu_s
