"""What docs/runners.md says of Flink and Dataflow, against the program."""
from __future__ import annotations

import json
import re

import pytest
from apache_beam.options.pipeline_options import FlinkRunnerOptions

from pipeline.options.arguments import RUNNERS as NAMES
from pipeline.options.options import parse_options
from pipeline.runners.flink_options import BOUNDED, SAFE
from pipeline.runners.runners import beam_options
from tests.pages import RUNNERS, blocks, commands, rows, section


@pytest.mark.parametrize('arguments', commands(RUNNERS), ids=' '.join)
def test_no_option_of_a_command_is_refused_by_its_runner(arguments: list[str]) -> None:
    beam_options(parse_options(arguments))


@pytest.mark.parametrize('title', ['Flink', 'Dataflow'])
def test_the_command_of_a_service_is_continuous(title: str) -> None:
    (arguments,) = commands(section(RUNNERS, title))
    options = parse_options(arguments)

    assert (options.runner, options.stop) == (f'{title}Runner', None)


def test_the_runners_are_those_of_the_command_line() -> None:
    assert [row[0].strip('`') for row in rows(section(RUNNERS, 'Runners'))] == list(NAMES)


def test_the_versions_of_flink_are_those_that_beam_knows() -> None:
    *most, last = FlinkRunnerOptions.PUBLISHED_FLINK_VERSIONS

    assert f'{", ".join(most)} or {last}, named by' in RUNNERS.replace('\n  ', ' ')


def test_what_the_job_adds_is_told() -> None:
    text = section(RUNNERS, 'What the job adds and refuses').partition('| it refuses')[0]
    told = dict(name.partition('=')[::2] for name in re.findall(r'`--([a-z_]+(?:=[0-9A-Z_]+)?)`', text))

    assert {name: told[name] for name in (SAFE | BOUNDED) if name != 'finish_bundle_before_checkpointing'} == {
        name: value for name, value in (SAFE | BOUNDED).items() if value}
    assert 'finish_bundle_before_checkpointing' in told


def test_the_trust_policy_is_json() -> None:
    (policy,) = blocks(RUNNERS, 'json')

    assert json.loads(policy)['Statement'][0]['Action'] == 'sts:AssumeRoleWithWebIdentity'
