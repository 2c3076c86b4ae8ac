"""What `pip install .` asks for."""
from __future__ import annotations

import importlib.metadata
import pathlib
import subprocess
import sys

from packaging.requirements import Requirement

ROOT = pathlib.Path(__file__).parents[1]


def test_every_dependency_has_a_lower_bound_that_is_met_here(tmp_path: pathlib.Path) -> None:
    subprocess.run([sys.executable, 'setup.py', '--quiet', 'egg_info', '--egg-base', str(tmp_path)], cwd=ROOT,
                   check=True, capture_output=True, timeout=50)
    lines = (tmp_path / 'mmp_pipeline.egg-info/requires.txt').read_text().splitlines()
    needs = [Requirement(line) for line in lines if line and line[0] != '[']

    assert {'boto3', 'apache-beam', 'pytest', 'moto'} <= {need.name for need in needs}
    assert [str(need) for need in needs if not {'>=', '=='} & {one.operator for one in need.specifier}] == []
    assert [str(need) for need in needs if need.extras != {'gcp'}
            and not need.specifier.contains(importlib.metadata.version(need.name))] == []
