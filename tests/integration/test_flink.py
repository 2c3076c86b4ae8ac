"""The job on a real Flink cluster: a killed process, a drain, an ended submitter; the objects are those of one read."""
from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator

import pytest

from pipeline.local.servers import LocalAws
from pipeline.runners.flink_api import FlinkMaster
from pipeline.runners.flink_watch import NEVER_READ_S, FlinkWatch
from pipeline.windows import iso
from tests.integration.flink_cluster import FlinkCluster
from tests.integration.flink_parts import TASK_MANAGER
from tests.integration.lake import Lake
from tests.integration.producer import Producer
from tests.waiting import TIMEOUT_S

pytestmark = pytest.mark.timeout(1200)
#: Windows of five seconds; a reader for each subtask, so that each is called every second or two.
OPTIONS = ('--flush_interval_s', '5', '--readers', '2', '--checkpointing_interval', '2000')


@pytest.fixture(scope='module')
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlinkCluster]:
    with FlinkCluster(tmp_path_factory.mktemp('flink')) as cluster:
        yield cluster


@pytest.fixture(scope='module')
def lake(cluster: FlinkCluster) -> Iterator[Lake]:
    with LocalAws() as aws:
        yield Lake(aws, 'events', 4)


def test_a_live_stream_through_a_killed_task_manager_and_a_drain_gives_the_objects_of_one_bounded_read(
        cluster: FlinkCluster, lake: Lake) -> None:
    with Producer(lake, seed=5):
        submitter = cluster.submit(lake.command('flink', '--start', 'earliest', *OPTIONS, *cluster.options()))
        job = cluster.running_job()
        cluster.wait(lambda: committed(lake) >= 2 and cluster.checkpoints(job) > 0, 'two windows and a checkpoint')
        cluster.kill(TASK_MANAGER)
        before = committed(lake)
        cluster.start(TASK_MANAGER)
        cluster.wait(lambda: committed(lake) >= before + 2, 'two windows after the kill')
        assert cluster.restored(job) >= 1
        cluster.stop(job, drain=True)  # which Flink does not complete while readers go on
        before = committed(lake)
        with contextlib.suppress(AssertionError):  # windows may be committed during the drain, or not
            cluster.wait(lambda: committed(lake) >= before + 2, 'two windows during the drain', 30)
    by_flink = committed(lake)
    ended = submitter.end()
    time.sleep(6.1)  # past the window of the last record, and the slack
    lake.run('flink', '--start', 'resume', '--stop', 'now', *OPTIONS[:2])

    manifests = lake.manifests('flink')
    windows = [manifest['window_ms'] for manifest in manifests.values()]
    stretch = ('--start', iso(min(windows)), '--stop', iso(max(windows) + 5000))
    lake.run('one', *stretch, *OPTIONS[:2])
    bounded = cluster.submit(lake.command('bounded', *stretch, *OPTIONS, *cluster.options()))
    assert bounded.process.wait(TIMEOUT_S) == 0, bounded.output()

    assert (ended, submitter.left_behind(), bounded.left_behind()) == (0, False, False)
    assert list(cluster.jobs().values()) == ['CANCELED', 'FINISHED']
    assert committed(lake) > by_flink
    assert lake.backup('flink') == {(put.shard, put.sequence): put.data for put in lake.puts}
    assert lake.manifests('one') == lake.manifests('bounded') == manifests
    assert lake.objects('one') == lake.objects('bounded') == lake.objects('flink')


def test_a_job_without_a_task_manager_is_warned_of_refuses_a_second_one_and_ends_by_ctrl_c(
        cluster: FlinkCluster, lake: Lake, caplog: pytest.LogCaptureFixture) -> None:
    cluster.kill(TASK_MANAGER)
    cluster.wait(lambda: not cluster.call('/overview')['taskmanagers'], 'the loss of the TaskManager')
    command = lake.command('idle', '--start', 'latest', *OPTIONS, '--job_name', 'idle', *cluster.options())
    submitter, master = cluster.submit(command), FlinkMaster(cluster.rest)
    cluster.wait(lambda: (job := master.find('idle')) and master.state(job).all_tasks, 'the job')
    moments = iter([0.0, 0.0, NEVER_READ_S, NEVER_READ_S])
    watch = FlinkWatch(master, 'idle', lambda: next(moments))

    watch.look()
    watch.look()
    second = cluster.submit(command)
    refused = second.process.wait(TIMEOUT_S)
    submitter.process.send_signal(signal.SIGINT)
    ended = submitter.process.wait(TIMEOUT_S)
    cluster.start(TASK_MANAGER)

    assert [message.split(':')[0] for message in caplog.messages] == ['no reader was called in 50 s']
    assert '0 of 11 tasks' in caplog.text
    assert (refused, second.output().count('--job_name: job ')) == (2, 1)
    assert (ended, submitter.left_behind(), list(cluster.jobs().values())[-1]) == (0, False, 'CANCELED')


def committed(lake: Lake) -> int:
    """Return the number of committed windows with records."""
    return sum(manifest['counts']['records'] > 0 for manifest in lake.manifests('flink').values())
