from __future__ import annotations

import pathlib
import subprocess
import sys

from pipeline.local.servers import demo_environment


def test_a_region_that_nobody_names_is_asked_for_by_its_option(tmp_path: pathlib.Path) -> None:
    environment = demo_environment()
    del environment['AWS_DEFAULT_REGION']

    done = subprocess.run([sys.executable, '-m', 'pipeline', '--stream', 'events', '--output', str(tmp_path)],
                          env=environment, text=True, capture_output=True, timeout=50)

    assert (done.returncode, done.stdout, done.stderr) == (2, '', (
        'pipeline: error: --aws_region: must be given: neither an ARN in --stream nor the AWS SDK\'s configuration '
        'names a region\n'))
