"""In CI nothing may be skipped: there a skip is a failure. And no property may fail for want of time."""
from __future__ import annotations

import os
from collections.abc import Generator
from typing import Any

import hypothesis
import pytest

hypothesis.settings.register_profile('without a deadline', deadline=None)
hypothesis.settings.load_profile('without a deadline')


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Generator[None, Any, Any]:
    report = yield
    if report.skipped and not hasattr(report, 'wasxfail') and os.environ.get('MMP_NO_SKIPS'):
        report.outcome = 'failed'
        report.longrepr = f'skipped where nothing may be: {report.longrepr}'
    return report
