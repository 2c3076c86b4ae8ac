"""Options of Beam and its runners, looked up among arguments as their parsers read them."""
from __future__ import annotations

from collections.abc import Sequence


def given(args: Sequence[str], name: str) -> str | None:
    """Find an option's value among arguments, '' for a bare one, None where it is absent; the last one counts.

    >>> given(['--parallelism=2', '--streaming', '--parallelism', '4'], 'parallelism')
    '4'
    """
    value = None
    for place, arg in enumerate(args):
        if arg == f'--{name}':
            following = args[place + 1] if place + 1 < len(args) else ''
            value = '' if following.startswith('--') else following
        elif arg.startswith(f'--{name}='):
            value = arg.partition('=')[2]
    return value
