from __future__ import annotations

import contextlib
import http.server
import os
import types
from collections.abc import Callable, Iterator

import pytest

from pipeline.errors import StoreError
from pipeline.local.servers import LOOPBACK, LocalAws, demo_environment
from pipeline.stores.s3 import S3Store
from tests.http_server import running

BUCKET = 'lake'


@pytest.mark.parametrize(('path', 'kind'), [
    ('x.json.gz', 'application/x-gzip'), ('x.json', 'application/json'), ('resume.json', 'application/json')])
def test_objects_on_s3_have_a_content_type(aws: LocalAws, path: str, kind: str) -> None:
    S3Store(BUCKET, 'kinds', aws.endpoint).put(path, b'{}')

    head = aws.s3.head_object(Bucket=BUCKET, Key=f'kinds/{path}')
    assert (head['ContentType'], head.get('ContentEncoding')) == (kind, None)



@pytest.mark.parametrize(('sse', 'key', 'shown'), [
    (None, None, ('AES256', None)), ('AES256', None, ('AES256', None)), ('aws:kms', None, ('aws:kms', None)),
    ('aws:kms', 'alias/lake', ('aws:kms', 'alias/lake'))])
def test_objects_on_s3_are_encrypted_as_the_options_say(aws: LocalAws, sse: str | None, key: str | None,
                                             shown: tuple[str, str | None]) -> None:
    S3Store(BUCKET, 'sse', aws.endpoint, sse=sse, kms_key_id=key).put('a', b'1')

    head = aws.s3.head_object(Bucket=BUCKET, Key='sse/a')
    assert (head.get('ServerSideEncryption', 'AES256'), head.get('SSEKMSKeyId')) == shown



def test_the_check_does_not_change_an_object_with_its_name(aws: LocalAws) -> None:
    store = S3Store(BUCKET, 'kept', aws.endpoint)
    store.put('.write-check', b'of another version')

    store.check_writable()

    assert store.get('.write-check') == b'of another version'



@pytest.mark.parametrize('deletes', [True, False])
def test_the_check_is_written_to_an_s3_that_ignores_conditions_and_removed_if_possible(
        monkeypatch: pytest.MonkeyPatch, deletes: bool) -> None:
    asked: list[str] = []

    def answer(method: str) -> tuple[int, str]:
        asked.append(method)
        return (200, '') if deletes or method == 'PUT' else (403, 'AccessDenied')

    with scripted(monkeypatch, answer) as store:
        store.check_writable()

    assert asked == ['PUT', 'DELETE']



