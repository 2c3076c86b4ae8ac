"""What each runner is told beside the user's own options, and the modes that would break what the job promises."""
from __future__ import annotations

import pathlib
import shutil
import sys

from apache_beam.options.pipeline_options import PipelineOptions, WorkerOptions

from pipeline.options import Options
from pipeline.settings import RunRefused

#: Without checkpoints Flink ends its sources at once; a bundle open across one would lose the readers in silence.
FLINK_SAFE = {
    'checkpointing_interval': '30000', 'checkpointing_mode': 'EXACTLY_ONCE', 'finish_bundle_before_checkpointing': '',
    'number_of_execution_retries': '10', 'execution_retry_delay': '2000'}
READERS_PER_WORKER = 4


def runs_here(options: Options) -> bool:
    """Tell whether the run is DirectRunner's: bounded slices in this process."""
    return options.runner == 'DirectRunner'


def beam_options(options: Options) -> PipelineOptions:
    """Give Beam its options, and those that make the runner safe. Raises RunRefused where one is turned off."""
    args = list(options.beam_args)
    if not runs_here(options):
        args.append('--streaming')
    if options.runner == 'PrismRunner' and not _given(args, 'prism_location'):
        args += [f'--prism_location={path}' for path in _prism()]
    if options.runner == 'FlinkRunner':
        args += _flink(args)
    if options.runner == 'DataflowRunner' and any('streaming_mode_at_least_once' in arg for arg in args):
        raise RunRefused('--dataflow_service_options: streaming_mode_at_least_once must not be given: the job needs '
                         'exactly-once mode')
    return PipelineOptions(args)


def readers_of(options: Options, beam: PipelineOptions) -> int:
    """Give the number of readers: as told, else one in this process and four a worker elsewhere."""
    if options.readers:
        return options.readers
    if options.runner == 'FlinkRunner':
        return READERS_PER_WORKER * int(_given(list(options.beam_args), 'parallelism') or 1)
    if options.runner == 'DataflowRunner':
        workers = beam.view_as(WorkerOptions)
        return READERS_PER_WORKER * int(workers.max_num_workers or workers.num_workers or 1)
    return 1


def _flink(args: list[str]) -> list[str]:
    mode, interval = _given(args, 'checkpointing_mode'), _given(args, 'checkpointing_interval')
    if mode and mode.upper() != 'EXACTLY_ONCE':
        raise RunRefused(f"--checkpointing_mode: got '{mode}', must be EXACTLY_ONCE")
    if interval and int(interval) <= 0:
        raise RunRefused(f"--checkpointing_interval: got '{interval}', must be a number of milliseconds above 0")
    finish = _given(args, 'finish_bundle_before_checkpointing')
    if finish and finish.lower() == 'false':
        raise RunRefused("--finish_bundle_before_checkpointing: got 'false', must not be turned off: a checkpoint in "
                         'the first bundle would lose the readers')
    absent = {name: value for name, value in FLINK_SAFE.items() if _given(args, name) is None}
    return [f'--{name}={value}' if value else f'--{name}' for name, value in absent.items()]


def _given(args: list[str], name: str) -> str | None:
    """Find an option's value among arguments, '' for a bare one, None where it is absent."""
    for place, arg in enumerate(args):
        if arg == f'--{name}':
            following = args[place + 1] if place + 1 < len(args) else ''
            return '' if following.startswith('--') else following
        if arg.startswith(f'--{name}='):
            return arg.partition('=')[2]
    return None


def _prism() -> list[str]:
    """Find Prism beside this Python or on the path; Beam would download it."""
    beside = pathlib.Path(sys.executable).parent / 'prism'
    found = str(beside) if beside.exists() else shutil.which('prism')
    return [found] if found else []
