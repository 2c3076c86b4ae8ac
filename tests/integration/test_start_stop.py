"""Where a job starts and where it resumes, on a Kinesis server written by others."""
from __future__ import annotations

import json
import pathlib
import time
from collections.abc import Iterator
from typing import Any

import pytest

from pipeline.windows import align_down, iso
from tests.integration.destinations import Folder
from tests.integration.external_servers import client, kinesis_local
from tests.integration.jobs import FLUSH_MS, Jobs, end, kill, wait_for_job
from tests.integration.stream import Stream

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope='module')
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with kinesis_local(tmp_path_factory.mktemp('kinesis')) as endpoint:
        yield endpoint


@pytest.fixture
def kinesis(endpoint: str) -> Any:
    return client('kinesis', endpoint)


def jobs_on(endpoint: str, stream: Stream, folder: pathlib.Path) -> Jobs:
    return Jobs(endpoint, [stream.name], Folder(folder), slack_s=2)


def killed_at_the_tip(jobs: Jobs, stream: Stream, folder: pathlib.Path) -> set[tuple[str, str]]:
    """Kill a job with --start latest once it has a resume.json. Return what was in the stream before it began.

    Records arrive after the kill.
    """
    stream.put()
    old = set(stream.backup())
    time.sleep(1.1)
    killed = jobs.start('job', '--start', 'latest')
    wait_for_job(killed, (folder / 'job/resume.json').exists, 'resume.json')
    kill(killed)
    stream.put_for(2)
    return old


