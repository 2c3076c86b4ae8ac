"""A stream that grows from 2 to 64 shards and back while jobs with the default layout read it: none is ever stopped."""
from __future__ import annotations

import pathlib
import time

import pytest

from tests.integration.destinations import Folder
from tests.integration.external_servers import client, kinesis_local
from tests.integration.jobs import Jobs, end, kill, wait_for_job, windows_of
from tests.integration.stream import Stream

pytestmark = pytest.mark.timeout(600)
DOUBLINGS = (4, 8, 16, 32, 64)


def test_a_stream_may_grow_to_64_shards_and_back_while_jobs_read_it(tmp_path: pathlib.Path) -> None:
    with kinesis_local(tmp_path) as endpoint:
        stream = Stream(client('kinesis', endpoint), 'events', 2)
        jobs = Jobs(endpoint, ['events'], Folder(tmp_path / 'out'), slack_s=4)
        stream.put_to_all()
        live = jobs.start('live')
        try:
            wait_for_job(live, lambda: jobs.manifests('live'), 'a window of 2 shards')
            with stream.producer(every_s=0.5):
                for shards in DOUBLINGS:
                    stream.scale(shards)
                stream.put_to_all()
                time.sleep(1.1)  # past the window of the last put
                jobs.run('cron', '--stop', 'now')  # a run that begins with 64 open shards
                for shards in (*DOUBLINGS[-2::-1], 2):
                    stream.scale(shards)
            stream.put_to_all()
            time.sleep(1.1)
            jobs.run('one', '--start', 'earliest', '--stop', 'now')
            last = max(jobs.manifests('one'))
            wait_for_job(live, lambda: last in jobs.output.tags('live'), f'the last window {last}')
            end(live)
        finally:
            kill(live)
        jobs.run('cron', '--stop', windows_of(jobs.manifests('one'))[1])

        assert jobs.backup('one') == stream.backup()
        assert sorted(line['number'] for line in jobs.lines('one', 'events/')) == stream.numbers
        assert len({put.shard for put in stream.puts}) >= 2 + 64 + 2
        for prefix in ('live', 'cron'):
            assert jobs.objects(prefix) == jobs.objects('one')
            found, expected = jobs.manifests(prefix), jobs.manifests('one')
            assert {key: found.get(key) for key in expected} == expected
