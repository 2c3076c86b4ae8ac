"""Failures of the AWS SDK, raised by the real clients of S3 and Kinesis: what passes, and the line for the rest."""
from __future__ import annotations

import contextlib
import ctypes
import datetime
import http.server
import json
import os
import pathlib
import sys
from collections.abc import Callable, Iterator

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    ReadTimeoutError,
    SSLError,
)
from botocore.parsers import ResponseParserError

from pipeline.aws import WORDS, passes
from pipeline.errors import ReadError, RunRefused, StoreError
from pipeline.kinesis.client import connect
from pipeline.kinesis.errors import PassingError
from pipeline.local.servers import LOOPBACK, REGION, demo_environment
from pipeline.stores.s3 import S3Store, _s3_client
from tests.http_server import running

URL = 'https://kinesis'
ROLE = 'arn:aws:iam::123456789012:role/x'
TOKEN = {'AWS_ROLE_ARN': ROLE, 'AWS_WEB_IDENTITY_TOKEN_FILE': '{folder}/token'}
FILE = 'check the configuration of the AWS SDK, and the credentials that it finds; the AWS SDK says: '
HELPER = 'CredentialRetrievalError: check the credentials that the AWS SDK finds; credential_process says: '
FOUND = 'check the credentials that the AWS SDK finds; the AWS SDK says: '
CERTIFICATES = ('SSLError: check the CA certificates that are given by AWS_CA_BUNDLE, --s3_verify or the AWS '
                'configuration; the AWS SDK says: SSL validation failed for ')
KEYS = {'AWS_ACCESS_KEY_ID': 'key', 'AWS_SECRET_ACCESS_KEY': 'a-secret'}


class Server(http.server.ThreadingHTTPServer):
    """A server that gives `answer` to whatever it is asked, in the place of STS and of a metadata service."""

    answer: tuple[int, bytes] = 200, b''


