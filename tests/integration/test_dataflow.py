"""The graph that Dataflow would receive, by the command line of the job and a dry run, without an account."""
from __future__ import annotations

import json
import subprocess

import pytest

from pipeline.local.servers import LocalAws, demo_environment
from tests.integration.external_servers import ROOT, TOOLS

PYTHON = TOOLS / 'dataflow/bin/python'
OPTIONS = ['--runner=DataflowRunner', '--project=my-project', '--region=europe-west1', '--dry_run=True',
           '--temp_location=gs://bucket/temp', '--staging_location=gs://bucket/staging', '--max_num_workers=2']
BYTES, VARINT, PAIR = ('beam:coder:bytes:v1', 'beam:coder:varint:v1', 'beam:coder:kv:v1')


@pytest.mark.timeout(300)
def test_the_graph_for_dataflow_streams_has_deterministic_keys_and_needs_only_splittable_dofns() -> None:
    if not PYTHON.exists():
        pytest.skip("needs Beam's extra for Google Cloud: ./run.sh test installs it")
    with LocalAws() as aws:
        aws.create_stream('events', 2)
        aws.create_bucket('lake')
        done = subprocess.run(
            [PYTHON, '-m', 'tests.integration.dataflow_graph', '--stream=events', '--output=s3://lake/mobile',
             f'--kinesis_endpoint_url={aws.endpoint}', f'--s3_endpoint_url={aws.endpoint}', *OPTIONS],
            cwd=ROOT, env=demo_environment(), text=True, capture_output=True, timeout=200)
        written = aws.s3.list_objects_v2(Bucket='lake')['KeyCount']

    assert done.returncode == 0, done.stderr
    *said, graph = done.stdout.splitlines()
    assert (said[-1], written) == ('a dry run: nothing was read, nothing written', 0)
    assert json.loads(graph) == {
        'type': 'JOB_TYPE_STREAMING', 'name': 'mmp-pipeline-s3-lake-mobile',
        'requirements': ['beam:requirement:pardo:splittable_dofn:v1'],
        'keys': {'CommitWindow/Gather': [BYTES], 'WriteObjects/Group': [BYTES],
                 'ReadKinesis/SpreadReaders/ReshufflePerKey/GroupByKey': [VARINT]},
        'readers': [PAIR, VARINT, VARINT], 'unbounded': ['CommitWindow/Gather', 'WriteObjects/Group'],
        'images': ['beam:env:docker:v1']}
