"""What each runner is told beside the user's own options, and the modes that would break what the job promises."""
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
from pipeline.options.beam_options import given
from pipeline.options.options import Options
from pipeline.runners.flink_api import FlinkMaster
from pipeline.runners.flink_options import flink_options
from pipeline.runners.flink_watch import watching

READERS_PER_WORKER = 4
SERVICES = ('FlinkRunner', 'DataflowRunner')
NAME_CHARS = 63
#: Beam waits that long for the end of a job on Prism (for its state, it says), by default five minutes: ten years.
LONG_S = 315_360_000


def runs_here(options: Options) -> bool:
    """Tell whether the run is DirectRunner's: bounded slices in this process."""
    return options.runner == 'DirectRunner'


def runs_alone(options: Options) -> bool:
    """Tell whether the job goes on without this process: a continuous one on Dataflow."""
    return options.runner == 'DataflowRunner' and options.stop is None


def runs_dry(beam: PipelineOptions) -> bool:
    """Tell whether Dataflow is only to be told of the job's graph (Beam's `--dry_run`): nothing may be changed then."""
    return bool(beam.view_as(TestOptions).dry_run)


def beam_options(options: Options) -> PipelineOptions:
    """Give Beam its options, and those that make the runner safe. Raises RunRefused where one is turned off."""
    args = list(options.beam_args)
    if not runs_here(options):
        args.append('--streaming')
    if options.runner in SERVICES and not given(args, 'job_name'):
        args.append(f'--job_name={job_name(options.output)}')
    if options.runner == 'PrismRunner':
        args += _prism(args)
    if options.runner == 'FlinkRunner':
        args += flink_options(args, options.start, options.on_gap, bounded=options.stop is not None)
    built = PipelineOptions(args)
    if options.runner == 'DataflowRunner':
        _check_dataflow(args, built.view_as(WorkerOptions))
    elif runs_dry(built):
        raise RunRefused('--dry_run: must go with --runner DataflowRunner: elsewhere the job would run')
    if runs_here(options):
        _check_direct(built.view_as(DirectOptions))
    return built


def job_name(output: str) -> str:
    """Name a job after where it writes: two that would write the same are told from one another.

    >>> job_name('s3://lake/mobile')
    'mmp-pipeline-s3-lake-mobile'
    """
    name = re.sub('[^a-z0-9]+', '-', f'mmp-pipeline-{output}'.lower())
    return name[:NAME_CHARS].strip('-')


def check_runner(options: Options, beam: PipelineOptions) -> None:
    """Ask the cluster whether the job can run there safely; raises RunRefused, or FlinkError where it does not answer.
    """
    if options.runner == 'DataflowRunner' and importlib.util.find_spec('apitools') is None:
        raise RunRefused("--runner: DataflowRunner needs Beam's extra for Google Cloud: pip install '.[gcp]'")
    master = _flink_master(options, beam)
    if not master:
        return
    name = beam.view_as(GoogleCloudOptions).job_name
    job = master.find(name)
    if job:
        raise RunRefused(f'--job_name: job {job} of the name {name} runs on {master.url} already: cancel it there, or '
                         'give another --job_name')
    if given(options.beam_args, 'state_backend_storage_path') is None and not master.has_storage():
        raise RunRefused('--state_backend_storage_path: must be given, with --state_backend: the cluster sets no '
                         'execution.checkpointing.dir, and checkpoints in memory neither hold a window nor outlive a '
                         'JobManager')


def watched(options: Options, beam: PipelineOptions) -> AbstractContextManager[None]:
    """Give what is to surround the run of a pipeline: on a Flink cluster someone watches the job, and ends it."""
    master = _flink_master(options, beam)
    return watching(master, beam.view_as(GoogleCloudOptions).job_name) if master else contextlib.nullcontext()


def readers_of(options: Options, beam: PipelineOptions) -> int:
    """Give the number of readers: as told, else one in this process and four a worker elsewhere."""
    if options.readers:
        return options.readers
    if options.runner == 'FlinkRunner':
        return READERS_PER_WORKER * int(given(options.beam_args, 'parallelism') or 1)
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
    """FnApiRunner closes windows too early where several workers, even of one process, share the readers."""
    if direct.direct_num_workers != 1:
        raise RunRefused(f"--direct_num_workers: got '{direct.direct_num_workers}', must be 1")
    if direct.direct_running_mode != 'in_memory':
        raise RunRefused(f"--direct_running_mode: got '{direct.direct_running_mode}', must be in_memory")


def _flink_master(options: Options, beam: PipelineOptions) -> FlinkMaster | None:
    """Give the cluster that the job is submitted to; none for the one inside of a job server, or for a jar."""
    if options.runner != 'FlinkRunner':
        return None
    from apache_beam.runners.portability.flink_runner import MAGIC_HOST_NAMES  # imports requests, for 40 ms

    address = beam.view_as(FlinkRunnerOptions).flink_master
    return None if address in MAGIC_HOST_NAMES else FlinkMaster(address)


def _prism(args: list[str]) -> list[str]:
    """Find Prism beside this Python or on the path, where Beam would download it; and let a run take its time."""
    beside = pathlib.Path(sys.executable).parent / 'prism'
    found = str(beside) if beside.exists() else shutil.which('prism')
    told = {'prism_location': found, 'job_server_timeout': LONG_S}
    return [f'--{name}={value}' for name, value in told.items() if value and given(args, name) is None]