def test_a_list_on_s3_has_several_pages(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('MOTO_S3_DEFAULT_MAX_KEYS', '5')
    for number in range(11):
        aws.s3.put_object(Bucket=BUCKET, Key=f'many/day/{number:04d}')

    assert aws.s3.list_objects_v2(Bucket=BUCKET, Prefix='many/')['KeyCount'] == 5
    assert list(S3Store(BUCKET, 'many', aws.endpoint).list('day/')) == [f'day/{number:04d}' for number in range(11)]



def test_every_call_that_is_made_again_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([(503, 'SlowDown'), (503, 'SlowDown'), (200, '')])
    noted: list[None] = []
    monkeypatch.setattr('pipeline.stores.s3.note_retry', lambda: noted.append(None))
    monkeypatch.setattr('pipeline.aws.FIRST_DELAY_S', 0.0)

    with scripted(monkeypatch, lambda _: next(answers)) as store:
        store.put('a', b'1')

    assert len(noted) == 2


def test_a_missing_bucket_is_not_a_missing_key(aws: LocalAws) -> None:
    store = S3Store('nowhere', 'x', aws.endpoint)
    calls: list[tuple[str, Callable[[], object]]] = [
        ('GetObject on s3://nowhere/x/a', lambda: store.get('a')),
        ('PutObject on s3://nowhere/x/a', lambda: store.put('a', b'')),
        ('DeleteObject on s3://nowhere/x/a', lambda: store.delete('a')),
        ('ListObjectsV2 on s3://nowhere/x/a/', lambda: list(store.list('a/')))]

    for where, call in calls:
        with pytest.raises(StoreError) as error:
            call()
        assert str(error.value) == (
            f'S3 {where} failed with NoSuchBucket: create the bucket, or correct the option that names it; AWS says: '
            'The specified bucket does not exist')



@contextlib.contextmanager
def scripted(monkeypatch: pytest.MonkeyPatch, answer: Callable[[str], tuple[int, str]]) -> Iterator[S3Store]:
    """Serve a bucket that answers each HTTP method with a status and an error code of S3."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get('Content-Length', 0)))
            status, code = answer(self.command)
            body = f'<Error><Code>{code}</Code><Message>role x may not,\n by policy y</Message></Error>'.encode()
            self.send_response(status)
            self.send_header('Content-Length', str(len(body) if code else 0))
            self.end_headers()
            self.wfile.write(body if code else b'')

        do_PUT = do_DELETE = do_GET

        def log_message(self, format: str, *args: object) -> None:
            pass

    for name, value in demo_environment().items():
        monkeypatch.setenv(name, value)
    with running(http.server.ThreadingHTTPServer((LOOPBACK, 0), Handler)) as server:
        yield S3Store(BUCKET, 'x', f'http://{LOOPBACK}:{server.server_port}')



@pytest.mark.parametrize(('name', 'call', 'advice'), [
    ('GetObject', lambda store: store.get('a'), 's3:ListBucket on the bucket and s3:GetObject below the prefix'),
    ('PutObject', lambda store: store.put('a', b''),
     's3:PutObject below the prefix; if a policy demands encryption, give --s3_sse'),
    ('DeleteObject', lambda store: store.delete('a'),
     's3:DeleteObject below the prefix: something has to be removed, such as an object that only an earlier manifest '
     'lists, or the manifest of a window that is no longer complete'),
    ('ListObjectsV2', lambda store: list(store.list('a')), 's3:ListBucket on the bucket')])
def test_a_call_that_is_denied_says_what_to_grant_and_what_aws_says(
        monkeypatch: pytest.MonkeyPatch, name: str, call: Callable[[S3Store], object], advice: str) -> None:
    with scripted(monkeypatch, lambda _: (403, 'AccessDenied')) as store, pytest.raises(StoreError) as error:
        call(store)

    assert str(error.value) == (f'S3 {name} on s3://lake/x/a failed with AccessDenied: grant {advice}; '
                                'AWS says: role x may not, by policy y')



def test_the_error_for_an_endpoint_that_does_not_answer_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter((0.0, 120.0))
    time = types.SimpleNamespace(monotonic=lambda: next(clock), sleep=lambda _: None)
    monkeypatch.setattr('pipeline.aws.time', time)
    for name in ('AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_DEFAULT_REGION'):
        monkeypatch.setenv(name, 'us-east-1')

    with pytest.raises(StoreError, match=(
            'S3 GetObject on s3://lake/a still fails with EndpointConnectionError after 120 s: check the '
            'endpoint, the region and the network; the AWS SDK says: Could not connect to the endpoint URL: .*; what '
            'is committed stays, go on with --start=resume')):
        S3Store(BUCKET, '', 'http://127.0.0.1:1').get('a')



@pytest.mark.parametrize('expired', [1, 9])
def test_rotated_credentials_are_read_again_once(monkeypatch: pytest.MonkeyPatch, expired: int) -> None:
    keys: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            keys.append(self.headers['Authorization'].split('Credential=')[1].split('/')[0])
            os.environ['AWS_ACCESS_KEY_ID'] = 'rotated'
            refused = len(keys) <= expired
            body = b'<Error><Code>ExpiredToken</Code></Error>' if refused else b'here'
            self.send_response(400 if refused else 200)
            self.send_header('Content-Length', str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    for name in ('AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_DEFAULT_REGION'):
        monkeypatch.setenv(name, 'us-east-1')
    with running(http.server.ThreadingHTTPServer((LOOPBACK, 0), Handler)) as server:
        store = S3Store(BUCKET, 'x', f'http://{LOOPBACK}:{server.server_port}')
        if expired == 1:
            assert store.get('a') == b'here'
        else:
            with pytest.raises(StoreError, match='failed with ExpiredToken: renew the credentials'):
                store.get('a')

    assert keys == ['us-east-1', 'rotated']
