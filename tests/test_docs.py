"""The README says what the program does: its options, commands, examples and figures are checked against it."""
from __future__ import annotations

import argparse
import base64
import json
import pathlib
import re
import shlex
from collections.abc import Iterator

import boto3
import duckdb
import pytest

from pipeline.local.events import sample_records
from pipeline.options.arguments import argument_parser
from pipeline.options.options import parse_options
from pipeline.options.types import iso_ms
from pipeline.paths import RESUME, backup_path, error_path, event_path, manifest_path, object_name
from pipeline.write.objects import gzip_bytes
from transforms import (
    ERROR_CODES,
    Failure,
    Origin,
    encode_event,
    encode_failure,
    encode_raw,
    flatten_event,
    parse_event,
    rename_fields,
    split_record,
)

ROOT = pathlib.Path(__file__).parents[1]
README = (ROOT / 'README.md').read_text(encoding='utf-8')
WINDOW_MS = iso_ms('2026-11-23T10:15:00Z') or 0
NAME = object_name(WINDOW_MS, 0, 0, 1, 'gzip')


def blocks(language: str) -> list[str]:
    """Return the code blocks of one language, '' for those of none."""
    found = re.findall(r'^```(\w*)\n(.*?)^```$', README, re.MULTILINE | re.DOTALL)
    return [text for name, text in found if name == language]


def section(title: str) -> str:
    """Return the text under a heading, up to the next heading of any level."""
    return README.partition(f'# {title}\n')[2].partition('\n#')[0]


def rows(text: str) -> list[list[str]]:
    """Return the cells of a table, without its head."""
    lines = [line for line in text.splitlines() if line.startswith('| ')]
    return [[cell.strip() for cell in line.strip('|').split(' | ')] for line in lines[1:]]


def options() -> Iterator[argparse.Action]:
    """Return the options that --help shows."""
    return (action for action in argument_parser()._actions
            if action.help != argparse.SUPPRESS and action.dest != 'help')


def default_of(action: argparse.Action) -> str:
    """Return what --help says of the default."""
    text = (action.help or '') % {'default': action.default}
    found = re.search(r'\((?:default: (.+)|(required).*)\)$', text)
    assert found, text
    return found[1] or found[2]


def commands() -> list[str]:
    """Return the command lines in shell blocks."""
    return [line for block in blocks('sh') for line in block.splitlines() if not line.startswith('#')]


def test_the_options_are_those_of_the_command_line_with_their_defaults_in_its_order() -> None:
    expected = [[f'`{" ".join([action.option_strings[0], *([str(action.metavar)] if action.nargs != 0 else [])])}`',
                 default_of(action)] for action in options()]

    assert [row[:2] for row in rows(section('Options'))[:len(expected)]] == expected


def test_the_exit_codes_are_those_of_the_help() -> None:
    codes = [row[0] for row in rows(section('Options')) if row[0].isdigit()]

    assert codes == re.findall(r'\b(\d+) [a-z]', argument_parser().format_help().partition('exit codes: ')[2])


@pytest.mark.parametrize('command', commands())
def test_a_command_is_taken(command: str, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'rename.json').write_text(blocks('json')[0])
    program, *arguments = shlex.split(command)

    assert program == './run.sh' and parse_options(arguments).streams


def test_the_command_of_the_demo_is_taken() -> None:
    command = blocks('')[2].partition('$ python -m pipeline')[2].partition('\nreading')[0].replace('\\\n', ' ')

    assert parse_options(shlex.split(command)).flush_interval_s == 1


def test_what_comes_in_goes_out_as_the_first_screen_shows() -> None:
    before, after = blocks('')[:2]
    split = split_record(before.rstrip('\n').encode())
    events = [rename_fields(flatten_event(parse_event(document))) for document in split.documents]
    folders = [event_path(iso_ms('2026-11-23T09:00Z') or 0, 'ios', NAME),
               event_path(iso_ms('2026-11-23T10:00Z') or 0, 'web', NAME)]

    assert split.rest is None
    assert after.splitlines() == [line for folder, event in zip(folders, events, strict=True)
                                  for line in (folder, encode_event(event).decode())]


