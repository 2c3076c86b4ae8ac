"""What listens while a job runs, seen in the tables of the kernel."""
from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pytest

from pipeline.local.servers import LocalAws
from tests.integration.destinations import Folder
from tests.integration.jobs import Jobs, end, kill, wait_for_job
from tests.integration.lake import needs_prism
from tests.listening import is_loopback, listening, processes_of_session

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope='module')
def aws() -> Iterator[LocalAws]:
    with LocalAws() as aws:
        aws.create_stream('events', 1)
        aws.put_records('events', [('key', b'{"n":1}')])
        yield aws


@pytest.mark.parametrize(('runner', 'open_ports'), [('DirectRunner', []), ('PrismRunner', ['prism'])])
def test_nothing_of_a_job_listens_to_other_machines_but_the_job_port_of_prism(
        aws: LocalAws, tmp_path: pathlib.Path, runner: str, open_ports: list[str]) -> None:
    if runner == 'PrismRunner':
        needs_prism()
    jobs = Jobs(aws.endpoint, ['events'], Folder(tmp_path))
    job = jobs.start('lake', '--start', 'earliest', '--runner', runner)
    try:
        wait_for_job(job, lambda: jobs.whole_manifests('lake'), 'a manifest')
        programs = processes_of_session(job.pid)
        sockets = listening(programs)
        end(job)
    finally:
        kill(job)

    assert [programs[process] for process, host, _ in sockets if not is_loopback(host)] == open_ports
    assert len(sockets) == (2 if open_ports else 0)  # the worker pool and the job port
