"""The runbook's commands are taken, and its metrics are those that the README lists."""
from __future__ import annotations

import pathlib
import re
import shlex

import pytest

from pipeline.options.options import parse_options

ROOT = pathlib.Path(__file__).parents[1]
RUNBOOK = (ROOT / 'docs' / 'runbook.md').read_text(encoding='utf-8')
README = (ROOT / 'README.md').read_text(encoding='utf-8')
COMMANDS = re.findall(r'^\./run\.sh (.+)$', RUNBOOK, re.MULTILINE)


@pytest.mark.parametrize('command', COMMANDS)
def test_a_command_is_taken(command: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / 'rename.json').write_text('{"eventName": "event"}')
    monkeypatch.chdir(tmp_path)

    assert parse_options(shlex.split(command)).streams


def test_every_metric_that_it_explains_is_in_the_readme() -> None:
    table = RUNBOOK.partition('# Metrics\n')[2].partition('\n#')[0]
    names = [re.sub('^.*: ', '', name) for name in re.findall(r'`([^`]+)`', '\n'.join(
        line.split(' | ')[0] for line in table.splitlines() if line.startswith('| `')))]

    assert names
    assert [name for name in names if f'`{name}`' not in README and f'`{name} ' not in README] == []


def test_every_option_that_it_names_is_in_the_readme() -> None:
    options = set(re.findall('--[a-z][a-z0-9_]+', RUNBOOK)) - {'--savepoint_path', '--replicas'}  # Flink's, kubectl's

    assert [option for option in sorted(options) if option not in README] == []
