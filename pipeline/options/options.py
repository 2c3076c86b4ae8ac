"""Options: the command line, parsed and checked once, as one frozen value."""
from __future__ import annotations

import argparse
import dataclasses
import datetime
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pipeline.errors import OptionRefused
from pipeline.options.arguments import ArgumentParser, argument_parser
from pipeline.options.beam_options import check_beam_options, import_beam
from pipeline.options.rename_file import rules_of
from pipeline.options.types import Stream, check_streams, shown

if TYPE_CHECKING:
    from transforms.parse import JsonFields
    from transforms.rules import Rules

__all__ = ['Options', 'Stream', 'parse_options']


@dataclasses.dataclass(frozen=True)
class Options:
    """The options of a run. Times are epoch milliseconds, aligned down to a flush window.

    `start` may also be `resume`, `earliest`, `latest` or None (resume, or earliest if there is nothing to resume).
    `stop` may also be `now` or None (run until stopped). With `start_over`, `start` counts even if there is a
    resume.json. Outputs are `s3://bucket/prefix` or absolute folders, without a closing slash. `max_event_age_days` is
    None for no bound; `platforms` is sorted, and empty for any. `beam_args` are the arguments for Beam's
    PipelineOptions.
    """

    streams: tuple[Stream, ...]
    output: str
    errors_output: str | None
    backup_output: str | None
    start: str | int | None
    start_over: bool
    stop: str | int | None
    flush_interval_s: int
    flush_size_mb: int
    slack_s: int
    output_shards: int
    readers: int | None
    compression: str
    json_fields: JsonFields
    rules: Rules
    platform_field: str
    time_field: str
    partition_time: str
    max_event_age_days: int | None
    platforms: tuple[str, ...]
    backup: bool
    on_gap: str
    replace: bool
    new_layout: bool
    aws_region: str | None
    kinesis_endpoint_url: str | None
    s3_endpoint_url: str | None
    s3_region_name: str | None
    s3_verify: str | None
    s3_sse: str | None
    s3_kms_key_id: str | None
    runner: str
    beam_args: tuple[str, ...]

    @property
    def flush_ms(self) -> int:
        """Return the length of a flush window in milliseconds."""
        return self.flush_interval_s * 1000

    @property
    def flush_bytes(self) -> int:
        """Return the number of record bytes of a Kinesis shard that make a part."""
        return self.flush_size_mb * 1024 * 1024

    @property
    def slack_ms(self) -> int:
        """Return how long a record may stay invisible after its arrival stamp, in milliseconds."""
        return self.slack_s * 1000

    @property
    def replays(self) -> bool:
        """Return whether the run is a replay, unless the output is new: it does not change resume.json."""
        return self.stop is not None and self.start not in (None, 'resume') and not self.start_over

    @property
    def separate_outputs(self) -> dict[str, str]:
        """Return the URIs of `errors` and `backup` that are not written below the output."""
        outputs = {'errors': self.errors_output, 'backup': self.backup_output}
        return {kind: uri for kind, uri in outputs.items() if uri and uri != self.output}


def parse_options(argv: Sequence[str]) -> Options:
    """Parse arguments, without the program's name.

    If they are wrong, print one line on stderr and exit with 2. On `--help`, print the help and exit with 0. Beam is
    imported only after this program's own options have been checked.
    """
    parser = argument_parser()
    args, left = parser.parse_known_args(argv)
    try:
        return _options(parser, args, left)
    except OptionRefused as error:
        parser.error(str(error))


def _options(parser: ArgumentParser, args: argparse.Namespace, left: list[str]) -> Options:
    args.aws_region = check_streams(args.streams, args.aws_region)
    flush_ms = args.flush_interval_s * 1000
    args.start, args.stop = _aligned(args.start, flush_ms), _aligned(args.stop, flush_ms)
    check_together(args)
    if left:
        check_beam_options(left, args.runner, list(parser._option_string_actions))
    _check_required(args)
    return _built(args, left)


def _built(args: argparse.Namespace, left: list[str]) -> Options:
    import_beam()
    from transforms.parse import EVENT_VALUE, JsonFields
    rules = rules_of(args.rename)
    for name in ('platform_field', 'time_field'):
        _check_field(name, getattr(args, name), rules)
    values = {name: value for name, value in vars(args).items() if name in Options.__dataclass_fields__}
    values.update(streams=tuple(args.streams), backup=not args.no_backup, rules=rules,
                  json_fields=JsonFields(tuple(args.json_fields)) if args.json_fields else EVENT_VALUE,
                  runner=_runner(args), beam_args=tuple(_beam_args(args, left)))
    return Options(**values)


