"""The deployment files agree with one another, with setup.py and with the program, as far as can be told here."""
from __future__ import annotations

import contextlib
import http.server
import importlib.metadata
import json
import pathlib
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import yaml
from apache_beam.options.pipeline_options import FlinkRunnerOptions
from apache_beam.runners.worker import worker_pool_main
from apache_beam.utils.subprocess_server import JavaJarServer

from pipeline.local.servers import LocalAws, demo_environment
from pipeline.options.options import parse_options
from pipeline.runners.runners import beam_options, readers_of

ROOT = pathlib.Path(__file__).parents[1]
DEPLOY = ROOT / 'deploy'
DOCKERFILE = (DEPLOY / 'Dockerfile').read_text()
PARTS: dict[str, dict[str, Any]] = {part['kind']: part
                                    for part in yaml.safe_load_all((DEPLOY / 'flink.yaml').read_text())}
FLINK = PARTS['FlinkDeployment']['spec']
(SUBMITTER,) = PARTS['Deployment']['spec']['template']['spec']['containers']
MAIN, POOL = FLINK['taskManager']['podTemplate']['spec']['containers']
ROLE = 'arn:aws:iam::123456789012:role/mmp-pipeline'


def one(pattern: str, text: str) -> str:
    """Find what a pattern with one group is about, once."""
    (found,) = re.findall(pattern, text)
    return str(found)


def test_the_worker_image_holds_the_beam_that_setup_py_asks_for() -> None:
    tag = one(r'FROM apache/beam_python3\.11_sdk:(\S+)', DOCKERFILE)

    assert f'apache-beam[aws]>={tag.removesuffix(".0")},<' in (ROOT / 'setup.py').read_text()
    assert tag == importlib.metadata.version('apache-beam')


def test_the_images_are_tagged_by_the_version_of_the_package() -> None:
    version = one(r"version='(.+)'", (ROOT / 'setup.py').read_text())
    text = DOCKERFILE + (DEPLOY / 'flink.yaml').read_text() + (DEPLOY / 'README.md').read_text()

    assert set(re.findall(r'REGISTRY/[a-z-]+:(\S+)', text)) == {version}


def test_what_the_image_copies_is_there_and_holds_both_packages() -> None:
    copied = [source for line in re.findall(r'^COPY (.+) \S+$', DOCKERFILE, re.MULTILINE) for source in line.split()]

    assert [source for source in copied if not (ROOT / source).exists()] == []
    assert {'setup.py', 'pipeline', 'transforms'} <= set(copied)


def test_the_versions_of_flink_agree_and_beam_knows_them() -> None:
    image = one(r'flink:(\d+\.\d+\.\d+)-java17', FLINK['image'])
    series = image.rpartition('.')[0]
    (main,) = FLINK['podTemplate']['spec']['containers']

    assert main['name'] == MAIN['name'] == 'flink-main-container'  # or the plugin would go to the worker pool
    assert FLINK['flinkVersion'] == f'v{series.replace(".", "_")}'
    assert main['env'] == [{'name': 'ENABLE_BUILT_IN_PLUGINS', 'value': f'flink-s3-fs-hadoop-{image}.jar'}]
    assert f'--flink_version={series}' in SUBMITTER['args']
    assert one(r'ARG FLINK_VERSION=(\S+)', DOCKERFILE) == series
    assert series in FlinkRunnerOptions.PUBLISHED_FLINK_VERSIONS


def test_the_submitter_image_fetches_the_job_server_that_beam_would() -> None:
    target = one(r"server\.local_jar\(server\.path_to_beam_jar\('(.+?)'\)\)", DOCKERFILE)

    jar = JavaJarServer.path_to_beam_jar(target.replace('$FLINK_VERSION', '1.20'))
    assert jar.endswith('/beam-runners-flink-1.20-job-server-2.77.0.jar')


