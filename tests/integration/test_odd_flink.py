"""What goes wrong on a Flink cluster now and then, forced: a drain, a source never called, state that is too old."""
from __future__ import annotations

import pathlib
import re
import time
from collections.abc import Iterator

import pytest

from pipeline.local.servers import LocalAws
from pipeline.windows import iso
from tests.integration.destinations import Folder
from tests.integration.flink_cluster import FlinkCluster
from tests.integration.flink_parts import POOL
from tests.integration.jobs import FLUSH_MS, Jobs, time_in, windows_of
from tests.integration.lake import Lake
from tests.integration.producer import Producer
from tests.integration.stub import just_begun, serve
from tests.waiting import TIMEOUT_S

pytestmark = pytest.mark.timeout(1200)
#: A reader for each subtask, so that each is called every second or two.
OPTIONS = ('--readers', '2', '--checkpointing_interval', '2000')
#: The job without one option, which the command line always sets.
UNFINISHED_BUNDLES = """
import sys
from pipeline.runners import flink_options
from pipeline.main import leave, main
del flink_options.SAFE['finish_bundle_before_checkpointing']
leave(main(sys.argv[1:]))
"""


@pytest.fixture(scope='module')
def flink(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlinkCluster]:
    """A cluster with nothing wrong."""
    with FlinkCluster(tmp_path_factory.mktemp('flink')) as flink:
        yield flink


def test_readers_that_are_drained_leave_windows_without_manifest_and_a_resume_makes_them_whole(
        tmp_path: pathlib.Path) -> None:
    drained = tmp_path / 'drained'
    drained.mkdir()
    with LocalAws() as aws, FlinkCluster(tmp_path, pool=('tests.integration.odd_workers', 'drained', drained)) as flink:
        lake = Lake(aws, 'events', 4)
        submitter = flink.submit(lake.command('drained', '--start', 'earliest', *OPTIONS, *flink.options()))
        job = flink.running_job()
        with Producer(lake, seed=7):
            flink.wait(lambda: len(lake.manifests('drained')) >= 4, 'four windows')
            (drained / '0').touch()
            (drained / '1').touch()
            flink.wait(lambda: 0 < incomplete_windows(flink, job) == len(warnings(tmp_path)), 'incomplete windows')
        at_end, code = lake.manifests('drained'), submitter.end()
        time.sleep(1.1)  # past the window of the last put
        lake.run('drained', '--start', 'resume', '--stop', 'now')
        start, stop = windows_of(lake.manifests('drained'))
        lake.run('whole', '--start', start, '--stop', stop)

        warned = warnings(tmp_path)
        assert code == 0
        assert len(warned) == len(set(warned))
        assert not {manifest['window'] for manifest in at_end.values()} & set(warned)
        assert lake.manifests('drained').keys() > at_end.keys()
        assert lake.manifests('drained') == lake.manifests('whole')
        assert lake.objects('drained') == lake.objects('whole')


def test_a_source_that_flink_never_calls_is_reported(tmp_path: pathlib.Path) -> None:
    with LocalAws() as aws, FlinkCluster(tmp_path, pool=('tests.integration.odd_workers', 'slow', 5)) as flink:
        lake = Lake(aws, 'events', 2)
        lake.fill(20, 3, 1, seed=7)
        for prefix in ('never', 'never-again', 'never-more'):  # read if the first bundle ends in time
            command = lake.command(prefix, '--start', 'earliest', '--readers', '1', '--checkpointing_interval', '1000',
                                   *flink.options())
            command[1:3] = ['-c', UNFINISHED_BUNDLES]
            submitter = flink.submit(command)
            report = rf'no reader was called in \d+ s: all tasks of job {flink.running_job()} run'
            flink.wait(lambda submitter=submitter, report=report, prefix=prefix: (
                re.search(report, submitter.output()) or lake.manifests(prefix)), 'the report, or a window')
            assert submitter.end() == 0
            if not lake.manifests(prefix):
                break

        assert re.search(report, submitter.output()) and lake.manifests(prefix) == {}


