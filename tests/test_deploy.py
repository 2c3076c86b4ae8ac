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
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from apache_beam.options.pipeline_options import FlinkRunnerOptions
from apache_beam.utils.subprocess_server import JavaJarServer

from pipeline.local.servers import LocalAws, demo_environment
from pipeline.options.options import parse_options
from pipeline.runners import worker_pool
from pipeline.runners.runners import beam_options, readers_of
from tests.http_server import running

ROOT = pathlib.Path(__file__).parents[1]
DEPLOY = ROOT / 'deploy'
DOCKERFILE = (DEPLOY / 'Dockerfile').read_text()
PARTS: dict[tuple[str, str], dict[str, Any]] = {
    (part['kind'], part['metadata']['name']): part
    for part in yaml.safe_load_all((DEPLOY / 'flink.yaml').read_text())}
CLUSTER, OPERATOR_NAMESPACE = 'mmp-flink', 'flink-operator'
FLINK = PARTS['FlinkDeployment', CLUSTER]['spec']
SUBMITTER_POD = PARTS['Deployment', 'mmp-submitter']['spec']['template']
(SUBMITTER,) = SUBMITTER_POD['spec']['containers']
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
    assert beam.view_as(FlinkRunnerOptions).flink_master == f'{CLUSTER}-rest:8081'
    assert f'--sdk_worker_parallelism={slots}' in SUBMITTER['args']


def test_the_pool_listens_where_the_job_looks_for_it() -> None:
    python, flag, module, port = POOL['command']

    assert (python, flag, module) == ('python', '-m', worker_pool.__name__)
    assert f'--environment_config=localhost:{port}' in SUBMITTER['args']
    assert 'ports' not in POOL  # it listens on the loopback interface


def merged(*templates: dict[str, Any]) -> dict[str, Any]:
    """Merge templates of pods as the operator does: the later one counts, and lists go together by name."""
    result: dict[str, Any] = {}
    for template in templates:
        for key, value in template.items():
            former = result.get(key)
            if isinstance(value, dict) and isinstance(former, dict):
                result[key] = merged(former, value)
            elif isinstance(value, list) and isinstance(former, list) and isinstance(value[0], dict):
                by_name = {item['name']: item for item in former}
                for item in value:
                    by_name[item['name']] = merged(by_name.get(item['name'], {}), item)
                result[key] = list(by_name.values())
            else:
                result[key] = value
    return result


#: What each pod is in the end, and its service account.
PODS = {
    'jobmanager': (merged(FLINK['podTemplate'], FLINK['jobManager']['podTemplate'])['spec'], FLINK['serviceAccount']),
    'taskmanager': (merged(FLINK['podTemplate'], FLINK['taskManager']['podTemplate'])['spec'],
                    FLINK['flinkConfiguration']['kubernetes.taskmanager.service-account']),
    'submitter': (SUBMITTER_POD['spec'], SUBMITTER_POD['spec']['serviceAccountName'])}
EACH_POD = pytest.mark.parametrize('name', PODS)


def test_each_kind_of_pod_has_a_service_account_of_its_own_and_there_are_no_others() -> None:
    accounts = [account for _, account in PODS.values()]

    assert sorted(accounts) == sorted(name for kind, name in PARTS if kind == 'ServiceAccount')
    assert len({*accounts}) == len(PODS)
    roles = [PARTS['ServiceAccount', account]['metadata']['annotations']['eks.amazonaws.com/role-arn']
             for account in accounts]
    assert len({*roles}) == len(PODS)
    assert FLINK['flinkConfiguration']['state.checkpoints.dir'].startswith('s3://')