def test_the_program_takes_the_submitters_arguments() -> None:
    options = parse_options(SUBMITTER['args'])
    beam = beam_options(options)

    slots = int(FLINK['flinkConfiguration']['taskmanager.numberOfTaskSlots'])
    assert (options.runner, options.stop, readers_of(options, beam)) == ('FlinkRunner', None, 16)
    assert beam.view_as(FlinkRunnerOptions).flink_master == f'{PARTS["FlinkDeployment"]["metadata"]["name"]}-rest:8081'
    assert f'--sdk_worker_parallelism={slots}' in SUBMITTER['args']


def test_the_pool_listens_where_the_job_looks_for_it() -> None:
    (port,) = (item['containerPort'] for item in POOL['ports'])
    assert POOL['args'] == ['--worker_pool']
    assert f'--environment_config=localhost:{port}' in SUBMITTER['args']
    assert callable(worker_pool_main.main)


def test_all_pods_have_the_role_and_the_cluster_a_place_for_checkpoints() -> None:
    name, pod = PARTS['ServiceAccount']['metadata']['name'], PARTS['Deployment']['spec']['template']['spec']

    assert (FLINK['serviceAccount'], pod['serviceAccountName']) == (name, name)
    assert FLINK['flinkConfiguration']['state.checkpoints.dir'].startswith('s3://')
    assert PARTS['RoleBinding']['roleRef']['name'] == PARTS['Role']['metadata']['name']
    assert [subject['name'] for subject in PARTS['RoleBinding']['subjects']] == [name]


def test_only_the_submitter_and_the_operator_reach_flink_and_nobody_the_worker_pools() -> None:
    policy, pod = PARTS['NetworkPolicy']['spec'], PARTS['Deployment']['spec']['template']['metadata']
    inside, outside = policy['ingress']

    assert policy['podSelector']['matchLabels'] == {'app': PARTS['FlinkDeployment']['metadata']['name']}
    assert inside == {'from': [{'podSelector': policy['podSelector']}]}
    assert outside['from'][0] == {'podSelector': {'matchLabels': pod['labels']}}
    assert outside['ports'] == [{'port': 8081}]


@contextlib.contextmanager
def metadata_server(asked: list[tuple[str, str | None]]) -> Iterator[str]:
    """Run a metadata server of Google Cloud, by script; notes what it was asked for. Gives its host and port."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers['Metadata-Flavor']))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'header.claims.signature')

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={'poll_interval': 0.01})
        thread.start()
        try:
            yield f'127.0.0.1:{server.server_port}'
        finally:
            server.shutdown()
            thread.join()


def test_workers_on_google_cloud_get_aws_credentials_by_their_service_account(tmp_path: pathlib.Path) -> None:
    asked: list[tuple[str, str | None]] = []
    config = tmp_path / 'config'
    config.write_text(f'[default]\ncredential_process = {sys.executable} {DEPLOY}/aws_credentials.py {ROLE} mmp\n')
    show = ("import boto3, json; found = boto3.Session().get_credentials(); print(json.dumps([found.method, "
            "*found.get_frozen_credentials()]))")
    with LocalAws() as aws, metadata_server(asked) as host:
        environment = demo_environment()
        for name in ('AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_IGNORE_CONFIGURED_ENDPOINT_URLS'):
            del environment[name]
        done = subprocess.run([sys.executable, '-c', show], text=True, capture_output=True, timeout=50, env={
            **environment, 'AWS_CONFIG_FILE': str(config), 'GCE_METADATA_HOST': host,
            'AWS_ENDPOINT_URL_STS': aws.endpoint})

    assert done.returncode == 0, done.stderr
    method, key, secret, token = json.loads(done.stdout)[:4]
    assert (method, bool(key and secret and token)) == ('custom-process', True)
    assert asked == [('/computeMetadata/v1/instance/service-accounts/default/identity?audience=mmp&format=full',
                      'Google')]


def test_the_helper_says_in_one_line_why_it_has_no_credentials() -> None:
    done = subprocess.run([sys.executable, str(DEPLOY / 'aws_credentials.py'), ROLE, 'mmp'], text=True,
                          capture_output=True, timeout=50,
                          env={**demo_environment(), 'GCE_METADATA_HOST': '127.0.0.1:1'})

    assert (done.returncode, done.stdout) == (1, '')
    assert re.fullmatch('URLError: <urlopen error .*Connection refused>\n', done.stderr)
