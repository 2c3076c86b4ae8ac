"""The commands of docs/ and what they say of Flink, against the program."""
from __future__ import annotations

import json
import pathlib
import re
import shlex

import pytest
from apache_beam.options.pipeline_options import FlinkRunnerOptions

from pipeline.options.options import Options, parse_options
from pipeline.runners.flink_options import SAFE
from pipeline.runners.runners import beam_options

DOCS = pathlib.Path(__file__).parents[1] / 'docs'
FLINK, DATAFLOW = ((DOCS / name).read_text() for name in ('flink.md', 'dataflow.md'))


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf'^```{language}\n(.*?)^```$', text, re.MULTILINE | re.DOTALL)


def command(text: str) -> Options:
    """Parse the job's command line in the first shell block."""
    lines = blocks(text, 'sh')[0].replace('\\\n', ' ').splitlines()
    (line,) = (line for line in lines if '--runner' in line)
    return parse_options(shlex.split(re.sub(r'^(\./run\.sh|python -m pipeline) ', '', line)))


@pytest.mark.parametrize('text', [FLINK, DATAFLOW], ids=['flink', 'dataflow'])
def test_the_commands_are_taken_and_no_option_of_theirs_is_refused(text: str) -> None:
    options = command(text)

    assert options.stop is None
    beam_options(options)


def test_the_versions_of_flink_are_those_that_beam_knows() -> None:
    *most, last = FlinkRunnerOptions.PUBLISHED_FLINK_VERSIONS

    assert f'{", ".join(most)} or {last}, named by' in FLINK.replace('\n  ', ' ')


def test_what_the_job_adds_is_told() -> None:
    text = FLINK.partition('what it refuses')[2].partition('| it refuses')[0]
    told = dict(name.partition('=')[::2] for name in re.findall(r'`--([a-z_=0-9A-Z]+)`', text))

    assert {name: told[name] for name in SAFE} == SAFE


def test_the_trust_policy_is_json() -> None:
    (policy,) = blocks(DATAFLOW, 'json')

    assert json.loads(policy)['Statement'][0]['Action'] == 'sts:AssumeRoleWithWebIdentity'
