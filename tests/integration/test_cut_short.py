"""A window that is cut short on purpose gets no manifest, and a resume completes it."""
from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from pipeline.local.servers import LocalAws, demo_environment
from tests.integration.jobs import ROOT
from tests.integration.lake import Lake, needs_prism, windows_of
from tests.waiting import TIMEOUT_S

pytestmark = pytest.mark.timeout(600)

#: With more than one reader, Prism closes windows too early, so the command line refuses that.
THREE_READERS_ON_PRISM = """
import sys
from pipeline.run import execute
from pipeline.main import leave, main
from tests.integration.prism_readers import close_early
close_early()
execute.readers_of = lambda options, built: 3
leave(main(sys.argv[1:]))
"""


@pytest.fixture(scope='module')
def lake() -> Iterator[Lake]:
    with LocalAws() as aws:
        lake = Lake(aws, 'events', 4)
        lake.fill(400, 3, 4, seed=7)
        time.sleep(1.1)  # past the window of the last put
        lake.run('whole', '--start', 'earliest', '--stop', 'now')
        yield lake


def test_windows_that_the_runner_closed_early_get_no_manifest_until_a_resume(lake: Lake) -> None:
    needs_prism()
    start, stop = windows_of(lake.manifests('whole'))
    args = lake.command('early', '--runner', 'PrismRunner', '--start', start, '--stop', stop)[3:]

    cut = subprocess.run([sys.executable, '-c', THREE_READERS_ON_PRISM, *args], cwd=ROOT, env=demo_environment(),
                         text=True, capture_output=True, timeout=TIMEOUT_S)

    missing = lake.manifests('whole').keys() - lake.manifests('early').keys()
    assert cut.returncode == 1
    assert cut.stderr.count(' is not complete: ') >= len(missing) > 0
    assert f'pipeline: error: {len(missing)} windows between {start} and {stop} have no manifest' in cut.stderr
    resume = json.loads(lake.get('early', 'resume.json'))
    assert resume['end_ms'] == min(json.loads(lake.get('whole', key))['window_ms'] for key in missing)

    lake.run('early', '--start', 'resume', '--stop', stop)

    assert lake.objects('early') == lake.objects('whole')
    assert lake.manifests('early') == lake.manifests('whole')
