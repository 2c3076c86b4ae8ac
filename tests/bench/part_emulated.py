"""Run the program by its command line, between an emulated Kinesis and S3, and measure its CPU and memory."""
from __future__ import annotations

import sys
import time
from collections.abc import Iterator

from pipeline.local.servers import demo_environment
from pipeline.windows import align_down, iso
from tests.bench.documents import documents, records
from tests.bench.emulators import Emulators
from tests.bench.node import Lambda
from tests.bench.process import Ended, run_process
from tests.bench.rounds import Row, say, take_turns
from tests.bench.stages import stage_rows

EACH, SHARDS, FLUSH_S = 5, 4, 10
STREAM = 'bench'


def emulated_rows(count: int, rounds: int) -> Iterator[Row]:
    """Measure a whole process with `--no_backup`, and the Lambda handler on the same documents."""
    made = list(documents('medium', count))
    glued = list(records(iter(made), EACH))
    with Lambda() as handler, Emulators() as aws:
        handler.load(made)
        say(f'putting {len(glued)} records')
        aws.fill(STREAM, SHARDS, glued)
        time.sleep(FLUSH_S + 2)  # past the window of the last put, slack included
        stop = iso(align_down(time.time_ns() // 1_000_000, FLUSH_S * 1000))
        runs: list[Ended] = []

        def job() -> float:
            runs.append(run_process(_command(aws.endpoint, len(runs), stop), demo_environment()))
            return runs[-1].cpu_s

        measured = take_turns({'lambda': handler.run, 'job': job}, rounds, warm=False)
        yield Row('emulated', f'{count:,} documents, whole process against the Lambda handler',
                  measured.ratio('job', 'lambda'), 'x', '<= 3.5',
                  f'{measured.median("job"):.2f} CPU s against {measured.median("lambda"):.2f}')
        yield Row('emulated', 'peak of resident memory', max(run.peak_mib for run in runs), 'MiB', '< 400')
        yield from stage_rows(aws, STREAM, glued, measured.median('job'))


def _command(endpoint: str, run: int, stop: str) -> list[str]:
    return [sys.executable, '-m', 'pipeline', '--stream', STREAM, '--output', f's3://{STREAM}/run{run}',
            '--start', 'earliest', '--stop', stop, '--no_backup', '--flush_interval_s', str(FLUSH_S), '--slack_s', '1',
            '--kinesis_endpoint_url', endpoint, '--s3_endpoint_url', endpoint]
