"""The options of Flink without which the job could lose data there, and those that it must not be given."""
from __future__ import annotations

from pipeline.errors import RunRefused
from pipeline.options.beam_options import given

#: Without checkpoints Flink ends its sources at once; a bundle open across one would lose the readers in silence.
SAFE = {
    'checkpointing_interval': '30000', 'checkpointing_mode': 'EXACTLY_ONCE', 'finish_bundle_before_checkpointing': ''}
#: With checkpoints Flink never ends the element that readers start from, nor a run with --stop: seen.
BOUNDED = {'shutdown_sources_after_idle_ms': '1000'}


def flink_options(args: list[str], start: str | int | None, on_gap: str, bounded: bool) -> list[str]:
    """Give what makes Flink safe and is absent from the arguments. Raises RunRefused where one is turned off."""
    mode, interval = given(args, 'checkpointing_mode'), given(args, 'checkpointing_interval')
    if mode and mode.upper() != 'EXACTLY_ONCE':
        raise RunRefused(f"--checkpointing_mode: got '{mode}', must be EXACTLY_ONCE")
    if interval and int(interval) <= 0:
        raise RunRefused(f"--checkpointing_interval: got '{interval}', must be a number of milliseconds above 0")
    if given(args, 'disable_metrics') is not None:
        raise RunRefused('--disable_metrics: must not be given: metrics tell this program that readers are called')
    parallelism = given(args, 'parallelism')
    if parallelism and int(parallelism) < 1:
        raise RunRefused(f"--parallelism: got '{parallelism}', must be a whole number above 0: there are four readers "
                         'for each')
    if given(args, 'allow_non_restored_state') is not None:
        raise RunRefused('--allow_non_restored_state: must not be given: what is not restored may be the readers')
    if given(args, 'job_endpoint') and not given(args, 'flink_master'):
        raise RunRefused('--flink_master: must be given with --job_endpoint: this program watches the job there')
    if given(args, 'savepoint_path'):
        _check_savepoint(args, start, on_gap)
    if not bounded and given(args, 'shutdown_sources_after_idle_ms') is not None:
        raise RunRefused('--shutdown_sources_after_idle_ms: must not be given without --stop: it ends checkpoints')
    needed = {**SAFE, **BOUNDED} if bounded else SAFE
    absent = {name: value for name, value in needed.items() if given(args, name) is None}
    return [f'--{name}={value}' if value else f'--{name}' for name, value in absent.items()]


def _check_savepoint(args: list[str], start: str | int | None, on_gap: str) -> None:
    if start not in (None, 'resume'):
        raise RunRefused(f"--start: got '{start}', must be resume with --savepoint_path, which says where to go on")
    if on_gap == 'skip':
        raise RunRefused("--on_gap: got 'skip', must be fail with --savepoint_path: the readers in it would meet the "
                         'gap again and again')
    if given(args, 'flink_submit_uber_jar') is not None:
        raise RunRefused('--savepoint_path: must not be given with --flink_submit_uber_jar, which ignores it')
