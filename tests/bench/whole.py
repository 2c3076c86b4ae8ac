"""Run the whole job of pipeline/job.py in this process, from a stub of Kinesis to a store in memory."""
from __future__ import annotations

import dataclasses
import itertools
import time

import apache_beam as beam

from pipeline.commit.commit_window import CommitSettings
from pipeline.job import Job, build_job
from pipeline.kinesis.read import ReadKinesis
from pipeline.kinesis.settings import ReadSettings, StreamInfo
from pipeline.options.options import parse_options
from pipeline.paths import manifest_path
from pipeline.run.settings import settings_of
from pipeline.runners.runners import beam_options
from pipeline.stores.base import MemoryStore
from pipeline.windows import HOUR_MS
from pipeline.write.layout import Layout
from tests.bench.memory_kinesis import BEGAN_MS, StubCalls, in_place_of_kinesis
from transforms import CONVENTION, EVENT_VALUE

FLUSH_MS = 300_000
KINDS = ('events', 'errors', 'backup')
_runs = itertools.count()
#: Some runners start a worker in this process with a copy of the job. So the stores are found by number.
_stores: dict[int, MemoryStore] = {}


@dataclasses.dataclass(frozen=True)
class SharedStore:
    """A MemoryStore of this process that can be pickled. The copy is the same store."""

    number: int

    @property
    def store(self) -> MemoryStore:
        """Return the store itself."""
        return _stores.setdefault(self.number, MemoryStore())

    def __getattr__(self, name: str) -> object:
        if name.startswith('__'):
            raise AttributeError(name)
        return getattr(self.store, name)


def run_whole(calls: StubCalls, backup: bool = False) -> MemoryStore:
    """Run the job on the hour in the stub. Return what it wrote."""
    number = next(_runs)
    with in_place_of_kinesis(calls):
        _pipeline(number, 'DirectRunner', backup, BEGAN_MS + HOUR_MS).run().wait_until_finish()
    return _stores.pop(number)


def run_continuous(calls: StubCalls) -> None:
    """Run the continuous job on Prism until the last window of the hour is committed. It keeps running after that."""
    number = next(_runs)
    patch = in_place_of_kinesis(calls)
    patch.start()
    _pipeline(number, 'PrismRunner', False, None).run()
    while manifest_path(BEGAN_MS + HOUR_MS - FLUSH_MS) not in SharedStore(number).store:
        time.sleep(0.05)


def _pipeline(number: int, runner: str, backup: bool, stop_ms: int | None) -> beam.Pipeline:
    options = parse_options(['--stream', 'bench', '--output', '/nowhere', '--runner', runner,
                             *([] if backup else ['--no_backup'])])
    store = SharedStore(number)
    stream = StreamInfo('bench', 'bench', '', BEGAN_MS, 24 * HOUR_MS)
    read = ReadSettings((stream,), BEGAN_MS, stop_ms, FLUSH_MS, options.flush_bytes, options.slack_ms, BEGAN_MS,
                        endpoint_url=f'memory:{number}', run_id=f'bench-{number}')
    stores = dict.fromkeys(KINDS, store)
    commit = CommitSettings(store=store, stores=stores, flush_ms=FLUSH_MS, settings=settings_of(options, [stream]),
                            backup=options.backup, moves_resume_point=False)
    pipeline = beam.Pipeline(options=beam_options(options))
    build_job(pipeline, Job(source=ReadKinesis(read, 1), json_fields=EVENT_VALUE, rules=CONVENTION, layout=Layout(),
                            commit=commit))
    return pipeline
