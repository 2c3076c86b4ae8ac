"""Resume with another layout, by the real command line."""
from __future__ import annotations

import re
import time

import pytest

from pipeline.local.servers import LocalAws
from tests.integration.lake import Lake

pytestmark = pytest.mark.timeout(300)


def test_the_former_layout_is_used_until_the_next_full_hour() -> None:
    with LocalAws() as aws:
        lake = Lake(aws, 'events', 2)
        lake.fill(60, 2, 1, seed=3)
        time.sleep(1.1)
        lake.run('lake', '--stop', 'now')
        lake.fill(60, 2, 1, seed=4)
        time.sleep(1.1)

        report = lake.run('lake', '--stop', 'now', '--output_shards', '2', '--new_layout')

        begins = re.search(r'the new layout begins at (\S+):', report)
        assert begins and begins[1].endswith(':00:00Z')
        hour = begins[1].replace('-', '').replace(':', '')
        names = {key.rsplit('/', 1)[-1] for key in lake.objects('lake')}
        assert {(name[:16] < hour, name.rsplit('-', 1)[-1]) for name in names} <= {
            (True, '00001.json.gz'), (False, '00002.json.gz')}  # the second only if this was run over a full hour
        assert len(lake.backup('lake')) == 120