def test_a_time_takes_what_arrived_from_it_on_closed_shards_included(
        endpoint: str, kinesis: Any, tmp_path: pathlib.Path) -> None:
    stream = Stream(kinesis, 'time', 1)
    jobs = jobs_on(endpoint, stream, tmp_path)
    stream.put_for(4)
    stream.split(0)
    stream.put_for(1)
    arrivals = arrivals_of(stream)
    middle_ms = align_down(sorted(arrivals.values())[len(arrivals) // 2], FLUSH_MS)

    jobs.run('job', '--start', iso(middle_ms), '--stop', 'now')

    expected = {place for place, arrival_ms in arrivals.items() if arrival_ms >= middle_ms}
    assert 0 < len(expected) < len(arrivals)
    assert 'shardId-000000000000' in {shard for shard, _ in expected}  # closed by then
    assert set(jobs.backup('job')) == expected


def test_a_time_before_the_stream_was_made_begins_with_the_stream(
        endpoint: str, kinesis: Any, tmp_path: pathlib.Path) -> None:
    stream = Stream(kinesis, 'before', 2)
    jobs = jobs_on(endpoint, stream, tmp_path)
    stream.put()
    time.sleep(1.1)

    jobs.run('job', '--start', '2020-01-01T00:00:00Z', '--stop', 'now')

    assert jobs.backup('job') == stream.backup()
    created = kinesis.describe_stream_summary(StreamName='before')['StreamDescriptionSummary']
    first_ms = min(manifest['window_ms'] for manifest in jobs.manifests('job').values())
    assert first_ms == align_down(round(created['StreamCreationTimestamp'].timestamp() * 1000), FLUSH_MS)


def test_latest_leaves_what_was_there_and_is_not_moved_by_a_crash_before_the_first_record(
        endpoint: str, kinesis: Any, tmp_path: pathlib.Path) -> None:
    stream = Stream(kinesis, 'latest', 2)
    jobs = jobs_on(endpoint, stream, tmp_path)

    old = killed_at_the_tip(jobs, stream, tmp_path)
    jobs.run('job', '--start', 'resume', '--stop', 'now')

    assert set(jobs.backup('job')) == set(stream.backup()) - old


def test_a_service_that_begins_at_the_tip_goes_on_where_it_was_killed_and_says_so(
        endpoint: str, kinesis: Any, tmp_path: pathlib.Path) -> None:
    stream = Stream(kinesis, 'service', 2)
    jobs = jobs_on(endpoint, stream, tmp_path)
    old = killed_at_the_tip(jobs, stream, tmp_path)

    service = jobs.start('job', '--start', 'latest')
    try:
        wait_for_job(service, lambda: len(jobs.backup('job')) >= len(stream.puts) - len(old), 'all new records')
    finally:
        printed = end(service)

    assert '--start=latest counts for a new output only: going on from 20' in printed
    assert set(jobs.backup('job')) == set(stream.backup()) - old


def test_a_bounded_run_of_another_stream_is_refused_and_the_outputs_own_job_goes_on(
        endpoint: str, kinesis: Any, tmp_path: pathlib.Path) -> None:
    own, other = Stream(kinesis, 'own', 1), Stream(kinesis, 'other', 1)
    jobs = jobs_on(endpoint, own, tmp_path)
    own.put_for(2)
    jobs.run('job', '--start', 'earliest', '--stop', 'now')
    before = jobs.output.tags('job')
    other.put_for(2)
    start = json.loads(jobs.get('job', 'resume.json'))['end']

    for replace in ([], ['--replace']):
        refusal = jobs_on(endpoint, other, tmp_path).run('job', '--start', start, '--stop', 'now', *replace, code=2)

        assert '--stream: was own, is other: resume.json goes on at' in refusal
        assert jobs.output.tags('job') == before
    own.put_for(2)
    jobs.run('job', '--stop', 'now')
    assert jobs.backup('job') == own.backup()


def test_a_stream_made_again_under_the_same_name_is_refused_until_a_run_starts_over(
        endpoint: str, kinesis: Any, tmp_path: pathlib.Path) -> None:
    stream = Stream(kinesis, 'again', 1)
    jobs = jobs_on(endpoint, stream, tmp_path)
    stream.put_for(2)
    jobs.run('job', '--start', 'earliest', '--stop', 'now')
    before = jobs.output.tags('job')
    kinesis.delete_stream(StreamName='again')
    kinesis.get_waiter('stream_not_exists').wait(StreamName='again', WaiterConfig={'Delay': 1, 'MaxAttempts': 60})
    again = Stream(kinesis, 'again', 1)
    again.put()

    for start in (['--start', 'resume'], ['--start', 'earliest', '--stop', 'now']):
        refusal = jobs.run('job', *start, code=2)

        assert 'pipeline: error: --stream again: was created at' in refusal
        assert 'start over with --start=earliest --start_over' in refusal
        assert jobs.output.tags('job') == before
    time.sleep(1.1)
    report = jobs.run('job', '--start', 'earliest', '--start_over', '--stop', 'now')
    again.put_for(2)
    jobs.run('job', '--stop', 'now')

    assert 'starting over at ' in report
    after = jobs.output.tags('job')
    assert {key: after[key] for key in before if key != 'resume.json'} == {
        key: tag for key, tag in before.items() if key != 'resume.json'}
    assert set(jobs.backup('job')) == set(stream.backup()) | set(again.backup())


def test_a_start_after_the_clock_of_kinesis_is_refused(
        endpoint: str, kinesis: Any, tmp_path: pathlib.Path) -> None:
    jobs = jobs_on(endpoint, Stream(kinesis, 'future', 1), tmp_path)
    hour_ms = time.time_ns() // 1_000_000 + 3_600_000

    refusal = jobs.run('job', '--start', iso(align_down(hour_ms, FLUSH_MS)), code=2)

    assert 'must not be in the future' in refusal


def test_a_stop_in_the_future_is_waited_for(endpoint: str, kinesis: Any, tmp_path: pathlib.Path) -> None:
    stream = Stream(kinesis, 'until', 2)
    jobs = jobs_on(endpoint, stream, tmp_path)
    stop_ms = align_down(time.time_ns() // 1_000_000 + 8_000, FLUSH_MS)
    with stream.producer():
        jobs.run('job', '--start', 'earliest', '--stop', iso(stop_ms))

    arrivals = arrivals_of(stream)
    expected = {place for place, arrival_ms in arrivals.items() if arrival_ms < stop_ms}
    assert 0 < len(expected) < len(arrivals)
    assert set(jobs.backup('job')) == expected


def arrivals_of(stream: Stream) -> dict[tuple[str, str], int]:
    """Read the whole stream by the plain calls: arrival (epoch ms) by shard and sequence number."""
    found = {}
    for shard in stream.kinesis.list_shards(StreamName=stream.name)['Shards']:
        iterator = stream.kinesis.get_shard_iterator(
            StreamName=stream.name, ShardId=shard['ShardId'], ShardIteratorType='TRIM_HORIZON')['ShardIterator']
        while iterator:
            page = stream.kinesis.get_records(ShardIterator=iterator)
            found.update({(shard['ShardId'], record['SequenceNumber']):
                          round(record['ApproximateArrivalTimestamp'].timestamp() * 1000)
                          for record in page['Records']})
            iterator = page.get('NextShardIterator') if page['Records'] else None
    return found
