"""The demo: put sample events on an embedded Kinesis, run the real job, and show what it wrote to the embedded S3."""
from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence

from pipeline.local import show
from pipeline.local.accounting import Row, compare_counts
from pipeline.local.contents import Contents, read_contents
from pipeline.local.events import EXAMPLE, Sample, sample_records
from pipeline.local.query import SQL, by_hour_and_platform
from pipeline.local.servers import LocalAws, Put
from pipeline.stores.s3 import S3Store
from pipeline.windows import align_down, iso

STREAM, SHARDS = 'app-events', 4
BUCKET, PREFIX = 'lake', 'mobile'
EVENTS = 5000
FLUSH_MS = 1000
#: The records arrive in this many flush windows.
BATCHES = 3
INTERRUPTED = 130


def main() -> int:
    """Run the demo. Return 0, or the exit code of a job that failed, or 1 if the counts differ."""
    with LocalAws() as aws:
        aws.create_stream(STREAM, SHARDS)
        aws.create_bucket(BUCKET)
        samples = list(sample_records(EVENTS, _now_ms()))
        puts = _put(aws, samples)
        _say(f'{sum(len(sample.ids) for sample in samples):,} sample events in {len(puts):,} records are on the stream '
             f'{STREAM} of {SHARDS} shards; Kinesis and S3 run in this process')
        code = _run_job(aws.endpoint, align_down(_now_ms(), FLUSH_MS) + FLUSH_MS)
        if code:
            return code
        contents = read_contents(S3Store(BUCKET, PREFIX, aws.endpoint))
    rows = compare_counts(samples, puts, contents)
    for line in _shown(contents, rows):
        _say(line)
    return 0 if all(row.same for row in rows) else 1


def _put(aws: LocalAws, samples: Sequence[Sample]) -> list[Put]:
    """Put the records in batches, each in a flush window of its own."""
    puts: list[Put] = []
    for batch in range(BATCHES):
        time.sleep((FLUSH_MS - _now_ms() % FLUSH_MS) / 1000 if batch else 0)
        share = samples[batch * len(samples) // BATCHES:(batch + 1) * len(samples) // BATCHES]
        puts += aws.put_records(STREAM, [(sample.key, sample.data) for sample in share])
    return puts


def _run_job(endpoint: str, stop_ms: int) -> int:
    options = ['--stream', STREAM, '--output', f's3://{BUCKET}/{PREFIX}', '--start', 'earliest', '--stop', iso(stop_ms),
               '--flush_interval_s', str(FLUSH_MS // 1000), '--slack_s', '1', '--max_event_age_days', 'none',
               '--kinesis_endpoint_url', endpoint, '--s3_endpoint_url', endpoint]
    for line in show.command_line(options):
        _say(line)
    return subprocess.run([sys.executable, '-m', 'pipeline', *options], check=False).returncode


def _shown(contents: Contents, rows: Sequence[Row]) -> Iterator[str]:
    yield from show.section('What is on S3 now: folders and their lines')
    yield from show.tree(f's3://{BUCKET}/{PREFIX}/', contents)
    yield from show.section('An event that came glued to another, as it came and as it is kept; a malformed fragment')
    yield from show.labelled('before', EXAMPLE[:EXAMPLE.index(b'}{') + 1].decode())
    yield from show.labelled('after', contents.first('events/year=2022/').decode())
    error = contents.first('errors/')
    if error:
        yield from show.error_line(error)
    yield from show.section('Counts: what was put, what the manifests say, what the objects contain')
    yield from show.counts(rows)
    yield from show.section('Events by hour and platform, by DuckDB on the objects')
    yield from show.labelled('query', SQL)
    yield from show.table(*by_hour_and_platform(contents))


def _say(line: str) -> None:
    print(line, flush=True)  # the job writes to the same place


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


if __name__ == '__main__':
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # like Ctrl-C: the job ends too
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except ModuleNotFoundError as error:
        sys.exit(f"demo: {error.name} is not installed: pip install 'mmp-pipeline[local]'")
