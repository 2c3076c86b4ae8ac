from __future__ import annotations

import re

import pytest

from pipeline.options.arguments import argument_parser
from pipeline.options.beam_options import CREDENTIALS

NAMES = """
    --stream --start --start_over --stop --output --errors_output --backup_output --no_backup --compression
    --flush_interval_s --flush_size_mb --slack_s --output_shards --rename --json_field --platform_field --time_field
    --partition_time --max_event_age_days --platforms --on_gap --replace --new_layout --aws_region
    --kinesis_endpoint_url --s3_endpoint_url --s3_region_name --s3_verify --s3_sse --s3_kms_key_id --runner
    --readers --open_job_port""".split()


def test_the_help_shows_every_option_once_in_its_place() -> None:
    assert re.findall('^  (--[a-z0-9_]+)', argument_parser().format_help(), re.MULTILINE) == NAMES


def test_every_option_says_its_default_or_that_it_is_required() -> None:
    parser = argument_parser()

    silent = [action.dest for action in parser._actions
              if not re.search(r'\((default: .+|required.*)\)$', action.help or '')]

    assert silent == ['help', 's3_disable_ssl', *(name[2:] for name in CREDENTIALS)]


def test_the_help_names_its_groups_shows_two_examples_and_says_what_becomes_of_other_options() -> None:
    text = argument_parser().format_help()

    assert re.findall('^([a-zA-Z][a-zA-Z ]*):$', text, re.MULTILINE) == [
        'options', 'what to read', 'where to write', 'when a buffer becomes an object', 'names and partitions',
        'safety', 'AWS', 'runner', 'examples']
    assert text.count('  python -m pipeline --stream') == 2
    assert text.endswith('All other options of Apache Beam and of the runner are passed on to them. Their names and '
                         'types are checked.\n')


def test_the_help_names_no_credential() -> None:
    assert not any(name in argument_parser().format_help() for name in CREDENTIALS)


@pytest.mark.parametrize('name', CREDENTIALS)
@pytest.mark.parametrize('form', ['{} SECRET', '{}=SECRET', '{}', '{}='])
def test_a_credential_is_refused_and_not_repeated(
        name: str, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        argument_parser().parse_known_args(form.format(name).split())

    answer = capsys.readouterr().err
    assert (exit_.value.code, answer.split(':')[2], 'SECRET' in answer) == (2, f' {name}', False)


def test_names_are_not_shortened() -> None:
    args, left = argument_parser().parse_known_args(['--flush_size', '5'])

    assert (args.flush_size_mb, left) == (64, ['--flush_size', '5'])
