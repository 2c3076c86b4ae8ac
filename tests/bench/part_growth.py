"""Measure ten times the documents, shards and platforms, and the continuous run on Prism."""
from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Iterator
from typing import Any

from tests.bench.process import run_process
from tests.bench.rounds import Row, say


def growth_rows(count: int, rounds: int) -> Iterator[Row]:
    """Measure the CPU per document against a tenth of the documents, and with more shards and platforms."""
    cases = {'tenth': {'count': count // 10}, 'base': {'count': count}, 'shards': {'count': count, 'shards': 40},
             'platforms': {'count': count, 'platforms': 60}}
    runs = {name: [_child(name, **case) for _ in range(rounds)] for name, case in cases.items()}
    each = {name: _cpu(took) / cases[name]['count'] * 1e6 for name, took in runs.items()}
    for what, name, before in (('documents', 'base', 'tenth'), ('shards', 'shards', 'base'),
                               ('platforms', 'platforms', 'base')):
        peak = max(run['peak_mib'] - run['before_mib'] for run in runs[name])
        yield Row('growth', f'10 times the {what}: CPU a document against before', each[name] / each[before], 'x',
                  '<= 1.2', f'{each[name]:.1f} us against {each[before]:.1f}; {peak:.0f} MiB above the start')


def prism_rows(count: int, rounds: int) -> Iterator[Row]:
    """Measure the continuous job on Prism against the bounded one on FnApiRunner, with one reader and 16 shards."""
    direct = [_child('bounded', count=count, shards=16) for _ in range(rounds)]
    prism = [_child('prism', count=count, shards=16, runner='PrismRunner') for _ in range(rounds)]
    yield Row('prism', 'continuous on Prism against bounded on FnApiRunner, CPU of the Python process',
              _cpu(prism) / _cpu(direct), 'x', '<= 2',
              f'{_cpu(prism) / count * 1e6:.1f} us a document against {_cpu(direct) / count * 1e6:.1f}; Prism itself '
              f'{statistics.median(run["children_cpu_s"] for run in prism) / count * 1e6:.1f}')


def _child(name: str, **case: Any) -> Any:
    say(f'child: {name}')
    ended = run_process([sys.executable, '-m', 'tests.bench.child', json.dumps(case)])
    return json.loads(ended.output.splitlines()[-1])


def _cpu(runs: list[Any]) -> float:
    return statistics.median(run['cpu_s'] for run in runs)
