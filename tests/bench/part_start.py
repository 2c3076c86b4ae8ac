"""Measure the answers to --help and to a wrong option, against importing Beam."""
from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

from tests.bench.process import ROOT, cpu_of_python
from tests.bench.rounds import Row, take_turns


def start_rows(rounds: int) -> Iterator[Row]:
    """Measure whole processes."""
    measured = take_turns({
        'beam': lambda: cpu_of_python('-c', 'import apache_beam'),
        'help': lambda: cpu_of_python('-m', 'pipeline', '--help'),
        'bare': lambda: cpu_of_python('-c', 'pass')}, rounds)
    yield Row('start', '--help against importing Beam', measured.ratio('help', 'beam'), 'x', '<= 1.2',
              f'{measured.median("help"):.2f} s against {measured.median("beam"):.2f} s, Python alone '
              f'{measured.median("bare"):.2f} s')
    wrong = subprocess.run([sys.executable, '-X', 'importtime', '-m', 'pipeline', '--compression', 'best'], cwd=ROOT,
                           capture_output=True, text=True, check=False)
    yield Row('start', 'modules of Beam imported to refuse a wrong option', wrong.stderr.count('apache_beam'), '',
              '= 0', wrong.stderr.splitlines()[-1])
