"""The runbook explains metrics that there are, and counts that manifests have."""
from __future__ import annotations

import re

from tests.pages import OPTIONS, RUNBOOK, rows, section


def test_every_metric_that_it_explains_is_in_the_table_of_all_metrics() -> None:
    known = {(row[0].strip('`'), name) for row in rows(section(RUNBOOK, 'All metrics'))
             for name in re.findall('`([a-z_]+)[ `]', row[1])}
    explained = [(found[0], found[1]) for row in rows(section(RUNBOOK, 'What to watch'))
                 for found in re.findall('`([a-z0-9]+): ([a-z_]+)`', row[0])]

    assert len(explained) > 10
    assert [metric for metric in explained if metric not in known] == []


def test_every_option_that_it_names_is_in_the_table_of_options() -> None:
    options = set(re.findall('--[a-z][a-z0-9_]+', RUNBOOK)) - {'--savepoint_path', '--replicas'}  # Flink's, kubectl's

    assert [option for option in sorted(options) if f'`{option}' not in OPTIONS] == []
