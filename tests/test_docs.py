"""The documentation says what the program does: options, commands, examples and figures are checked against it."""
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

from pipeline.commit.ledger import Ledger
from pipeline.commit.manifests import make_manifest, write_manifest
from pipeline.local.events import sample_records
from pipeline.options.arguments import argument_parser
from pipeline.options.beam_options import _beam_parser, _names
from pipeline.options.options import parse_options
from pipeline.options.types import iso_ms
from pipeline.paths import RESUME, backup_path, error_path, event_path, manifest_path, object_name
from pipeline.stores.base import MemoryStore
from pipeline.write.objects import gzip_bytes
from tests.pages import (
    ARCHITECTURE,
    LAYOUT,
    OPTIONS,
    OURS,
    PAGES,
    README,
    ROOT,
    RUNBOOK,
    blocks,
    command_lines,
    commands,
    headings,
    rows,
    section,
)
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

WINDOW_MS = iso_ms('2026-11-23T10:15:00Z') or 0
NAME = object_name(WINDOW_MS, 0, 0, 1, 'gzip')
#: Options of other programs: of run.sh bench, kubectl, docker, gcloud, aws and Beam's worker pool.
FOREIGN = {'--rounds', '--scale', '--memory_s', '--replicas', '--target', '--build-arg', '--format', '--recursive',
           '--worker_pool', '--service_port', '--drain', '--help', '--fast'}


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


def test_the_options_are_those_of_the_command_line_with_their_defaults_in_its_order() -> None:
    expected = [[f'`{" ".join([action.option_strings[0], *([str(action.metavar)] if action.nargs != 0 else [])])}`',
                 default_of(action)] for action in options()]

    assert [row[:2] for row in rows(section(OPTIONS, 'Options'))] == expected


def test_the_exit_codes_are_those_of_the_help() -> None:
    codes = [row[0] for row in rows(section(OPTIONS, 'Exit codes'))]

    assert codes == re.findall(r'\b(\d+) [a-z]', argument_parser().format_help().partition('exit codes: ')[2])


@pytest.mark.parametrize('arguments', [command for text in PAGES.values() for command in commands(text)], ids=' '.join)
def test_a_command_is_taken(arguments: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'rename.json').write_text(blocks(OPTIONS, 'json')[0])

    assert parse_options(arguments).streams


def test_every_other_command_is_one_of_these_programs_and_runs_tests_that_there_are() -> None:
    others = [line for text in PAGES.values() for line in command_lines(text) if not OURS.match(line)]
    programs = {re.sub(r'^([A-Z_]+=\S+ )+', '', line).split()[0] for line in others}

    assert programs == {'pip', 'docker', 'kubectl', '.venv/bin/python'}
    files = [path for line in others for path in re.findall(r'\S+\.(?:py|yaml)\b', line)]
    assert files and [path for path in files if not (ROOT / path).is_file()] == []


def test_the_command_of_the_demo_is_taken() -> None:
    command = blocks(README, '')[2].partition('$ python -m pipeline')[2].partition('\nreading')[0].replace('\\\n', ' ')

    assert parse_options(shlex.split(command)).flush_interval_s == 1


def test_what_comes_in_goes_out_as_the_first_screen_shows() -> None:
    before, after = blocks(README, '')[:2]
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
    assert section(LAYOUT, 'Objects').partition('```\n')[2].partition('```')[0].splitlines() == [
        event_path(iso_ms('2026-11-20') or 0, 'ios', NAME), error_path('invalid-json', WINDOW_MS, NAME),
        backup_path(WINDOW_MS, NAME), manifest_path(WINDOW_MS), RESUME]


def test_the_error_line_is_one() -> None:
    line = json.loads(section(LAYOUT, 'Error lines').partition('```json\n')[2].partition('```')[0])
    origin = Origin(line['streamName'], line['shardId'], line['sequenceNumber'], line['subSequenceNumber'],
                    line['partitionKey'], line['arrivalTimestamp'])
    rest = split_record(b'{"event_name":"view"}' + base64.b64decode(line['rawData'])).rest

    assert rest
    assert list(json.loads(encode_failure(Failure(origin, 'split', *rest))).items()) == list(line.items())


