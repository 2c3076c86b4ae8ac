from __future__ import annotations

import json
import shlex

import pytest

from pipeline.local import show
from pipeline.local.accounting import Row
from pipeline.local.contents import Contents

FOLDER = 'year=2026/month=11/day=23/hour=10'


def test_a_command_line_ends_between_options_and_can_be_typed() -> None:
    options = [word for number in range(12) for word in (f'--option_{number}', f'value {number}')] + ['--flag']

    lines = list(show.command_line(options))

    assert max(map(len, lines)) <= show.WIDTH
    assert [line[-1] for line in lines] == ['\\'] * (len(lines) - 1) + ['g']
    assert shlex.split('\n'.join(lines).replace('\\\n', '')) == ['$', 'python', '-m', 'pipeline', *options]
    assert all(line.lstrip().startswith('--') for line in lines[1:])


def test_the_tree_has_a_row_for_each_folder_and_one_for_the_platforms_of_an_hour() -> None:
    lines = {f'backup/{FOLDER}/a': [b'{}'] * 1200, f'errors/too-deep/{FOLDER}/a': [b'{}'],
             f'events/{FOLDER}/platform=web/a': [b'{}'], f'events/{FOLDER}/platform=web/b': [b'{}'] * 2,
             f'events/{FOLDER}/platform=ios/a': [b'{}'] * 4}
    contents = Contents({'manifests/year=2026/a.json': b'{}', 'resume.json': b'{}'}, lines)

    assert [line.split() for line in show.tree('s3://lake/mobile/', contents)] == [
        ['s3://lake/mobile/'], [f'events/{FOLDER}/platform=', 'ios', '4', 'web', '3'],
        [f'errors/too-deep/{FOLDER}/', '1'], [f'backup/{FOLDER}/', '1,200'],
        ['manifests/,', 'resume.json', '1', 'flush', 'windows']]


def test_a_long_text_is_cut_into_rows_and_loses_nothing() -> None:
    text = 'x' * 200 + 'y'

    rows = list(show.labelled('after', f'{text}\nnext'))

    assert [row[:show.LABEL] for row in rows] == ['after    ', ' ' * 9, ' ' * 9]
    assert ''.join(row[show.LABEL:] for row in rows) == f'{text}next' and max(map(len, rows)) == show.WIDTH


def test_an_error_line_is_decoded() -> None:
    line = {'errorCode': 'invalid-json', 'errorMessage': 'no valid JSON', 'rawData': '/3sK', 'fragmentOffset': 1434,
            'sequenceNumber': '4', 'shardId': 'shardId-1'}

    assert list(show.error_line(json.dumps(line).encode())) == [
        'error    invalid-json: no valid JSON (byte 1,434 of record 4, shardId-1)', "rawData  /3sK = b'\\xff{\\n'"]


@pytest.mark.parametrize(('row', 'line'), [
    (Row('records', 12345, 12345, 12345, True), ['records', '12,345', '12,345', '12,345', 'equal']),
    (Row('records', 3, 2, 3, False), ['records', '3', '2', '3', 'DIFFERENT']),
    (Row('objects', None, 2, 2, True), ['objects', '2', '2', 'equal']),
])
def test_counts_say_whether_they_agree(row: Row, line: list[str]) -> None:
    head, body = show.counts([row])

    assert (head.split(), body.split()) == (['put', 'in', 'manifests', 'in', 'objects'], line)


def test_a_table_is_aligned() -> None:
    assert list(show.table(['a', 'bb'], [['ccc', '1'], ['d', '1,000']])) == [
        'a       bb', 'ccc      1', 'd    1,000']


def test_a_section_heading_has_the_whole_width() -> None:
    (line,) = show.section('Counts')

    assert line == '-- Counts ' + '-' * (show.WIDTH - 10)
