"""`python -m tests.bench`: run the parts, print a table, write JSON."""
from __future__ import annotations

import argparse
import dataclasses
import importlib.metadata
import json
import os
import pathlib
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tests.bench.part_emulated import emulated_rows
from tests.bench.part_growth import growth_rows, prism_rows
from tests.bench.part_gzip import gzip_rows
from tests.bench.part_hostile import hostile_rows
from tests.bench.part_kernel import equality_rows, kernel_rows
from tests.bench.part_memory import memory_rows
from tests.bench.part_start import start_rows
from tests.bench.part_whole import whole_rows
from tests.bench.rounds import Row, say

PACKAGES = ('apache-beam', 'msgspec', 'orjson', 'boto3', 'moto')


def main(argv: Sequence[str]) -> None:
    """Run the measurements. The table goes to stdout, and progress to stderr."""
    parser = argparse.ArgumentParser(prog='./run.sh bench', description=__doc__)
    add = parser.add_argument
    add('parts', nargs='*', metavar='PART', help='kernel, equality, start, whole, emulated, growth, prism, hostile, '
        'gzip or memory (default: all)')
    add('--json', type=pathlib.Path, default=pathlib.Path('build/bench.json'), metavar='FILE',
        help='where to write the results (default: %(default)s)')
    add('--rounds', type=int, default=5, help='rounds of each comparison (default: %(default)s)')
    add('--scale', type=float, default=1.0, help='factor on the number of documents (default: 1)')
    add('--memory_s', type=float, default=60, help='seconds of the memory curve (default: 60)')
    args = parser.parse_args(argv)
    parts = parts_of(args.rounds, args.scale, args.memory_s)
    unknown = set(args.parts) - set(parts)
    if unknown:
        parser.error(f'no such part: {" ".join(sorted(unknown))}')
    summary = machine()
    rows: list[Row] = []
    print(' · '.join(f'{name} {value}' for name, value in summary.items()))
    for name in args.parts or parts:
        say(f'part {name}')
        for row in parts[name]():
            print(line(row), flush=True)
            rows.append(row)
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps({'about': summary, 'rows': [dataclasses.asdict(row) for row in rows]}, indent=1))


def parts_of(rounds: int, scale: float, memory_s: float) -> dict[str, Callable[[], Iterator[Row]]]:
    """Return the parts by name. Parts that start a process for each run have half as many rounds."""
    few = -(-rounds // 2)

    def of(count: int) -> int:
        return max(100, int(count * scale))

    return {
        'kernel': lambda: kernel_rows(of(10_000), rounds), 'equality': lambda: equality_rows(of(20_000)),
        'start': lambda: start_rows(rounds), 'whole': lambda: whole_rows(of(100_000), few),
        'emulated': lambda: emulated_rows(of(100_000), few), 'growth': lambda: growth_rows(of(100_000), few),
        'prism': lambda: prism_rows(of(100_000), few), 'hostile': lambda: hostile_rows(rounds),
        'gzip': lambda: gzip_rows(of(20_000), rounds), 'memory': lambda: memory_rows(memory_s)}


def machine() -> dict[str, Any]:
    """Return the versions, the number of cores and the load of this machine."""
    node = subprocess.run(['node', '--version'], capture_output=True, text=True, check=True).stdout.strip()
    return {'Python': platform.python_version(), 'Node': node,
            **{name: importlib.metadata.version(name) for name in PACKAGES},
            'cores': os.cpu_count(), 'load': ' '.join(f'{load:.1f}' for load in os.getloadavg())}


def line(row: Row) -> str:
    """Format a row of the table."""
    value = f'{row.value:,.2f}'.rstrip('0').rstrip('.')
    return f'{row.part:<9} {row.what:<74} {value + " " + row.unit:>12}  {row.target:<7} {row.note}'.rstrip()


if __name__ == '__main__':
    main(sys.argv[1:])
