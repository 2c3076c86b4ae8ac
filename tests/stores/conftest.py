from __future__ import annotations

from collections.abc import Iterator

import pytest

from pipeline.local.servers import LocalAws


@pytest.fixture(scope='module')
def aws() -> Iterator[LocalAws]:
    with LocalAws() as aws:
        aws.create_bucket('lake')
        yield aws
