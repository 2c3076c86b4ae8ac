"""Programs of their own, and what the kernel of the system says of them."""
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
    """CPU seconds of a process that ended, user and system, its peak of resident memory in MiB, and its output."""

    cpu_s: float
    peak_mib: float
    output: str


def run_process(command: Sequence[str], environment: dict[str, str] | None = None) -> Ended:
    """Run a program to its end. Raises RuntimeError with its output where it fails."""
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
    """Give the peak of resident memory of a process so far in MiB, 0 where it has ended.

    What `wait4` and `getrusage` tell of a child is no less than what its parent had when it started it.
    """
    with contextlib.suppress(OSError):
        found = re.search(r'VmHWM:\s+(\d+) kB', pathlib.Path(f'/proc/{pid}/status').read_text())
        return int(found[1]) / 1024 if found else 0.0
    return 0.0


def cpu_of_python(*arguments: str) -> float:
    """Run this Python with these arguments; gives the CPU seconds."""
    return run_process([sys.executable, *arguments]).cpu_s
