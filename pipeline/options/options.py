"""The command line, parsed once into one frozen, checked value."""
from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pipeline.options.arguments import ArgumentParser, argument_parser
from pipeline.options.beam_options import check_beam_options, import_beam
from pipeline.options.combinations import check_together
from pipeline.options.rename_file import rules_of
from pipeline.options.streams import Stream, check_streams
from pipeline.options.types import Refused, shown

if TYPE_CHECKING:
    from transforms.parse import JsonFields
    from transforms.rules import Rules

__all__ = ['Options', 'Stream', 'parse_options']


@dataclasses.dataclass(frozen=True)
class Options:
    """What a run was told. Times are epoch milliseconds, aligned down to a flush window.

    `start` may also be `resume`, `earliest`, `latest` or None (resume, or earliest where there is nothing to resume),
    `stop` also `now` or None (for ever). `start_over` lets `start` count even if there is a resume.json. Outputs are
    `s3://bucket/prefix` or absolute folders, without closing slash. `beam_args` is what Beam's PipelineOptions is to be
    given.
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
        """Length of a flush window in milliseconds."""
        return self.flush_interval_s * 1000

    @property
    def flush_bytes(self) -> int:
        """Record bytes of a Kinesis shard that make a part."""
        return self.flush_size_mb * 1024 * 1024

    @property
    def slack_ms(self) -> int:
        """How long after its arrival stamp a record may stay invisible, in milliseconds."""
        return self.slack_s * 1000

    @property
    def replays(self) -> bool:
        """Return whether the run reads a range of its own if the output is not new, and leaves resume.json alone."""
        return self.stop is not None and self.start not in (None, 'resume') and not self.start_over

    @property
    def moved(self) -> dict[str, str]:
        """The places of `errors` and `backup` that are not below the output."""
        places = {'errors': self.errors_output, 'backup': self.backup_output}
        return {kind: uri for kind, uri in places.items() if uri and uri != self.output}


def parse_options(argv: Sequence[str]) -> Options:
    """Turn arguments, without the program's name, into options.

    Prints one line on stderr and exits with 2 where they are wrong; prints the help and exits with 0 on `--help`. Beam
    is imported only once our own options are known to be right.
    """
    parser = argument_parser()
    args, left = parser.parse_known_args(argv)
    try:
        return _options(parser, args, left)
    except Refused as error:
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
        raise Refused(f'--{option}: got {shown(field)}, must be a name that a field can have after renaming, such as '
                      f'{shown(renamed)}')


def _aligned(moment: str | int | None, step_ms: int) -> str | int | None:
    return moment // step_ms * step_ms if isinstance(moment, int) else moment


def _check_required(args: argparse.Namespace) -> None:
    missing = [f'--{name}' for name, value in (('stream', args.streams), ('output', args.output)) if not value]
    if missing:
        raise Refused(f'{" and ".join(missing)}: must be given')


def _runner(args: argparse.Namespace) -> str:
    return 'DirectRunner' if args.runner == 'FnApiRunner' else str(args.runner)


def _beam_args(args: argparse.Namespace, left: list[str]) -> Iterator[str]:
    # Beam's plain DirectRunner tries to download Prism and picks a runner in silence: name the one that is meant.
    yield f'--runner={"FnApiRunner" if _runner(args) == "DirectRunner" else args.runner}'
    yield from left
    for name in ('s3_endpoint_url', 's3_region_name', 's3_verify'):
        if getattr(args, name):
            yield f'--{name}={getattr(args, name)}'