def _check_field(option: str, field: str, rules: Rules) -> None:
    renamed = rules.by_convention(field)
    if renamed != field and field not in rules.mapping.values():
        raise OptionRefused(f'--{option}: got {shown(field)}, must be a name that renaming can give a field, such as '
                            f'{shown(renamed)}')


def _aligned(moment: str | int | None, step_ms: int) -> str | int | None:
    return moment // step_ms * step_ms if isinstance(moment, int) else moment


def _check_required(args: argparse.Namespace) -> None:
    missing = [f'--{name}' for name, value in (('stream', args.streams), ('output', args.output)) if not value]
    if missing:
        raise OptionRefused(f'{" and ".join(missing)}: must be given')


def _runner(args: argparse.Namespace) -> str:
    return 'DirectRunner' if args.runner == 'FnApiRunner' else str(args.runner)


def _beam_args(args: argparse.Namespace, left: list[str]) -> Iterator[str]:
    # Beam's plain DirectRunner may download Prism, and chooses a runner silently. So name the one that is meant.
    yield f'--runner={"FnApiRunner" if _runner(args) == "DirectRunner" else args.runner}'
    yield from left
    for name in ('s3_endpoint_url', 's3_region_name', 's3_verify'):
        if getattr(args, name):
            yield f'--{name}={getattr(args, name)}'


#: The folders of an output.
KINDS = ('events', 'errors', 'backup', 'manifests')


def check_together(args: argparse.Namespace) -> None:
    """Raise OptionRefused for the first options that contradict each other."""
    for wrong, message in _combinations(args):
        if wrong:
            raise OptionRefused(message)


def _combinations(args: argparse.Namespace) -> Iterator[tuple[bool, str]]:
    """Yield each rule: whether the options break it, and the message."""
    start, stop, times = args.start, args.stop, isinstance(args.start, int) and isinstance(args.stop, int)
    outputs = [uri for uri in (args.output, args.errors_output, args.backup_output) if uri]
    yield (times and start >= stop,
           f'--start: got {_iso(start)}, must be before --stop, {_iso(stop)} (both aligned down to a window)')
    yield (start == 'latest' and stop == 'now',
           "--stop: got 'now', must be absent or a later time with --start latest: both are now, nothing would be read")
    yield (args.start_over and start in (None, 'resume'),
           f'--start_over: must go with --start earliest, latest or a time, got {_iso(start) if start else "none"}')
    yield (args.new_layout and args.start_over,
           '--new_layout: must not be given with --start_over, which uses the new layout from the start')
    yield (args.new_layout and stop is not None and start not in (None, 'resume'),
           f'--new_layout: must go with --start resume, got {_iso(start)}: only a resumed run has a layout before it')
    yield (args.no_backup and bool(args.backup_output),
           '--no_backup: must not be given with --backup_output')
    yield (any(f'{uri}/'.startswith(f'{args.output}/{kind}/') for uri in outputs for kind in KINDS),
           '--errors_output, --backup_output: must not lie in events/, errors/, backup/ or manifests/ of --output')
    yield (args.runner == 'PrismRunner' and (args.readers or 1) > 1,
           f"--readers: got '{args.readers}', must be 1 on PrismRunner, which closes windows too early with more")
    yield (args.runner == 'PrismRunner' and not args.open_job_port,
           '--open_job_port: must be given with PrismRunner: the job port of Prism listens on all interfaces and runs '
           'what it is given, and Prism has no option against it: let no other machine reach the ports of this one, or '
           'use DirectRunner')
    yield (args.open_job_port and args.runner != 'PrismRunner',
           f'--open_job_port: must go with --runner PrismRunner, got {args.runner}')
    yield (bool(args.s3_kms_key_id) and args.s3_sse != 'aws:kms',
           f"--s3_kms_key_id: must go with --s3_sse aws:kms, got {args.s3_sse or 'none'}")
    yield (bool(args.s3_sse) and not any(_is_s3(uri) for uri in outputs),
           '--s3_sse: must go with an output on S3, s3://bucket/prefix: the files of a folder are not encrypted')
    yield (args.s3_disable_ssl,
           '--s3_disable_ssl: must not be given: use an --s3_endpoint_url that begins with http:// instead')
    yield (args.runner == 'DataflowRunner' and any(not _is_s3(uri) for uri in outputs),
           '--output: must be s3://bucket/prefix on DataflowRunner, and so must --errors_output and --backup_output: '
           'the folders of a worker are lost when it ends')


def _iso(moment: str | int | None) -> str:
    if not isinstance(moment, int):
        return repr(moment)
    return f'{datetime.datetime.fromtimestamp(moment // 1000, datetime.UTC):%Y-%m-%dT%H:%M:%SZ}'


def _is_s3(uri: str) -> bool:
    return uri.startswith('s3://')
