"""Which options go together: each right by itself, some pairs of them are not."""
from __future__ import annotations

import argparse
import datetime
from collections.abc import Iterator
from urllib.parse import urlsplit

from pipeline.locations import is_loopback
from pipeline.values import Refused


def check_together(args: argparse.Namespace) -> None:
    """Raise Refused on the first two options that contradict each other."""
    for wrong, message in _combinations(args):
        if wrong:
            raise Refused(message)


def _combinations(args: argparse.Namespace) -> Iterator[tuple[bool, str]]:
    start, stop, times = args.start, args.stop, isinstance(args.start, int) and isinstance(args.stop, int)
    yield (times and start >= stop,
           f'--start: got {_iso(start)}, must be before --stop, {_iso(stop)} (both aligned down to a window)')
    yield (start == 'latest' and stop == 'now',
           "--stop: got 'now', must be absent or a later time with --start latest, which begins now: nothing to read")
    yield (args.new_layout and start not in (None, 'resume'),
           f'--new_layout: must go with --start resume, got {_iso(start)}: only a resumed run has a layout before it')
    yield (args.no_backup and bool(args.backup_output),
           '--no_backup: must not be given with --backup_output')
    yield (args.runner == 'PrismRunner' and (args.readers or 1) > 1,
           f"--readers: got '{args.readers}', must be 1 on PrismRunner, which closes windows too early with more")
    yield (args.s3_disable_ssl and not _is_local(args.s3_endpoint_url),
           '--s3_disable_ssl: must go with an --s3_endpoint_url on this machine')


def _iso(moment: str | int | None) -> str:
    if not isinstance(moment, int):
        return repr(moment)
    return f'{datetime.datetime.fromtimestamp(moment // 1000, datetime.UTC):%Y-%m-%dT%H:%M:%SZ}'


def _is_local(url: str | None) -> bool:
    return bool(url) and is_loopback(urlsplit(url or '').hostname or '')
