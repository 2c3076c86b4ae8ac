"""Options of Beam and its runners: check them with Beam's own parsers, and find them among arguments."""
from __future__ import annotations

import argparse
import difflib
import logging
import re
from collections.abc import Sequence
from typing import NoReturn

from pipeline.errors import OptionRefused
from pipeline.options.types import plain

#: Beam takes these, but this program refuses them: credentials come from the AWS SDK's default chain.
CREDENTIALS = ('--s3_access_key_id', '--s3_secret_access_key', '--s3_session_token')
#: The options of the Flink job server, from its DescribePipelineOptions. Beam's own parsers do not know them.
FLINK_FLAGS = (
    'allow_non_restored_state', 'attached_mode', 'auto_balance_write_files_sharding_enabled', 'disable_metrics',
    'enable_stable_input_drain', 'externalized_checkpoints_enabled', 'fail_on_checkpointing_errors', 'faster_copy',
    'finish_bundle_before_checkpointing', 'force_unaligned_checkpoint_enabled', 'object_reuse', 'operator_chaining',
    're_iterable_group_by_key_result', 'retain_externalized_checkpoints_on_cancellation',
    'unaligned_checkpoint_enabled')
FLINK_NUMBERS = (
    'auto_watermark_interval', 'checkpoint_timeout_millis', 'checkpointing_interval', 'execution_retry_delay',
    'file_input_split_max_size_m_b', 'job_check_interval_in_secs', 'latency_tracking_interval', 'max_bundle_size',
    'max_bundle_time_mills', 'max_parallelism', 'min_pause_between_checkpoints', 'num_concurrent_checkpoints',
    'number_of_execution_retries', 'parallelism', 'shutdown_sources_after_idle_ms')
FLINK_TEXTS = (
    'checkpointing_mode', 'execution_mode_for_batch', 'flink_conf_dir', 'report_checkpoint_duration', 'savepoint_path',
    'state_backend', 'state_backend_factory', 'state_backend_storage_path')
FLINK = frozenset(f'--{name}' for name in FLINK_FLAGS + FLINK_NUMBERS + FLINK_TEXTS)


def check_beam_options(args: Sequence[str], runner: str, ours: Sequence[str]) -> None:
    """Raise OptionRefused for the first of `args` that neither Beam nor the runner knows, or whose value is wrong.

    `ours` are the names of this program's own options, such as `--stream`: the error suggests one for a misspelt name.
    """
    parser = _beam_parser(flink=runner == 'FlinkRunner')
    try:
        _, unknown = parser.parse_known_args(list(args))
    except (ValueError, TypeError, AttributeError, AssertionError) as error:  # some of Beam's actions raise these
        raise OptionRefused(f"Beam's own options: {error}") from error
    if unknown:
        known = {*ours, *_names(parser)} - {*CREDENTIALS}
        raise OptionRefused(_unknown(unknown[0], runner, sorted(known)))


def import_beam() -> None:
    """Import Beam without the warning that it logs if its extra for Google Cloud is not installed."""
    root = logging.getLogger()
    root.addFilter(_is_wanted)
    try:
        import apache_beam  # noqa: F401
    finally:
        root.removeFilter(_is_wanted)


def _is_wanted(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith('apitools not found')


def _beam_parser(flink: bool) -> argparse.ArgumentParser:
    import_beam()
    from apache_beam.options.pipeline_options import PipelineOptions, _BeamArgumentParser

    class Parser(_BeamArgumentParser):  # type: ignore[misc]
        def error(self, message: str) -> NoReturn:
            raise OptionRefused(plain(message))

    parser = Parser(allow_abbrev=False, add_help=False)
    for options in {str(cls): cls for cls in PipelineOptions.__subclasses__()}.values():
        options._add_argparse_args(parser)
    if flink:
        _add_flink(parser)
    return parser


def _add_flink(parser: argparse.ArgumentParser) -> None:
    for name in sorted(FLINK - _names(parser)):
        if name[2:] in FLINK_FLAGS:
            parser.add_argument(name, action='store_true')
        else:
            parser.add_argument(name, type=int if name[2:] in FLINK_NUMBERS else str)


def _names(parser: argparse.ArgumentParser) -> set[str]:
    return {name for action in parser._actions for name in action.option_strings}


def _unknown(arg: str, runner: str, known: Sequence[str]) -> str:
    if not arg.startswith('-') or re.fullmatch(r'--?|-[0-9.]+', arg):
        return f'{arg!r}: is not an option, nor the value of one'
    name = re.split(r'[=\s]', arg)[0]  # without the value, which may be a secret
    if name in FLINK:
        return f'{name}: an option of FlinkRunner, must not be given with --runner {runner}'
    close = difflib.get_close_matches(name, known, 1, cutoff=0.75)
    name = name if name.isprintable() else repr(name)
    return f'{name}: no such option' + (f', did you mean {close[0]}?' if close else '')


def find_arg(args: Sequence[str], name: str) -> str | None:
    """Return the value of an option among arguments, '' if it has no value, or None if it is absent.

    If it is there more than once, return the last value, as Beam does.

    >>> find_arg(['--parallelism=2', '--streaming', '--parallelism', '4'], 'parallelism')
    '4'
    """
    value = None
    for index, arg in enumerate(args):
        if arg == f'--{name}':
            following = args[index + 1] if index + 1 < len(args) else ''
            value = '' if following.startswith('--') else following
        elif arg.startswith(f'--{name}='):
            value = arg.partition('=')[2]
    return value
