from __future__ import annotations

import argparse
import shlex

import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from pipeline.errors import OptionRefused
from pipeline.options.beam_options import FLINK, FLINK_FLAGS, FLINK_NUMBERS, FLINK_TEXTS, check_beam_options

OURS = ['--stream', '--output', '--flush_interval_s']
ON_FLINK = ('--streaming --flink_version=1.19 --flink_master=127.0.0.1:8081 --flink_job_server_jar=x.jar '
            '--environment_type=EXTERNAL --environment_config=127.0.0.1:50000 --checkpointing_interval=2000 '
            '--finish_bundle_before_checkpointing --state_backend=filesystem --max_parallelism 128 '
            '--state_backend_storage_path=file:///checkpoints --parallelism=2 --max_bundle_size=1000 '
            '--max_bundle_time_mills 500 --externalized_checkpoints_enabled --checkpoint_timeout_millis -1 '
            '--retain_externalized_checkpoints_on_cancellation --checkpointing_mode EXACTLY_ONCE')
ON_DATAFLOW = ('--project p --region r --temp_location=gs://b/t --staging_location=gs://b/s --dry_run=True '
               '--experiments=a,b --labels a=b --setup_file ./setup.py --max_num_workers 3')


@pytest.mark.parametrize(('line', 'runner'), [
    ('', 'DirectRunner'), ('--direct_num_workers 1 --streaming', 'DirectRunner'),
    ('--prism_location /bin/prism --prism_log_level=warn', 'PrismRunner'),
    (ON_FLINK, 'FlinkRunner'), (ON_DATAFLOW, 'DataflowRunner'),
    ('--update_compatibility_version 2.76.0 --sdk_harness_log_level_overrides={"a":"DEBUG"}'.replace('"', '\\"'),
     'DataflowRunner')])
def test_options_of_beam_and_the_runner_are_accepted(line: str, runner: str) -> None:
    check_beam_options(shlex.split(line), runner, OURS)


@pytest.mark.parametrize(('line', 'runner', 'answer'), [
    ('--parallelism=two', 'FlinkRunner', "--parallelism: invalid int value: 'two'"),
    ('--parallelism', 'FlinkRunner', '--parallelism: must be followed by a value'),
    ('--checkpointing_interval 5s', 'FlinkRunner', "--checkpointing_interval: invalid int value: '5s'"),
    ('--streaming=true', 'DirectRunner', "--streaming: got 'true', takes no value"),
    ('--streaming true', 'DirectRunner', "'true': is not an option, nor the value of one"),
    ('--finish_bundle_before_checkpointing=false', 'FlinkRunner',
     "--finish_bundle_before_checkpointing: got 'false', takes no value"),
    ('--checkpointing_interval 5', 'DirectRunner',
     '--checkpointing_interval: an option of FlinkRunner, must not be given with --runner DirectRunner'),
    ('--checkpointing_intervall 5', 'FlinkRunner',
     '--checkpointing_intervall: no such option, did you mean --checkpointing_interval?'),
    ('--streem a', 'DirectRunner', '--streem: no such option, did you mean --stream?'),
    ('--qqqqqq a', 'DirectRunner', '--qqqqqq: no such option'),
    ('--s3_session_tokem a', 'DirectRunner', '--s3_session_tokem: no such option'),
    ("'--qqqqqq a'", 'DirectRunner', '--qqqqqq: no such option'),
    ('-x', 'DirectRunner', '-x: no such option'),
    ('-5', 'DirectRunner', "'-5': is not an option, nor the value of one"),
    ('-- x', 'DirectRunner', "'--': is not an option, nor the value of one"),
    ('--transform_name_mapping x', 'DirectRunner', "--transform_name_mapping: invalid loads value: 'x'"),
    ('--gcs_custom_audit_entries x', 'DirectRunner',
     "Beam's own options: Expecting value: line 1 column 1 (char 0)")])
def test_unknown_options_and_wrong_values_are_refused(line: str, runner: str, answer: str) -> None:
    with pytest.raises(OptionRefused) as refused:
        check_beam_options(shlex.split(line), runner, OURS)

    assert str(refused.value) == answer


def test_a_later_options_class_of_beam_is_known_too() -> None:
    class LaterOptions(PipelineOptions):
        @classmethod
        def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
            parser.add_argument('--later_option', type=int)

    check_beam_options(['--later_option', '5'], 'DirectRunner', OURS)
    assert LaterOptions in PipelineOptions.__subclasses__()


def test_each_option_of_the_flink_job_server_is_listed_once() -> None:
    assert len(FLINK) == len(FLINK_FLAGS) + len(FLINK_NUMBERS) + len(FLINK_TEXTS)


def test_every_option_of_the_flink_job_server_is_accepted() -> None:
    texts = {'checkpointing_mode': 'EXACTLY_ONCE'}
    line = [*(f'--{name}' for name in FLINK_FLAGS), *(f'--{name}=1' for name in FLINK_NUMBERS),
            *(f'--{name}={texts.get(name, "x")}' for name in FLINK_TEXTS)]

    check_beam_options(line, 'FlinkRunner', OURS)
