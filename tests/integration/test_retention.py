"""Streams that have dropped records, on a stub: no local Kinesis server drops anything within a test."""
from __future__ import annotations

import json
import pathlib
import time

import pytest

from pipeline.windows import align_down, iso
from tests.integration.destinations import Folder
from tests.integration.jobs import FLUSH_MS, Jobs, end, time_in, wait_for_job
from tests.integration.lake import needs_prism
from tests.integration.stub import Stub, StubRecord, just_begun, serve

pytestmark = pytest.mark.timeout(600)


def test_earliest_in_a_stream_past_its_retention_begins_a_whole_window_after_the_horizon_and_says_so(
        tmp_path: pathlib.Path) -> None:
    now_ms = align_down(time.time_ns() // 1_000_000, FLUSH_MS)
    created_ms, stop_ms = now_ms - 100_000, now_ms + 300_000  # the retention ends between them, a minute from now
    stub = Stub(1, 50, lambda shard, place: [StubRecord(created_ms + place * 10_000, b'{"n":1}')], created_ms)
    stub.ahead_s = 86_400
    with serve(stub) as endpoint:
        jobs = Jobs(endpoint, ['events'], Folder(tmp_path), slack_s=2)
        report = jobs.run('job', '--start', 'earliest', '--stop', iso(stop_ms))

    start_ms = time_in(report, 'what arrived before ')
    assert now_ms + 60_000 <= start_ms < stop_ms
    assert [manifest['window_ms'] for manifest in jobs.manifests('job').values()] == [
        *range(start_ms, stop_ms, FLUSH_MS)]
    assert sorted(line['approximateArrivalTimestamp'] for line in jobs.lines('job', 'backup/')) == [
        arrival_ms for arrival_ms in range(created_ms, stop_ms, 10_000) if arrival_ms >= start_ms]


def test_a_gap_stops_a_resume_unless_it_is_told_to_skip(tmp_path: pathlib.Path) -> None:
    start_ms = align_down(time.time_ns() // 1_000_000 - 600_000, FLUSH_MS)
    stub = Stub(2, 3, lambda shard, place: [StubRecord(start_ms + place * FLUSH_MS, b'{"n":1}')], start_ms)
    with serve(stub) as endpoint:
        jobs = Jobs(endpoint, ['events'], Folder(tmp_path), slack_s=2)
        jobs.run('job', '--start', 'earliest', '--stop', iso(start_ms + 2 * FLUSH_MS))
        before = jobs.output.tags('job')
        stub.ahead_s = 86_400

        refusal = jobs.run('job', '--start', 'resume', '--stop', 'now', code=2)
        after_refusal = jobs.output.tags('job')
        stop_ms = time_in(refusal, '--on_gap=skip goes on at ') + 90 * FLUSH_MS  # the gap grows meanwhile
        report = jobs.run('job', '--start', 'resume', '--on_gap', 'skip', '--stop', iso(stop_ms))

    lost = f'what arrived from {iso(start_ms + 2 * FLUSH_MS)} on is lost in part'
    assert lost in refusal and lost in report
    assert after_refusal == before
    whole_again_ms = time_in(report, 'went on at ')
    assert sorted(manifest['window_ms'] for manifest in jobs.manifests('job').values()) == [
        start_ms, start_ms + FLUSH_MS, *range(whole_again_ms, stop_ms, FLUSH_MS)]
    assert {key: tag for key, tag in jobs.output.tags('job').items() if key in before and key != 'resume.json'} == {
        key: tag for key, tag in before.items() if key != 'resume.json'}
    assert json.loads(jobs.get('job', 'resume.json'))['end_ms'] == stop_ms


def test_a_job_running_on_prism_that_is_told_to_skip_goes_on_after_a_gap(tmp_path: pathlib.Path) -> None:
    needs_prism()
    stub = just_begun()
    with serve(stub) as endpoint:
        jobs = Jobs(endpoint, ['events'], Folder(tmp_path))
        job = jobs.start('job', '--start', iso(stub.created_ms), '--on_gap', 'skip', '--runner', 'PrismRunner')
        try:
            wait_for_job(job, lambda: len(jobs.manifests('job')) >= 5, 'five windows')
            gap_ms = time.time_ns() // 1_000_000
            stub.ahead_s = 86_400
            wait_for_job(job, lambda: max(manifest['window_ms'] for manifest in jobs.manifests('job').values())
                         > gap_ms + 60_000, 'a window after the gap')
        finally:
            printed = end(job)

    assert 'retention ran ahead of reading: going on after what is lost' in printed
    assert not [manifest for manifest in jobs.manifests('job').values()
                if gap_ms + 2 * FLUSH_MS < manifest['window_ms'] < gap_ms + 50_000]
