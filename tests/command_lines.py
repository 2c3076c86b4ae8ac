"""Options as a command line gives them, for tests of what comes after it."""
from __future__ import annotations

from pipeline.options.options import Options, parse_options


def options_of(*args: str) -> Options:
    """Parse a right command line: one stream `app`, a folder (on Dataflow a bucket), and what is given."""
    streams = [] if '--stream' in args else ['--stream', 'app']
    opened = ['--open_job_port'] if 'PrismRunner' in args else []
    output = 's3://lake' if 'DataflowRunner' in args else '/tmp/lake'
    return parse_options([*streams, '--output', output, *opened, *args])
