"""Kill whatever bears a mark in its environment once standard input ends: `python keeper.py MARK`.

Every process of pytest starts one, see conftest.py, and holds the other end of its standard input. That end closes when
the process ends, also by Ctrl-C, SIGTERM or SIGKILL. What a test starts inherits the mark, so it is found in a session
of its own, and if its parent is dead. Jenkins kills what a build leaves behind in the same way.
"""
from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time

#: It scans until it finds nothing: a process may start another one just before it is killed.
SCANS, PAUSE_S = 100, 0.1


def bearing(mark: str) -> list[int]:
    """Return the processes of this user whose environment has the mark, without this one."""
    rows = subprocess.run(['ps', 'axeww', '-o', 'pid=,command='], stdout=subprocess.PIPE, check=True).stdout
    found = re.findall(rf'^ *(\d+) .*\b{mark}='.encode(), rows, re.MULTILINE)
    return [pid for pid in map(int, found) if pid != os.getpid()]


def main(mark: str) -> None:
    """Wait for the end of standard input, then kill."""
    sys.stdin.read()
    for _ in range(SCANS):
        found = bearing(mark)
        if not found:
            return
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:  # it has ended meanwhile
                pass
        time.sleep(PAUSE_S)


if __name__ == '__main__':
    main(sys.argv[1])
