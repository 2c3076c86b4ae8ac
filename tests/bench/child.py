"""Run the whole job in this process: `python -m tests.bench.child JSON` prints the CPU and memory as JSON."""
from __future__ import annotations

import gc
import json
import os
import pathlib
import sys
import time

from tests.bench.documents import documents, records
from tests.bench.memory_kinesis import StubCalls
from tests.bench.process import peak_mib
from tests.bench.whole import run_continuous, run_whole


def main(count: int, shards: int = 4, platforms: int = 6, runner: str = 'DirectRunner') -> None:
    """Run the job on a few documents to warm up, then measure it on `count` documents."""
    run_whole(StubCalls(records(documents('medium', 500, seed=3), 5), shards, 3_000_000))
    calls = StubCalls(records(documents('medium', count, platforms=platforms), 5), shards, 3_000_000)
    gc.collect()
    before_mib, began = peak_mib(), time.process_time()
    if runner == 'PrismRunner':
        run_continuous(calls)
    else:
        run_whole(calls)
    print(json.dumps({'cpu_s': time.process_time() - began, 'peak_mib': peak_mib(), 'before_mib': before_mib,
                      'children_cpu_s': _cpu_of_children()}), flush=True)
    os._exit(0)  # a continuous run does not end by itself


def _cpu_of_children() -> float:
    """Return the CPU seconds of the child processes so far: Prism."""
    ticks = 0
    for stat in pathlib.Path('/proc').glob('[0-9]*/stat'):
        try:
            fields = stat.read_text().rpartition(')')[2].split()
        except OSError:
            continue
        if int(fields[1]) == os.getpid():
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf('SC_CLK_TCK')


if __name__ == '__main__':
    main(**json.loads(sys.argv[1]))
