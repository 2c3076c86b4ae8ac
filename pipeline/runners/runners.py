"""What each runner needs besides the user's own options. Refuse the modes in which the job would lose data."""
from __future__ import annotations

import contextlib
import importlib.util
import pathlib
import re
import shutil
import sys
from contextlib import AbstractContextManager

from apache_beam.options.pipeline_options import (
    DirectOptions,
    FlinkRunnerOptions,
    GoogleCloudOptions,
    PipelineOptions,
    TestOptions,
    WorkerOptions,
)

from pipeline.errors import RunRefused
from pipeline.options.beam_options import find_arg
from pipeline.options.options import Options
from pipeline.runners.flink_api import FlinkMaster
from pipeline.runners.flink_options import flink_options
from pipeline.runners.flink_watch import watching

READERS_PER_WORKER = 4
SERVICES = ('FlinkRunner', 'DataflowRunner')
NAME_CHARS = 63
#: Ten years. Beam waits this long for the end of a job on Prism; its default is five minutes.
LONG_S = 315_360_000


def runs_here(runner: str) -> bool:
    """Return whether the job runs in this process, in bounded slices."""
    return runner == 'DirectRunner'


def runs_alone(options: Options) -> bool:
    """Return whether the job continues without this process: Dataflow, without --stop."""
    return options.runner == 'DataflowRunner' and options.stop is None


def runs_dry(beam: PipelineOptions) -> bool:
    """Return whether the job is only to be checked by Dataflow (Beam's `--dry_run`). Then nothing may be changed."""
    return bool(beam.view_as(TestOptions).dry_run)


def beam_options(options: Options) -> PipelineOptions:
    """Return the options for Beam, with those that make the runner safe.

    Raise RunRefused if the user's options turn one of them off.
    """
    args = list(options.beam_args)
    if not runs_here(options.runner):
        args.append('--streaming')
    if options.runner in SERVICES and not find_arg(args, 'job_name'):
        args.append(f'--job_name={job_name(options.output)}')
    if options.runner == 'PrismRunner':
        args += _prism(args)
    if options.runner == 'FlinkRunner':
        args += flink_options(args, options.start, options.on_gap, bounded=options.stop is not None)
    built = PipelineOptions(args)
    if options.runner == 'DataflowRunner':
        _check_dataflow(args, built.view_as(WorkerOptions))
    elif runs_dry(built):
        raise RunRefused('--dry_run: must go with --runner DataflowRunner: other runners would run the job')
    if runs_here(options.runner):
        _check_direct(built.view_as(DirectOptions))
    return built


def job_name(output: str) -> str:
    """Return a job's name, made from its output. Two jobs that would write to the same output have the same name.

    >>> job_name('s3://lake/mobile')
    'mmp-pipeline-s3-lake-mobile'
    """
    name = re.sub('[^a-z0-9]+', '-', f'mmp-pipeline-{output}'.lower())
    return name[:NAME_CHARS].strip('-')


def check_runner(options: Options, beam: PipelineOptions) -> None:
    """Raise RunRefused if the job cannot run on its runner, or FlinkError if the cluster does not answer."""
    if options.runner == 'DataflowRunner' and importlib.util.find_spec('apitools') is None:
        raise RunRefused("--runner: DataflowRunner needs Beam's extra for Google Cloud: pip install '.[gcp]'")
    master = _flink_master(options.runner, beam)
    if not master:
        return
    name = beam.view_as(GoogleCloudOptions).job_name
    job = master.find(name)
    if job:
        raise RunRefused(f'--job_name: job {job} with the name {name} is already running on {master.url}: cancel it '
                         'there, or give another --job_name')
    if find_arg(options.beam_args, 'state_backend_storage_path') is None and not master.has_storage():
        raise RunRefused('--state_backend_storage_path: must be given, with --state_backend: the cluster does '
                         'not set execution.checkpointing.dir, and checkpoints in memory are too small for a window '
                         'and are lost with the JobManager')


def watched(runner: str, beam: PipelineOptions) -> AbstractContextManager[None]:
    """Return a context manager for the run. On a Flink cluster it watches the job, and cancels it at the end."""
    master = _flink_master(runner, beam)
    return watching(master, beam.view_as(GoogleCloudOptions).job_name) if master else contextlib.nullcontext()


def readers_of(options: Options, beam: PipelineOptions) -> int:
    """Return the number of readers: --readers, or one in this process and on Prism, and four per worker elsewhere."""
    if options.readers:
        return options.readers
    if options.runner == 'FlinkRunner':
        return READERS_PER_WORKER * int(find_arg(options.beam_args, 'parallelism') or 1)
    if options.runner == 'DataflowRunner':
        workers = beam.view_as(WorkerOptions)
        return READERS_PER_WORKER * int(workers.max_num_workers or workers.num_workers or 1)
    return 1


def _check_dataflow(args: list[str], workers: WorkerOptions) -> None:
    if any('streaming_mode_at_least_once' in arg for arg in args):
        raise RunRefused('--dataflow_service_options: streaming_mode_at_least_once must not be given: the job needs '
                         'exactly-once mode')
    for name in ('num_workers', 'max_num_workers'):
        count = getattr(workers, name)
        if count is not None and count < 1:
            raise RunRefused(f"--{name}: got '{count}', must be a whole number above 0")


def _check_direct(direct: DirectOptions) -> None:
    """Refuse several workers: FnApiRunner closes windows too early if they share the readers, even in one process."""
    if direct.direct_num_workers != 1:
        raise RunRefused(f"--direct_num_workers: got '{direct.direct_num_workers}', must be 1")
    if direct.direct_running_mode != 'in_memory':
        raise RunRefused(f"--direct_running_mode: got '{direct.direct_running_mode}', must be in_memory")


def _flink_master(runner: str, beam: PipelineOptions) -> FlinkMaster | None:
    """Return the Flink cluster to which the job is submitted, or None if it runs inside the job server or elsewhere."""
    if runner != 'FlinkRunner':
        return None
    from apache_beam.runners.portability.flink_runner import MAGIC_HOST_NAMES  # imports requests, for 40 ms

    address = beam.view_as(FlinkRunnerOptions).flink_master
    return None if address in MAGIC_HOST_NAMES else FlinkMaster(address)


def _prism(args: list[str]) -> list[str]:
    """Return options for the path of Prism, which Beam would otherwise download, and a time-out that ends no run.

    Prism is found in the folder of this Python, or on the path.
    """
    neighbour = pathlib.Path(sys.executable).parent / 'prism'
    found = str(neighbour) if neighbour.exists() else shutil.which('prism')
    needed = {'prism_location': found, 'job_server_timeout': LONG_S}
    return [f'--{name}={value}' for name, value in needed.items() if value and find_arg(args, name) is None]