def test_only_the_jobmanager_may_do_anything_in_kubernetes_and_only_what_it_does() -> None:
    ((_, binding),) = [part for part in PARTS.items() if part[0][0].endswith('RoleBinding')]
    ((_, role),) = [part for part in PARTS.items() if part[0][0].endswith('Role')]
    granted = {(group, resource): {*rule['verbs']} for rule in role['rules'] for group in rule['apiGroups']
               for resource in rule['resources']}
    reading = {'get', 'list', 'watch'}

    assert (binding['kind'], role['kind']) == ('RoleBinding', 'Role')  # not of the whole cluster
    assert binding['subjects'] == [{'kind': 'ServiceAccount', 'name': FLINK['serviceAccount']}]
    assert (binding['roleRef']['kind'], binding['roleRef']['name']) == ('Role', role['metadata']['name'])
    assert granted.pop(('', 'pods')) == reading | {'create', 'delete'}
    assert {*granted} == {('', 'configmaps'), ('', 'services'), ('apps', 'deployments')}
    assert all(verbs <= reading for verbs in granted.values())


@EACH_POD
def test_only_the_jobmanager_has_a_token_for_the_api_of_kubernetes(name: str) -> None:
    pod, account = PODS[name]

    assert PARTS['ServiceAccount', account]['automountServiceAccountToken'] is False
    assert pod['automountServiceAccountToken'] is (name == 'jobmanager')


@EACH_POD
def test_no_container_is_root_or_can_become_it(name: str) -> None:
    pod, _ = PODS[name]
    context = pod['securityContext']

    assert (context['runAsNonRoot'], context['seccompProfile']) == (True, {'type': 'RuntimeDefault'})
    assert context['runAsUser'] > 0
    assert context['fsGroup'] == context['runAsGroup'] > 0  # or it cannot read the token for AWS
    assert not {'hostNetwork', 'hostPID', 'hostIPC', 'hostUsers'} & {*pod}
    for container in pod['containers']:
        held = dict(container['securityContext'])
        assert held.pop('allowPrivilegeEscalation') is False
        assert held.pop('capabilities') == {'drop': ['ALL']}
        assert held == ({} if container['name'] == 'flink-main-container' else {'readOnlyRootFilesystem': True})


@EACH_POD
def test_a_container_with_a_read_only_file_system_has_a_place_for_temporary_files(name: str) -> None:
    pod, _ = PODS[name]

    for container in pod['containers']:
        if container['securityContext'].get('readOnlyRootFilesystem'):
            (mount,) = container['volumeMounts']
            assert mount['mountPath'] == '/tmp'
            assert {'name': mount['name'], 'emptyDir': {}} in pod['volumes']


def test_the_user_of_the_submitter_is_that_of_its_image_by_number() -> None:
    user = one(r'(?m)^USER (\d+)$', DOCKERFILE)

    assert f'useradd --create-home --uid {user} ' in DOCKERFILE
    assert SUBMITTER_POD['spec']['securityContext']['runAsUser'] == int(user)


def test_only_the_submitter_and_the_operator_in_its_own_namespace_reach_flink() -> None:
    policy = PARTS['NetworkPolicy', CLUSTER]['spec']

    assert policy == {
        'podSelector': {'matchLabels': {'app': CLUSTER}}, 'policyTypes': ['Ingress'], 'ingress': [
            {'from': [{'podSelector': {'matchLabels': {'app': CLUSTER}}}]},
            {'from': [
                {'podSelector': {'matchLabels': SUBMITTER_POD['metadata']['labels']}},
                {'namespaceSelector': {'matchLabels': {'kubernetes.io/metadata.name': OPERATOR_NAMESPACE}},
                 'podSelector': {'matchLabels': {'app.kubernetes.io/name': 'flink-kubernetes-operator'}}}],
             'ports': [{'port': 8081}]}]}


def test_nobody_reaches_the_submitter() -> None:
    labels = SUBMITTER_POD['metadata']['labels']

    assert PARTS['NetworkPolicy', 'mmp-submitter']['spec'] == {
        'podSelector': {'matchLabels': labels}, 'policyTypes': ['Ingress']}
    assert PARTS['Deployment', 'mmp-submitter']['spec']['selector'] == {'matchLabels': labels}


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

    with running(http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)) as server:
        yield f'127.0.0.1:{server.server_port}'


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