def test_the_backup_line_is_one() -> None:
    line = json.loads(section(LAYOUT, 'Backup lines').partition('```json\n')[2].partition('```')[0])
    origin = Origin(line['streamName'], line['shardId'], line['sequenceNumber'], 0, line['partitionKey'],
                    line['approximateArrivalTimestamp'])

    assert list(json.loads(encode_raw(origin, base64.b64decode(line['data']))).items()) == list(line.items())


def test_the_error_types_are_all_there_are() -> None:
    assert [row[0] for row in rows(section(LAYOUT, 'Error lines'))] == [f'`{code}`' for code in ERROR_CODES]


@pytest.mark.parametrize('text', [block for text in PAGES.values() for block in blocks(text, 'json')])
def test_json_in_the_documentation_is_json(text: str) -> None:
    assert json.loads(text)


def test_the_manifest_has_the_fields_and_counts_that_the_layout_says() -> None:
    fields, counts = LAYOUT.partition('# Manifests\n')[2].partition('\n| count ')[::2]
    store = MemoryStore()
    write_manifest(store, make_manifest(WINDOW_MS, 300_000, Ledger(), {}, {'errors': '/e'}))
    manifest = json.loads(store[manifest_path(WINDOW_MS)])

    assert sorted(named(rows(section(f'# M\n{fields}', 'M')))) == sorted([*manifest, 'removing'])
    assert sorted(named(rows(counts.partition('\n#')[0]))) == sorted(manifest['counts'])


def named(table: list[list[str]]) -> list[str]:
    """Return the names in the first column of a table."""
    return [name for row in table for name in re.findall('`([^`]+)`', row[0])]


def test_the_query_counts_events_by_hour_platform_and_name(tmp_path: pathlib.Path) -> None:
    path, line = blocks(README, '')[1].splitlines()[:2]
    target = tmp_path / path
    target.parent.mkdir(parents=True)
    target.write_bytes(gzip_bytes(f'{line}\n'.encode()))
    query = blocks(LAYOUT, 'sql')[0].replace("'lake/", f"'{tmp_path}/")

    assert duckdb.sql(query).fetchall() == [('09', 'ios', 'Install', 1)]


def test_the_permissions_are_for_the_calls_that_the_job_makes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv('AWS_PROFILE', raising=False)
    sources = ' '.join(file.read_text() for file in (ROOT / 'pipeline').rglob('*.py') if file.parent.name != 'local')
    called = {f'{service}:{call}' for service in ('kinesis', 's3')
              for method, call in boto3.client(service, 'us-east-1').meta.method_to_api_mapping.items()
              if re.search(rf"client\.{method}\(|'{method}'", sources)}
    statements = json.loads(section(OPTIONS, 'Permissions').partition('```json\n')[2].partition('```')[0])['Statement']
    granted = {action for statement in statements for action in statement['Action']}

    assert granted == called - {'s3:ListObjectsV2'} | {'s3:ListBucket'}


