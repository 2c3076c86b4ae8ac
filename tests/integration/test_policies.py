"""Buckets with a policy that S3 enforces: one that requires encryption, one that denies deletion."""
from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pipeline.local.servers import LocalAws
from pipeline.main import main
from tests.integration.external_servers import client, seaweedfs

pytestmark = pytest.mark.timeout(300)
PUT = {'Action': 's3:PutObject', 'Condition': {'StringNotEquals': {'s3:x-amz-server-side-encryption': 'AES256'}}}
DELETE = {'Action': 's3:DeleteObject'}


class Site(NamedTuple):
    """A stream with a closed window of records, and an S3."""

    s3: Any
    options: tuple[str, ...]

    def bucket(self, name: str, *denied: dict[str, Any]) -> None:
        """Create a bucket that denies these actions to everybody."""
        self.s3.create_bucket(Bucket=name)
        deny = {'Effect': 'Deny', 'Principal': '*', 'Resource': f'arn:aws:s3:::{name}/*'}
        statements = [{**deny, **what} for what in denied]
        self.s3.put_bucket_policy(Bucket=name, Policy=json.dumps({'Version': '2012-10-17', 'Statement': statements}))

    def run(self, name: str, *options: str) -> int:
        """Run the job in this process."""
        return main([*self.options, '--output', f's3://{name}/x', '--start', 'earliest', '--stop', 'now', *options])

    def keys(self, name: str) -> list[str]:
        """Return the keys of a bucket."""
        return [item['Key'] for item in self.s3.list_objects_v2(Bucket=name).get('Contents', ())]


@pytest.fixture(scope='module')
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with LocalAws() as aws, seaweedfs(tmp_path_factory.mktemp('policies')) as endpoint:
        aws.create_stream('app', 1)
        aws.put_records('app', [('key', b'{"platform":"ios","os":"android","b":1}')])
        time.sleep(1.1)
        yield Site(client('s3', endpoint), ('--stream', 'app', '--flush_interval_s', '1', '--slack_s', '1',
                                            '--kinesis_endpoint_url', aws.endpoint, '--s3_endpoint_url', endpoint))


def test_a_bucket_that_demands_encryption_gets_it_with_every_put(
        site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.bucket('demands', PUT)

    assert site.run('demands') == 2
    assert capsys.readouterr().err == (
        'pipeline: error: --output: S3 PutObject on s3://demands/x/.write-check failed with AccessDenied: grant '
        's3:PutObject below the prefix; if a policy demands encryption, give --s3_sse; AWS says: Access Denied.\n')
    assert site.run('demands', '--s3_sse', 'AES256') == 0
    heads = {key: site.s3.head_object(Bucket='demands', Key=key) for key in site.keys('demands')}
    assert {key.split('/')[1] for key in heads} == {'backup', 'events', 'manifests', 'resume.json'}
    assert {head['ServerSideEncryption'] for head in heads.values()} == {'AES256'}


def test_a_bucket_that_denies_deletion_is_written_to_and_says_so_when_something_has_to_go(
        site: Site, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    site.bucket('keeps', DELETE)
    rename = tmp_path / 'rename.json'
    rename.write_text('{"platform":"store"}')

    assert (site.run('keeps'), site.run('keeps')) == (0, 0)
    assert '.write-check' not in str(site.keys('keeps'))
    before = [key for key in site.keys('keeps') if key.startswith('x/events/')]
    end = json.loads(site.s3.get_object(Bucket='keeps', Key='x/resume.json')['Body'].read())['end']
    capsys.readouterr()

    assert site.run('keeps', '--rename', str(rename), '--replace', '--stop', end) == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith(f'pipeline: error: S3 DeleteObject on s3://keeps/{before[0]} failed with AccessDenied: '
                           'grant s3:DeleteObject below the prefix: something has to be removed')
    site.s3.delete_bucket_policy(Bucket='keeps')
    assert site.run('keeps', '--rename', str(rename), '--replace', '--stop', end) == 0
    assert [key for key in site.keys('keeps') if key.startswith('x/events/')] == [
        before[0].replace('platform=ios', 'platform=unknown')]