@pytest.fixture
def server() -> Iterator[Server]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = found.answer
            self.send_response(status)
            self.send_header('Content-Length', str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None:
            pass

    with running(Server((LOOPBACK, 0), Handler)) as found:
        yield found


@pytest.fixture
def sdk(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Configure the SDK by environment variables and the lines of a profile, and by nothing else."""
    for name in {*os.environ, *demo_environment()}:
        if name.startswith('AWS_'):
            monkeypatch.delenv(name, raising=False)
    for name, value in demo_environment().items():
        if name not in KEYS and name != 'AWS_IGNORE_CONFIGURED_ENDPOINT_URLS':
            monkeypatch.setenv(name, value)

    def configure(environment: dict[str, str], *profile: str) -> None:
        config = tmp_path / 'config'
        config.write_text('\n'.join(['[default]', *profile]).replace('{folder}', str(tmp_path)))
        for name, value in {'AWS_CONFIG_FILE': str(config), **environment}.items():
            monkeypatch.setenv(name, value.replace('{folder}', str(tmp_path)))

    for cache in (_s3_client, connect):
        cache.cache_clear()
    yield configure
    for cache in (_s3_client, connect):
        cache.cache_clear()


def s3(endpoint: str = f'http://{LOOPBACK}:1') -> object:
    return S3Store('lake', 'x', endpoint, REGION).get('a')


def kinesis(endpoint: str = f'http://{LOOPBACK}:1') -> object:
    return connect(endpoint, REGION).summary('events')


BOTH = pytest.mark.parametrize(('call', 'kind', 'what'), [
    (s3, StoreError, 'S3 GetObject on s3://lake/x/a failed with '),
    (kinesis, ReadError, 'Kinesis describe_stream_summary on stream events failed with ')], ids=['S3', 'Kinesis'])


def line_of(call: Callable[..., object], kind: type[Exception], *args: str) -> str:
    with pytest.raises(kind) as error:
        call(*args)
    line = str(error.value)
    assert '\n' not in line and 'a-secret' not in line
    return line


def helper(tmp_path: pathlib.Path, text: str) -> str:
    """Write a helper in Python, and give the line of a profile that names it."""
    (tmp_path / 'helper.py').write_text(text)
    return f'credential_process = {sys.executable} {tmp_path}/helper.py'


@contextlib.contextmanager
def permissions_count() -> Iterator[None]:
    """Give up the right of root to read what it may not (Linux: CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH)."""
    libc, header = ctypes.CDLL(None, use_errno=True), (ctypes.c_uint32 * 2)(0x20080522, 0)
    before, without = (ctypes.c_uint32 * 6)(), (ctypes.c_uint32 * 6)()
    assert libc.capget(header, before) == 0
    without[:] = before[:]
    without[0] &= ~0b110  # of three sets the effective one, its first 32 bits
    assert libc.capset(header, without) == 0
    try:
        yield
    finally:
        assert libc.capset(header, before) == 0


@BOTH
@pytest.mark.parametrize(('environment', 'line'), [
    (TOKEN, f"FileNotFoundError: {FILE}[Errno 2] No such file or directory: '{{folder}}/token'"),
    ({**TOKEN, 'AWS_WEB_IDENTITY_TOKEN_FILE': '{folder}'},
     f"IsADirectoryError: {FILE}[Errno 21] Is a directory: '{{folder}}'"),
    ({**TOKEN, 'AWS_WEB_IDENTITY_TOKEN_FILE': '{folder}/config/token'},
     f"NotADirectoryError: {FILE}[Errno 20] Not a directory: '{{folder}}/config/token'"),
    ({**TOKEN, 'AWS_WEB_IDENTITY_TOKEN_FILE': '{folder}/unreadable'},
     f"PermissionError: {FILE}[Errno 13] Permission denied: '{{folder}}/unreadable'"),
    ({**TOKEN, 'AWS_WEB_IDENTITY_TOKEN_FILE': '{folder}/empty'},
     'ParamValidationError: the AWS SDK says: Parameter validation failed: Invalid length for parameter '
     'WebIdentityToken, value: 0, valid min length: 4'),
    ({'AWS_WEB_IDENTITY_TOKEN_FILE': '{folder}/empty'}, 'InvalidConfigError: the AWS SDK says: '),
    ({}, f'NoCredentialsError: {FOUND}Unable to locate credentials'),
    ({'AWS_ACCESS_KEY_ID': 'x'}, f'PartialCredentialsError: {FOUND}Partial credentials found in env, missing: '
                                 'AWS_SECRET_ACCESS_KEY'),
    ({'AWS_PROFILE': 'x'}, f'ProfileNotFound: {FOUND}The config profile (x) could not be found'),
    ({'AWS_PROFILE': 'sso'}, f'SSOTokenLoadError: {FOUND}Error loading SSO Token: '),
    ({'AWS_PROFILE': 'role'}, f'CredentialRetrievalError: {FOUND}No credentials found in credential_source '
                              'referenced in profile role'),
    ({'AWS_CONTAINER_CREDENTIALS_FULL_URI': 'http://example.com/'}, f"ValueError: {FILE}Unsupported host"),
    ({'AWS_CONTAINER_CREDENTIALS_FULL_URI': f'http://{LOOPBACK}:1', 'AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE': '/none'},
     f"FileNotFoundError: {FILE}[Errno 2] No such file or directory: '/none'"),
    ({**KEYS, 'AWS_SESSION_TOKEN': 'a-secret\nb'},
     f'HTTPClientError: {FOUND}a header would hold a line break or another character that none may hold'),
    ({**KEYS, 'HTTP_PROXY': 'http://user:a-secret@proxy:x', 'NO_PROXY': '', 'no_proxy': ''},
     "HTTPClientError: the AWS SDK says: An HTTP Client raised an unhandled exception: Failed to parse: 'proxy:x'"),
])
def test_credentials_and_configuration_that_no_repetition_mends_are_told_at_once(
        sdk: Callable[..., None], tmp_path: pathlib.Path, call: Callable[..., object], kind: type[Exception], what: str,
        environment: dict[str, str], line: str) -> None:
    for name in ('empty', 'unreadable'):
        (tmp_path / name).touch(mode=0o000 if name == 'unreadable' else 0o600)
    sdk(environment, '[profile sso]', 'sso_session = x', 'sso_account_id = 123456789012', 'sso_role_name = x',
        '[sso-session x]', 'sso_region = us-east-1', 'sso_start_url = https://x',
        '[profile role]', f'role_arn = {ROLE}', 'credential_source = Environment')

    with permissions_count():
        answer = line_of(call, kind)

    assert answer.startswith(what + line.replace('{folder}', str(tmp_path)))


@BOTH
@pytest.mark.parametrize(('text', 'line'), [
    ('import sys; sys.exit("Permission denied:\\n  log in first")', f'{HELPER}Permission denied: log in first'),
    ('import sys; sys.exit(3)', 'CredentialRetrievalError: check the credentials that the AWS SDK finds'),
    ('print("{}")', f"{HELPER}Unsupported version '<Version key not provided>'"),
    ('print(\'{"Version": 1, "AccessKeyId": "a-secret"}\')', f"{HELPER}Missing required key in response"),
    ('print("a-secret")', f'JSONDecodeError: {FILE}Expecting value: line 1 column 1 (char 0)'),
    ('print(["a-secret"])', f'JSONDecodeError: {FILE}Expecting value: line 1 column 2 (char 1)'),
    ('print("[]")', f"AttributeError: {FILE}'list' object has no attribute 'get'"),
    ('print(\'{"Version": 1, "AccessKeyId": "x", "SecretAccessKey": "a-secret", "Expiration": 7}\')',
     f'TypeError: {FILE}'),
    ('print(\'{"Version": 1, "AccessKeyId": "x", "SecretAccessKey": "a-secret", "Expiration": "2020-01-01T00:00Z"}\')',
     f'RuntimeError: {FILE}Credentials were refreshed, but the refreshed credentials are still expired.')])
def test_what_a_helper_said_is_told_at_once(
        sdk: Callable[..., None], tmp_path: pathlib.Path, call: Callable[..., object], kind: type[Exception], what: str,
        text: str, line: str) -> None:
    sdk({}, helper(tmp_path, text))

    assert line_of(call, kind).startswith(what + line)


@BOTH
def test_of_a_long_story_of_a_helper_beginning_and_end_are_told(
        sdk: Callable[..., None], tmp_path: pathlib.Path, call: Callable[..., object], kind: type[Exception], what: str
        ) -> None:
    sdk({}, helper(tmp_path, 'import sys; sys.exit("begin" + "x" * 100_000 + "end")'))

    line = line_of(call, kind)

    assert line.startswith(f'{what}{HELPER}begin') and line.endswith('end')
    assert len(line) < len(what + HELPER) + WORDS + 10


@BOTH
@pytest.mark.parametrize(('name', 'error'), [
    ('none', "FileNotFoundError: {FILE}[Errno 2] No such file or directory: '{folder}/none'"),
    ('config', "PermissionError: {FILE}[Errno 13] Permission denied: '{folder}/config'")])
def test_a_helper_that_cannot_be_run_is_told(
        sdk: Callable[..., None], tmp_path: pathlib.Path, call: Callable[..., object], kind: type[Exception], what: str,
        name: str, error: str) -> None:
    sdk({}, f'credential_process = {{folder}}/{name} --role x')

    assert line_of(call, kind) == what + error.replace('{FILE}', FILE).replace('{folder}', str(tmp_path))


@BOTH
@pytest.mark.parametrize(('name', 'error'), [
    ('none', '[Errno 2] No such file or directory'), ('', '[Errno 21] Is a directory'),
    ('config', '[X509: NO_CERTIFICATE_OR_CRL_FOUND] no certificate or crl found')])
def test_a_bundle_of_certificates_that_cannot_be_read_is_told_at_once(
        sdk: Callable[..., None], server: Server, call: Callable[..., object], kind: type[Exception], what: str,
        name: str, error: str) -> None:
    sdk({**KEYS, 'AWS_CA_BUNDLE': f'{{folder}}/{name}'})

    line = line_of(call, kind, f'https://{LOOPBACK}:{server.server_port}')

    assert line.startswith(what + CERTIFICATES) and error in line


@BOTH
def test_credentials_that_cannot_be_renewed_are_told_with_the_call_that_met_it(
        sdk: Callable[..., None], tmp_path: pathlib.Path, server: Server, call: Callable[..., object],
        kind: type[Exception], what: str) -> None:
    expiry = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=5)
    found = {'Version': 1, 'AccessKeyId': 'key', 'SecretAccessKey': 'a-secret', 'Expiration': expiry.isoformat()}
    script = tmp_path / 'helper'
    script.write_text(f'#!/bin/sh\necho \'{json.dumps(found)}\'\n')
    script.chmod(0o700)
    sdk({}, f'credential_process = {script}')
    endpoint = f'http://{LOOPBACK}:{server.server_port}'
    server.answer = 400, b'<Error><Code>Other</Code></Error>' if call is s3 else b'{"__type":"Other"}'
    assert line_of(call, kind, endpoint).startswith(f'{what}Other')

    script.unlink()

    assert line_of(call, kind, endpoint) == (
        f"{what}FileNotFoundError: {FILE}[Errno 2] No such file or directory: '{script}'")


STS = '<ErrorResponse><Error><Code>{}</Code><Message>Not authorized to assume it</Message></Error></ErrorResponse>'


@BOTH
@pytest.mark.parametrize('code', ['AccessDenied', 'InvalidIdentityToken', 'ExpiredTokenException'])
def test_a_role_that_is_refused_is_told_apart_from_a_call_that_is(
        sdk: Callable[..., None], tmp_path: pathlib.Path, server: Server, call: Callable[..., object],
        kind: type[Exception], what: str, code: str) -> None:
    (tmp_path / 'token').write_text('a-secret-token')
    sdk({**TOKEN, 'AWS_ENDPOINT_URL_STS': f'http://{LOOPBACK}:{server.server_port}'})
    server.answer = 403, STS.format(code).encode()

    assert line_of(call, kind) == (f'{what}{code} of AssumeRoleWithWebIdentity: check the role and the token that the '
                                   'AWS SDK finds; AWS says: Not authorized to assume it')


@pytest.mark.parametrize(('answer', 'code', 'words'), [
    ((503, STS.format('ServiceUnavailable').encode()), 'ServiceUnavailable', 'AWS says: Not authorized to assume it'),
    ((400, STS.format('IDPCommunicationError').encode()), 'IDPCommunicationError', 'AWS says: ')])
def test_a_service_of_credentials_that_fails_for_now_passes(
        sdk: Callable[..., None], tmp_path: pathlib.Path, server: Server, monkeypatch: pytest.MonkeyPatch,
        answer: tuple[int, bytes], code: str, words: str) -> None:
    (tmp_path / 'token').write_text('a-secret-token')
    sdk({**TOKEN, 'AWS_ENDPOINT_URL_STS': f'http://{LOOPBACK}:{server.server_port}', 'AWS_MAX_ATTEMPTS': '1'})
    server.answer = answer
    monkeypatch.setattr('pipeline.aws.PATIENCE_S', 0.0)

    with pytest.raises(PassingError, match=code):
        kinesis()
    line = line_of(s3, StoreError)
    assert f'still fails with {code} of AssumeRoleWithWebIdentity after 0 s: check the role' in line
    assert words in line


PLAIN = 'http://192.0.2.1:9000'  # no machine has this address
RULE = (f"got '{PLAIN}', must be https: plain http is not encrypted, so it is allowed only for localhost, 127.0.0.0/8 "
        'and [::1]. If the endpoint is in a container, ')


@pytest.mark.parametrize(('call', 'service'), [
    (lambda: S3Store('lake', 'x', None, REGION).get('a'), 'S3'),
    (lambda: connect(None, REGION).summary('events'), 'KINESIS')])
@pytest.mark.parametrize(('variables', 'profile', 'where'), [
    (['AWS_ENDPOINT_URL_{}'], [], 'AWS_ENDPOINT_URL_{}'), (['AWS_ENDPOINT_URL'], [], 'AWS_ENDPOINT_URL'),
    (['AWS_ENDPOINT_URL', 'AWS_ENDPOINT_URL_{}'], [], 'AWS_ENDPOINT_URL_{}'),
    ([], [f'endpoint_url = {PLAIN}'], 'endpoint_url of {} in the configuration of the AWS SDK'),
    ([], ['services = mine', '[services mine]', 's3 =', f'  endpoint_url = {PLAIN}', 'kinesis =',
          f'  endpoint_url = {PLAIN}'], 'endpoint_url of {} in the configuration of the AWS SDK')])
def test_plain_http_to_another_machine_is_refused_wherever_the_sdk_has_it_from(
        sdk: Callable[..., None], call: Callable[[], object], service: str, variables: list[str], profile: list[str],
        where: str) -> None:
    sdk({**KEYS, **{name.format(service): PLAIN for name in variables}}, *profile)

    assert line_of(call, RunRefused).startswith(f'{where.format(service)}: {RULE}')


@BOTH
def test_a_token_is_not_sent_in_plain_http_to_another_machine(
        sdk: Callable[..., None], tmp_path: pathlib.Path, call: Callable[..., object], kind: type[Exception],
        what: str) -> None:
    (tmp_path / 'token').write_text('a-secret-token')
    sdk({**TOKEN, 'AWS_ENDPOINT_URL_STS': PLAIN})

    assert line_of(call, RunRefused).startswith(f'AWS_ENDPOINT_URL_STS: {RULE}')


def test_plain_http_to_this_machine_may_be_configured(
        sdk: Callable[..., None], server: Server) -> None:
    sdk({**KEYS, 'AWS_ENDPOINT_URL': f'http://localhost:{server.server_port}'})
    server.answer = 200, b'here'

    assert S3Store('lake', 'x', None, REGION).get('a') == b'here'


def test_a_metadata_service_that_fails_for_now_passes(
        sdk: Callable[..., None], server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('botocore.utils.ContainerMetadataFetcher.SLEEP_TIME', 0)
    monkeypatch.setattr('pipeline.aws.PATIENCE_S', 0.0)
    sdk({'AWS_CONTAINER_CREDENTIALS_FULL_URI': f'http://{LOOPBACK}:{server.server_port}'})
    server.answer = 500, b'busy'

    said = ('check the credentials that the AWS SDK finds; the AWS SDK says: Error retrieving metadata: Received non '
            '200 response 500 from container metadata: busy')
    with pytest.raises(PassingError, match='CredentialRetrievalError') as error:
        kinesis()
    assert error.value.reason == said
    assert line_of(s3, StoreError) == (
        f'S3 GetObject on s3://lake/x/a still fails with CredentialRetrievalError after 0 s: {said}; what is '
        'committed stays, go on with --start=resume')


@pytest.mark.parametrize('error', [
    EndpointConnectionError(endpoint_url=URL), ConnectTimeoutError(endpoint_url=URL),
    ReadTimeoutError(endpoint_url=URL), ConnectionClosedError(endpoint_url=URL), ResponseParserError('not JSON'),
    SSLError(endpoint_url=URL, error='EOF occurred in violation of protocol')], ids=lambda error: type(error).__name__)
def test_a_network_that_fails_passes(error: BotoCoreError | ResponseParserError) -> None:
    assert passes(error)


@pytest.mark.parametrize('error', [
    NoCredentialsError(), ParamValidationError(report='x'),
    SSLError(endpoint_url=URL, error='[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed')],
    ids=lambda error: type(error).__name__)
def test_what_no_repetition_mends_does_not(error: BotoCoreError) -> None:
    assert not passes(error)