def test_the_demo_puts_as_many_events_as_the_first_screen_says() -> None:
    samples = list(sample_records(5000, WINDOW_MS))
    documents = sum(len(sample.ids) for sample in samples)

    assert f'{documents:,} sample events in {len(samples):,} records' in README
    assert f'bytes      {sum(len(sample.data) for sample in samples):,}' in README


def test_the_layout_shows_paths_as_the_job_makes_them() -> None:
    assert section('Layout').partition('```\n')[2].partition('```')[0].splitlines() == [
        event_path(iso_ms('2022-06-21') or 0, 'ios', NAME), error_path('invalid-json', WINDOW_MS, NAME),
        backup_path(WINDOW_MS, NAME), manifest_path(WINDOW_MS), RESUME]


def test_the_error_line_is_one() -> None:
    line = json.loads(section('Error lines').partition('```json\n')[2].partition('```')[0])
    origin = Origin(line['streamName'], line['shardId'], line['sequenceNumber'], line['subSequenceNumber'],
                    line['partitionKey'], line['arrivalTimestamp'])
    rest = split_record(b'{"event_name":"view"}' + base64.b64decode(line['rawData'])).rest

    assert rest
    assert list(json.loads(encode_failure(Failure(origin, 'split', *rest))).items()) == list(line.items())


def test_the_backup_line_is_one() -> None:
    line = json.loads(section('Backup lines').partition('```json\n')[2].partition('```')[0])
    origin = Origin(line['streamName'], line['shardId'], line['sequenceNumber'], 0, line['partitionKey'],
                    line['approximateArrivalTimestamp'])

    assert list(json.loads(encode_raw(origin, base64.b64decode(line['data']))).items()) == list(line.items())


def test_the_error_types_are_all_there_are() -> None:
    assert [row[0] for row in rows(section('Error lines'))] == [f'`{code}`' for code in ERROR_CODES]


@pytest.mark.parametrize('text', blocks('json'))
def test_json_in_the_readme_is_json(text: str) -> None:
    assert json.loads(text)


def test_the_query_counts_events_by_hour_platform_and_name(tmp_path: pathlib.Path) -> None:
    path, line = blocks('')[1].splitlines()[:2]
    target = tmp_path / path
    target.parent.mkdir(parents=True)
    target.write_bytes(gzip_bytes(f'{line}\n'.encode()))
    query = blocks('sql')[0].replace("'lake/", f"'{tmp_path}/")

    assert duckdb.sql(query).fetchall() == [('09', 'ios', 'Install', 1)]


def test_the_permissions_are_for_the_calls_that_the_job_makes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv('AWS_PROFILE', raising=False)
    sources = ' '.join(file.read_text() for file in (ROOT / 'pipeline').rglob('*.py') if file.parent.name != 'local')
    called = {f'{service}:{call}' for service in ('kinesis', 's3')
              for method, call in boto3.client(service, 'us-east-1').meta.method_to_api_mapping.items()
              if re.search(rf"client\.{method}\(|'{method}'", sources)}
    statements = json.loads(section('Permissions').partition('```json\n')[2].partition('```')[0])['Statement']
    granted = {action for statement in statements for action in statement['Action']}

    assert granted == called - {'s3:ListObjectsV2'} | {'s3:ListBucket'}


def test_links_lead_somewhere() -> None:
    places = re.findall(r'\]\(([^)]+)\)', README)
    headings = {f'#{title.lower().replace(" ", "-")}' for title in re.findall('^#+ (.+)$', README, re.MULTILINE)}

    assert [place for place in places if place not in headings and not (ROOT / place).is_file()] == []


def test_the_command_that_tests_is_the_one_that_ci_runs() -> None:
    assert '`./run.sh test`' in README and (ROOT / '.ci' / 'run').read_text().endswith(' ./run.sh test\n')


@pytest.mark.parametrize('name', ['run.sh', 'setup.py'])
def test_what_starts_everything_stays_short(name: str) -> None:
    assert len((ROOT / name).read_text().splitlines()) < 40


def test_every_package_is_named_in_setup() -> None:
    packages = sorted('.'.join(file.parent.relative_to(ROOT).parts)
                      for top in ('pipeline', 'transforms') for file in (ROOT / top).rglob('__init__.py'))
    named = re.search(r'packages=\[(.*?)\]', (ROOT / 'setup.py').read_text())

    assert named and sorted(re.findall("'(.*?)'", named[1])) == packages
