"""Which options go together: each right by itself, some pairs of them are not."""
from __future__ import annotations

import argparse
import datetime
from collections.abc import Iterator

from pipeline.options.types import Refused

#: The folders of an output.
KINDS = ('events', 'errors', 'backup', 'manifests')


def check_together(args: argparse.Namespace) -> None:
    """Raise Refused on the first two options that contradict each other."""
    for wrong, message in _combinations(args):
        if wrong:
            raise Refused(message)


def _combinations(args: argparse.Namespace) -> Iterator[tuple[bool, str]]:
    start, stop, times = args.start, args.stop, isinstance(args.start, int) and isinstance(args.stop, int)
    outputs = [uri for uri in (args.output, args.errors_output, args.backup_output) if uri]
    yield (times and start >= stop,
           f'--start: got {_iso(start)}, must be before --stop, {_iso(stop)} (both aligned down to a window)')
    yield (start == 'latest' and stop == 'now',
           "--stop: got 'now', must be absent or a later time with --start latest, which begins now: nothing to read")
    yield (args.start_over and start in (None, 'resume'),
           f'--start_over: must go with --start earliest, latest or a time, got {_iso(start) if start else "none"}')
    yield (args.new_layout and args.start_over,
           '--new_layout: must not be given with --start_over, which begins with the new layout at once')
    yield (args.new_layout and stop is not None and start not in (None, 'resume'),
           f'--new_layout: must go with --start resume, got {_iso(start)}: only a resumed run has a layout before it')
    yield (args.no_backup and bool(args.backup_output),
           '--no_backup: must not be given with --backup_output')
    yield (any(f'{uri}/'.startswith(f'{args.output}/{kind}/') for uri in outputs for kind in KINDS),
           '--errors_output, --backup_output: must not lie in events/, errors/, backup/ or manifests/ of --output')
    yield (args.runner == 'PrismRunner' and (args.readers or 1) > 1,
           f"--readers: got '{args.readers}', must be 1 on PrismRunner, which closes windows too early with more")
    yield (bool(args.s3_kms_key_id) and args.s3_sse != 'aws:kms',
           f"--s3_kms_key_id: must go with --s3_sse aws:kms, got {args.s3_sse or 'none'}")
    yield (bool(args.s3_sse) and not any(_is_s3(uri) for uri in outputs),
           '--s3_sse: must go with an output on S3, s3://bucket/prefix: the files of a folder are not encrypted')
    yield (args.s3_disable_ssl,
           '--s3_disable_ssl: must not be given: an --s3_endpoint_url that begins with http:// says it')
    yield (args.runner == 'DataflowRunner' and any(not _is_s3(uri) for uri in outputs),
           "--output: must be s3://bucket/prefix on DataflowRunner, whose workers' folders are lost with them, and so "
           'must --errors_output and --backup_output')


def _iso(moment: str | int | None) -> str:
    if not isinstance(moment, int):
        return repr(moment)
    return f'{datetime.datetime.fromtimestamp(moment // 1000, datetime.UTC):%Y-%m-%dT%H:%M:%SZ}'


def _is_s3(uri: str) -> bool:
    return uri.startswith('s3://')
