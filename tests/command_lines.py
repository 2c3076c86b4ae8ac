"""Options as a command line gives them, for tests of what comes after it."""
from __future__ import annotations

from pipeline.options.options import Options, parse_options


def options_of(*args: str) -> Options:
    """Parse a right command line: one stream `app`, a folder (on Dataflow a bucket), and what is given."""
    streams = [] if '--stream' in args else ['--stream', 'app']
    return parse_options([*streams, '--output', 's3://lake' if 'DataflowRunner' in args else '/tmp/lake', *args])
