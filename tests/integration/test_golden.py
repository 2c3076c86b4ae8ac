"""The whole job on the records of tests/data: exactly these keys and lines."""
from __future__ import annotations

import collections
import json
from collections.abc import Iterator
from typing import Any

import pytest

from pipeline.local.servers import LocalAws
from tests.integration.golden import DATA, golden_lake, golden_records
from transforms import rename_fields

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope='module')
def lines() -> Iterator[dict[str, list[Any]]]:
    with LocalAws() as aws:
        yield golden_lake(aws)


def test_keys_and_lines_are_those_of_the_golden_file(lines: dict[str, list[Any]]) -> None:
    expected = json.loads((DATA / 'golden.json').read_text(encoding='utf-8'))

    assert list(lines) == list(expected)
    for path in expected:
        assert lines[path] == expected[path], path


def test_the_golden_file_holds_what_the_tables_of_malformed_data_say() -> None:
    """The file was printed by the job, so check it against the tables."""
    golden = json.loads((DATA / 'golden.json').read_text(encoding='utf-8'))
    rows = [json.loads(line) for line in (DATA / 'malformed.ndjson').read_text(encoding='utf-8').split('\n')[:-1]]
    events = collections.Counter(line for path, found in golden.items() if path.startswith('events/') for line in found)
    good = collections.Counter(json.dumps(rename_fields(document), separators=(',', ':'), ensure_ascii=False)
                               for row in rows if not row['policy'] for document in row['good'])
    short = collections.Counter({line: count for line, count in good.items() if len(line) <= 200})

    assert short - events == collections.Counter()
    assert sum(map(len, (found for path, found in golden.items() if path.startswith('backup/')))) == len(
        golden_records())


def test_the_example_of_the_mission_is_in_it() -> None:
    golden = json.loads((DATA / 'golden.json').read_text(encoding='utf-8'))
    path = 'events/year=2022/month=06/day=21/hour=00/platform=unknown/WINDOW-p00000-00000-of-00001.json.gz'
    after = [json.loads(line) for line in (DATA / 'seed_after.ndjson').read_text().splitlines()]

    assert [list(json.loads(line).items()) for line in golden[path][:2]] == [list(line.items()) for line in after]
