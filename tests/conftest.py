"""In CI a skip is a failure, no property fails for want of time, and nothing that the tests start outlives them."""
from __future__ import annotations

import functools
import os
import subprocess
import sys
import uuid
from collections.abc import Generator
from typing import Any

import botocore.loaders
import hypothesis
import pytest

from pipeline.progress import PROGRESS, Progress
from tests import keeper

hypothesis.settings.register_profile('without a deadline', deadline=None)
hypothesis.settings.register_profile('fast', deadline=None, max_examples=25)  # of ./run.sh test --fast
hypothesis.settings.load_profile('without a deadline')

#: The models of AWS services take 0.1 s to read, and hundreds of tests make a session of their own.
botocore.loaders.JSONFileLoader.load_file = staticmethod(functools.cache(botocore.loaders.JSONFileLoader().load_file))
KEEPER = pytest.StashKey[tuple[str, 'subprocess.Popen[bytes]']]()


def pytest_configure(config: pytest.Config) -> None:
    """Start the keeper of this process, a worker of pytest-xdist or their master, then mark what it starts."""
    mark = f'MMP_TESTS_{uuid.uuid4().hex}'
    config.stash[KEEPER] = mark, subprocess.Popen(
        [sys.executable, '-I', keeper.__file__, mark], stdin=subprocess.PIPE, start_new_session=True)
    os.environ[mark] = '1'


def pytest_unconfigure(config: pytest.Config) -> None:
    """Let the keeper end what is left after an orderly end, too."""
    mark, process = config.stash[KEEPER]
    os.environ.pop(mark, None)
    process.communicate()


@pytest.fixture(autouse=True)
def _no_progress() -> None:
    """A process runs one job, and the tests of a worker many: each begins without what the one before did."""
    vars(PROGRESS).update(vars(Progress()))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Generator[None, Any, Any]:
    report = yield
    if report.skipped and not hasattr(report, 'wasxfail') and os.environ.get('MMP_NO_SKIPS'):
        report.outcome = 'failed'
        report.longrepr = f'skipped, which CI does not allow: {report.longrepr}'
    return report
