"""Several runs on one prefix: other runners, windows closed early, two jobs at once, old state."""
from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator

import pytest

from pipeline.local.servers import demo_environment
from tests.integration.external_servers import ROOT
from tests.integration.flink_cluster import FlinkCluster
from tests.integration.lake import Lake, lake_read_once, needs_prism, windows_of
from tests.waiting import TIMEOUT_S

pytestmark = pytest.mark.timeout(1200)
RECORDS, DOCUMENTS, WINDOWS = 1200, 10, 12


@pytest.fixture(scope='module')
def lake() -> Iterator[Lake]:
    """A stream of 12,000 documents over 4 shards and 12 windows, read once by one bounded run into `one`."""
    with lake_read_once(RECORDS, DOCUMENTS, WINDOWS, seed=5) as lake:
        yield lake


def windows(lake: Lake) -> list[str]:
    """Return the starts of the windows that the first run has committed."""
    return sorted(manifest['window'] for manifest in lake.manifests('one').values())


def committed(lake: Lake, prefix: str) -> int:
    """Return the number of committed windows under a prefix."""
    return sum(key.startswith('manifests/') for key in lake.output.tags(prefix))


def assert_same(lake: Lake, prefix: str) -> None:
    """Compare what a prefix holds with the first run's."""
    assert lake.objects(prefix) == lake.objects('one')
    assert lake.manifests(prefix) == lake.manifests('one')


@pytest.fixture(scope='module')
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlinkCluster]:
    """A Flink cluster for all tests of this file."""
    with FlinkCluster(tmp_path_factory.mktemp('flink')) as cluster:
        yield cluster


def test_every_runner_goes_on_from_where_another_stopped(lake: Lake, cluster: FlinkCluster) -> None:
    needs_prism()
    start, stop = windows_of(lake.manifests('one'))
    starts = windows(lake)

    lake.run('relay', '--start', start, '--stop', starts[3])
    lake.run('relay', '--start', 'resume', '--stop', starts[6], '--runner', 'PrismRunner')
    submitted = cluster.submit(lake.command('relay', '--start', 'resume', '--stop', starts[9], *cluster.options()))
    assert submitted.process.wait(TIMEOUT_S) == 0, submitted.output()[-3000:]
    lake.run('relay', '--start', 'resume', '--stop', stop)

    assert_same(lake, 'relay')


def test_a_savepoint_older_than_the_newest_manifest_writes_the_same_again(lake: Lake, cluster: FlinkCluster) -> None:
    start, _ = windows_of(lake.manifests('one'))
    command = lake.command('old', '--checkpointing_interval', '3000', *cluster.options())
    cluster.submit([*command, '--start', start])
    job = cluster.running_job()
    cluster.wait(lambda: committed(lake, 'old') >= committed(lake, 'one'), 'all windows')
    savepoint = cluster.wait(cluster.stop(job), 'a savepoint')
    lake.fill(60, DOCUMENTS, 3, seed=6)
    time.sleep(1.1)  # past the window of the last put
    lake.run('old', '--start', 'resume', '--stop', 'now')
    before = lake.manifests('old')

    cluster.submit([*command, '--savepoint_path', str(savepoint)])
    job = cluster.running_job()
    cluster.wait(lambda: committed(lake, 'old') > len(before), 'another window')

    assert cluster.restored(job) >= 1
    cluster.cancel(job)
    _, stop = windows_of(before)
    lake.run('fresh', '--start', start, '--stop', stop)
    assert lake.objects('old') == lake.objects('fresh')
    after = lake.manifests('old')
    assert {key: after[key] for key in before} == before == lake.manifests('fresh')


def test_a_runner_that_closes_windows_early_commits_none_of_them_and_a_resume_makes_them_whole(lake: Lake) -> None:
    needs_prism()
    start, stop = windows_of(lake.manifests('one'))
    command = lake.command('early', '--start', start, '--stop', stop, '--runner', 'PrismRunner')
    command[1:3] = ['-m', 'tests.integration.prism_readers', '3']

    run = subprocess.run(command, cwd=ROOT, env=demo_environment(), text=True, capture_output=True, timeout=TIMEOUT_S)

    counters = dict(line.split() for line in run.stdout.splitlines())
    warned = re.findall(r'window (\S+) is not complete: ', run.stderr)
    whole = lake.manifests('one')
    early = lake.manifests('early')
    assert run.returncode == 0, run.stderr[-3000:]
    assert len(warned) == len(set(warned)) == int(counters['incomplete_windows']) > 0
    assert set(warned).isdisjoint(manifest['window'] for manifest in early.values())
    assert early.items() <= whole.items()

    lake.run('early', '--start', 'resume', '--stop', stop)

    assert_same(lake, 'early')


def test_two_jobs_at_once_on_one_prefix_write_the_same(lake: Lake) -> None:
    start, stop = windows_of(lake.manifests('one'))

    jobs = [lake.start('twice', '--start', start, '--stop', stop) for _ in range(2)]
    shown = [job.communicate(timeout=TIMEOUT_S) for job in jobs]

    assert [job.returncode for job in jobs] == [0, 0], shown
    assert 'differ from those committed before' not in str(shown)
    assert_same(lake, 'twice')


def test_a_resume_that_was_moved_back_by_hand_goes_on_after_what_is_committed(lake: Lake) -> None:
    start, stop = windows_of(lake.manifests('one'))
    middle = windows(lake)[4]
    lake.run('back', '--start', start, '--stop', middle)
    old = lake.get('back', 'resume.json')
    lake.run('back', '--start', 'resume', '--stop', stop)

    lake.aws.s3.put_object(Bucket=lake.stream, Key='back/resume.json', Body=old)
    nothing = lake.run('back', '--start', 'resume', '--stop', stop)
    for key, manifest in lake.manifests('back').items():
        if manifest['window'] >= middle:
            lake.aws.s3.delete_object(Bucket=lake.stream, Key=f'back/{key}')
    lake.aws.s3.put_object(Bucket=lake.stream, Key='back/resume.json', Body=old)
    again = lake.run('back', '--start', 'resume', '--stop', stop)

    assert f'nothing to do yet: reading goes on at {stop}' in nothing
    assert f'committed, from {middle} to {stop}' in again
    assert_same(lake, 'back')


def test_a_resume_point_of_another_stream_is_refused(lake: Lake) -> None:
    resume_point = json.loads(lake.get('one', 'resume.json'))
    resume_point['settings']['placement']['streams'][lake.stream]['created_ms'] -= 1000
    lake.aws.s3.put_object(Bucket=lake.stream, Key='other/resume.json', Body=json.dumps(resume_point).encode())

    refusal = lake.run('other', '--start', 'resume', '--stop', 'now', code=2)

    assert 'its positions mean nothing here; start over with --start=earliest' in refusal
    assert lake.objects('other') == {}
