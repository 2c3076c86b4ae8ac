"""The options that the job needs on Flink in order not to lose data, and the options that it refuses."""
from __future__ import annotations

from pipeline.errors import RunRefused
from pipeline.options.beam_options import find_arg

#: Without checkpoints Flink ends its sources at once. A bundle that is open during one would silently lose the readers.
SAFE = {
    'checkpointing_interval': '30000', 'checkpointing_mode': 'EXACTLY_ONCE', 'finish_bundle_before_checkpointing': ''}
#: With checkpoints, and without this option, Flink was seen never to end a run with --stop.
BOUNDED = {'shutdown_sources_after_idle_ms': '1000'}


def flink_options(args: list[str], start: str | int | None, on_gap: str, bounded: bool) -> list[str]:
    """Return the options that make Flink safe and are not among the arguments.

    `bounded` is whether the run has a --stop. Raise RunRefused if the arguments turn one of them off.
    """
    mode, interval = find_arg(args, 'checkpointing_mode'), find_arg(args, 'checkpointing_interval')
    if mode and mode.upper() != 'EXACTLY_ONCE':
        raise RunRefused(f"--checkpointing_mode: got '{mode}', must be EXACTLY_ONCE")
    if interval and int(interval) <= 0:
        raise RunRefused(f"--checkpointing_interval: got '{interval}', must be a number of milliseconds above 0")
    if find_arg(args, 'disable_metrics') is not None:
        raise RunRefused('--disable_metrics: must not be given: metrics show this program whether readers are called')
    parallelism = find_arg(args, 'parallelism')
    if parallelism and int(parallelism) < 1:
        raise RunRefused(f"--parallelism: got '{parallelism}', must be a whole number above 0: there are four readers "
                         'for each')
    if find_arg(args, 'allow_non_restored_state') is not None:
        raise RunRefused('--allow_non_restored_state: must not be given: the state that is not restored may be that of '
                         'the readers')
    if find_arg(args, 'job_endpoint') and not find_arg(args, 'flink_master'):
        raise RunRefused('--flink_master: must be given with --job_endpoint: this program watches the job there')
    if find_arg(args, 'savepoint_path'):
        _check_savepoint(args, start, on_gap)
    if not bounded and find_arg(args, 'shutdown_sources_after_idle_ms') is not None:
        raise RunRefused('--shutdown_sources_after_idle_ms: must not be given without --stop: it ends checkpoints')
    needed = {**SAFE, **BOUNDED} if bounded else SAFE
    absent = {name: value for name, value in needed.items() if find_arg(args, name) is None}
    return [f'--{name}={value}' if value else f'--{name}' for name, value in absent.items()]


def _check_savepoint(args: list[str], start: str | int | None, on_gap: str) -> None:
    if start not in (None, 'resume'):
        raise RunRefused(f"--start: got '{start}', must be resume with --savepoint_path, which says where to go on")
    if on_gap == 'skip':
        raise RunRefused("--on_gap: got 'skip', must be fail with --savepoint_path: the readers in it would meet the "
                         'gap again and again')
    if find_arg(args, 'flink_submit_uber_jar') is not None:
        raise RunRefused('--savepoint_path: must not be given with --flink_submit_uber_jar, which ignores it')