def test_a_savepoint_older_than_what_the_stream_keeps_is_refused_or_ends_the_job_with_one_line(
        flink: FlinkCluster, tmp_path: pathlib.Path) -> None:
    stub = just_begun()
    with serve(stub) as endpoint:
        jobs = Jobs(endpoint, ['events'], Folder(tmp_path))
        command = jobs.command('job', *OPTIONS, *flink.options())
        saved = flink.submit([*command, '--start', iso(stub.created_ms)])
        job = flink.running_job()
        flink.wait(lambda: len(jobs.manifests('job')) >= 5 and flink.checkpoints(job), 'five windows and a checkpoint')
        path = flink.wait(flink.stop(job), 'a savepoint')
        assert saved.process.wait(TIMEOUT_S) == 0
        assert 'the runner has ended the job; what is committed stays' in saved.output().splitlines()[-1]
        savepoint = ('--savepoint_path', path)
        stub.ahead_s = 86_400
        before = jobs.output.tags('job')

        refused = flink.submit([*command, *savepoint])
        assert refused.process.wait(TIMEOUT_S) == 2
        assert 'is lost in part; --on_gap=skip goes on at ' in refused.output()
        assert jobs.output.tags('job') == before

        # resume.json moves on without the savepoint, whose readers are still before the gap: they are of a generation
        # that has ended.
        stop_ms = time_in(refused.output(), '--on_gap=skip goes on at ') + 90 * FLUSH_MS
        jobs.run('job', '--start', 'resume', '--on_gap', 'skip', '--stop', iso(stop_ms))
        before = jobs.output.tags('job')
        ended = flink.submit([*command, *savepoint])
        assert ended.process.wait(TIMEOUT_S) == 1
        assert ended.output().splitlines()[-1].startswith('pipeline: error: the savepoint was made before another run ')
        assert jobs.output.tags('job') == before
        assert [*flink.jobs().values()] == ['FINISHED', 'CANCELED']


def test_a_running_job_with_on_gap_skip_goes_on_after_a_gap(
        flink: FlinkCluster, tmp_path: pathlib.Path) -> None:
    stub = just_begun()
    with serve(stub) as endpoint:
        jobs = Jobs(endpoint, ['events'], Folder(tmp_path))
        submitter = flink.submit(jobs.command('job', '--start', iso(stub.created_ms), '--on_gap', 'skip', *OPTIONS,
                                              *flink.options()))
        flink.wait(lambda: len(jobs.manifests('job')) >= 5, 'five windows')
        gap_ms = time.time_ns() // 1_000_000
        stub.ahead_s = 86_400
        flink.wait(lambda: newest_ms(jobs) > gap_ms + 50_000, 'a window after the gap')
        assert 'retention ran ahead of reading: going on after what is lost' in submitter.output()
        assert submitter.end() == 0


def newest_ms(jobs: Jobs) -> int:
    """Return the start of the newest committed window."""
    return max(manifest['window_ms'] for manifest in jobs.manifests('job').values())


def warnings(folder: pathlib.Path) -> list[str]:
    """Return the windows about which the workers have warned."""
    return re.findall(r'window (\S+) is not complete: ', (folder / f'{POOL}.out').read_text())


def incomplete_windows(flink: FlinkCluster, job: str) -> int:
    """Return the value of the job's counter, read from the cluster."""
    found = 0
    for vertex in flink.call(f'/jobs/{job}')['vertices']:
        path = f'/jobs/{job}/vertices/{vertex["id"]}/subtasks/metrics'
        for metric in flink.call(path):
            if metric['id'].endswith('commit_incomplete_windows'):
                found += int(flink.call(f'{path}?get={metric["id"]}&agg=sum')[0]['sum'])
    return found