@pytest.mark.parametrize('page', PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for link in re.findall(r'\]\(([^)\s]+)\)', PAGES[page]):
        if '://' in link:
            continue
        path, _, anchor = link.partition('#')
        target = ((ROOT / page).parent / path).resolve() if path else ROOT / page

        assert target.exists(), link
        assert not anchor or anchor in headings(target.read_text(encoding='utf-8')), link


@pytest.mark.parametrize('page', PAGES)
def test_no_two_headings_of_a_page_have_one_anchor(page: str) -> None:
    assert page == 'CHANGELOG.md' or len(set(headings(PAGES[page]))) == len(headings(PAGES[page]))


def test_every_page_is_in_the_table_of_the_readme() -> None:
    assert [page for page in PAGES if page != 'README.md' and f']({page})' not in README] == []


def test_the_readme_stays_a_page() -> None:
    assert len(README.splitlines()) <= 150


@pytest.mark.parametrize('page', PAGES)
def test_every_option_that_a_page_names_is_one(page: str) -> None:
    known = {*FOREIGN, *_names(argument_parser()), *_names(_beam_parser(flink=True))}
    options = set(re.findall(r'(?<![\w-])--[a-z][a-z0-9_-]+', PAGES[page]))

    assert sorted(options - known - {'--flink_job_server_jar'}) == []


def test_the_picture_is_that_of_the_job() -> None:
    steps = [row[0].strip('`') for row in rows(section(ARCHITECTURE, 'The picture'))]
    # The job takes any source; ReadKinesis is the one in the picture.
    labels = ['ReadKinesis', *re.findall(r"'(\w+)' >>", (ROOT / 'pipeline' / 'job.py').read_text())]

    assert steps == [label for label in labels if label in steps]
    assert [step for step in steps if step not in blocks(ARCHITECTURE, '')[0]] == []


def test_the_drawing_has_a_node_for_every_folder() -> None:
    (drawing,) = blocks(ARCHITECTURE, 'mermaid')
    folders = {file.parent.relative_to(ROOT).as_posix() for top in ('pipeline', 'transforms')
               for file in (ROOT / top).rglob('__init__.py')}

    assert set(re.findall(r'\w+\[([\w/]+)\]', drawing)) == folders - {'pipeline'}
    names = set(re.findall(r'(\w+)\[', drawing))
    edges = re.findall(r'^    (\w+)\S* -- .+ --> (\w+)', drawing, re.MULTILINE)
    assert len(edges) == len(drawing.splitlines()) - 1
    assert {name for edge in edges for name in edge} == names


def test_the_map_shows_every_folder() -> None:
    shown = re.findall(r'^- `([\w/]+)/`', section(ARCHITECTURE, 'Folders'), re.MULTILINE)
    folders = [file.parent.relative_to(ROOT).as_posix() for top in ('pipeline', 'transforms')
               for file in (ROOT / top).rglob('__init__.py')]

    assert sorted(set(shown) - {'tests'}) == sorted(folders)
    assert [name for name in re.findall(r'`(\w+\.py)`', section(ARCHITECTURE, 'Folders'))
            if not (ROOT / 'pipeline' / name).is_file()] == []


def test_the_files_of_the_rules_are_there() -> None:
    files = [row[1].strip('`') for row in rows(section(ARCHITECTURE, 'Where each rule is'))]

    assert len(files) > 20 and [file for file in files if not (ROOT / file).is_file()] == []


def test_each_word_is_defined_once() -> None:
    words = re.findall(r'^- \*\*(.+?)\*\*:', section(ARCHITECTURE, 'Glossary'), re.MULTILINE)
    emphasized = re.findall(r'(?<!\*)\*([a-z ]+)\*(?!\*)', ARCHITECTURE.partition('## Glossary')[0])

    assert len(set(words)) == len(words)
    assert [word for word in emphasized if word not in {*words, 'italics'}] == []


def test_every_metric_is_one_that_the_program_counts() -> None:
    sources = ' '.join(file.read_text() for top in ('pipeline', 'transforms') for file in (ROOT / top).rglob('*.py'))
    table = {row[0].strip('`'): set(re.findall('`([a-z_]+)(?: STREAM/SHARD)?`', row[1])) - {'event_value'}
             for row in rows(section(RUNBOOK, 'All metrics'))}
    used = re.findall(f"`({'|'.join(table)}): ([a-z_]+)`", ' '.join(PAGES.values()))

    assert list(table) == ['kinesis', 'split', 'parse', 'flatten', 'rename', 'write', 's3', 'commit'] and used
    assert [name for names in table.values() for name in sorted(names) if not re.search(rf'\b{name}\b', sources)] == []
    assert [(namespace, name) for namespace, name in used if name not in table[namespace]] == []


def test_the_command_that_tests_is_the_one_that_ci_runs() -> None:
    assert '`./run.sh test`' in README and (ROOT / '.ci' / 'run').read_text().endswith(' ./run.sh test\n')


@pytest.mark.parametrize('name', ['run.sh', 'setup.py'])
def test_what_starts_everything_stays_short(name: str) -> None:
    assert len((ROOT / name).read_text().splitlines()) < 40


def test_setup_finds_every_package() -> None:
    folders = {file.parent for top in ('pipeline', 'transforms') for file in (ROOT / top).rglob('*.py')}

    assert "find_packages(include=['pipeline*', 'transforms*'])" in (ROOT / 'setup.py').read_text()
    assert [folder for folder in sorted(folders) if not (folder / '__init__.py').is_file()] == []
