"""A job whose credentials cannot be renewed any more while it runs."""
from __future__ import annotations

import datetime
import json
import pathlib

import pytest

from pipeline.kinesis.client import connect
from pipeline.local.servers import LocalAws
from pipeline.main import main
from pipeline.stores.s3 import _s3_client

#: How often the helper succeeds: enough for the start of a run, too few for its end.
RENEWALS = 30


def test_a_helper_that_fails_after_hours_ends_the_run_with_what_it_said(
        tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    expiry = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=5)  # due: asked for with every call
    keys = {'Version': 1, 'AccessKeyId': 'key', 'SecretAccessKey': 'a-secret', 'Expiration': expiry.isoformat()}
    helper, calls = tmp_path / 'helper', tmp_path / 'calls'
    helper.write_text(f"""#!/bin/sh
echo >> {calls}
[ $(wc -l < {calls}) -le {RENEWALS} ] || {{ echo 'permission denied' >&2; exit 1; }}
echo '{json.dumps(keys)}'
""")
    helper.chmod(0o700)
    (tmp_path / 'config').write_text(f'[default]\ncredential_process = {helper}\n')
    with LocalAws() as aws:
        aws.create_stream('app', 1)
        aws.create_bucket('lake')
        aws.put_records('app', [('key', b'{"a":1}')])
        for cache in (_s3_client, connect):
            cache.cache_clear()
        for name in ('AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'):
            monkeypatch.delenv(name)
        monkeypatch.setenv('AWS_CONFIG_FILE', str(tmp_path / 'config'))

        code = main(['--stream', 'app', '--output', 's3://lake/x', '--start', 'earliest', '--flush_interval_s', '1',
                     '--kinesis_endpoint_url', aws.endpoint, '--s3_endpoint_url', aws.endpoint])

    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith('pipeline: ')]
    assert (code, len(lines)) == (1, 1)
    assert lines[0].startswith(('pipeline: error: Kinesis ', 'pipeline: error: S3 '))
    assert lines[0].endswith('failed with CredentialRetrievalError: check the credentials that the AWS SDK finds; '
                             'credential_process says: permission denied')
