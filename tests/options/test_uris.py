from __future__ import annotations

import argparse
import os
import pathlib

import pytest

from pipeline.options.uris import certificates, endpoint_url, output_uri


def refusal(read: object, text: str) -> str:
    with pytest.raises(argparse.ArgumentTypeError) as refused:
        read(text)  # type: ignore[operator]
    return str(refused.value)


@pytest.mark.parametrize(('text', 'uri'), [
    ('s3://bucket', 's3://bucket'), ('s3://bucket/', 's3://bucket'), ('S3://bucket/a', 's3://bucket/a'),
    ('s3://bucket/a/b c/', 's3://bucket/a/b c'), ('s3://my.bucket-1/a=b/ü', 's3://my.bucket-1/a=b/ü'),
    ('s3://abc', 's3://abc'), (f's3://{"b" * 63}/x', f's3://{"b" * 63}/x'),
    ('s3://point-abc-s3alias/x', 's3://point-abc-s3alias/x'), (f's3://bucket/{"p" * 800}', f's3://bucket/{"p" * 800}'),
    ('/lake', '/lake'), ('/lake/', '/lake'), ('/a/../lake/.', '/lake'), ('//lake//x', '/lake/x'), ('/', '/')])
def test_an_output_loses_only_its_closing_slash(text: str, uri: str) -> None:
    assert output_uri(text) == uri


def test_a_relative_folder_becomes_absolute(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('HOME', str(tmp_path / 'home'))

    assert output_uri('out/x') == f'{tmp_path}/out/x'
    assert output_uri('.') == str(tmp_path)
    assert output_uri('~/lake') == f'{tmp_path}/home/lake'


def test_a_file_or_a_folder_below_one_is_refused(tmp_path: pathlib.Path) -> None:
    file = tmp_path / 'file'
    file.touch()
    dangling = tmp_path / 'link'
    dangling.symlink_to('nowhere')

    assert refusal(output_uri, str(file)) == f"got '{file}', must be a folder, but '{file}' is not one"
    assert refusal(output_uri, f'{file}/a/b') == f"got '{file}/a/b', must be a folder, but '{file}' is not one"
    assert refusal(output_uri, str(dangling)) == f"got '{dangling}', must be a folder, but '{dangling}' is not one"
    assert not os.path.lexists(tmp_path / 'new') and output_uri(f'{tmp_path}/new/x') == f'{tmp_path}/new/x'


@pytest.mark.parametrize('text', [
    's3://b', f's3://{"b" * 64}', 's3://-bucket', 's3://bucket.', 's3://buck et', 's3://sthree-x', 's3://a.mrap',
    's3://amzn-s3-demo-bucket', 's3://bücket', 's3://bucket?x', 's3://bucket#x', 's3://1.2.3.4', 's3://bucket/ a',
    's3://bucket/a ', 's3://bucket/a\\b', 's3://bucket/a\nb', '/lake\x00', '/lake\udc80', '  ', 'S3A://bucket',
    'hdfs://host/x', f's3://bucket/{"p" * 801}', f's3://bucket/{"ü" * 401}'])
def test_outputs_that_s3_or_the_job_cannot_use_are_refused(text: str) -> None:
    assert refusal(output_uri, text).startswith('got ')


SPACES = 's3://bucket/prefix or a folder, without outer spaces and control characters'
SCHEME = 's3://bucket/prefix or a folder; there are no other schemes. A folder of such a name can be given as ./NAME'
BUCKET = ('s3://bucket/prefix with a bucket name by S3\'s rules (3 to 63 of a-z, 0-9, "-" and ".", no reserved form)')
HOME = ('s3://bucket/prefix or a folder: no home folder of that user is known. A folder of such a name can be given as '
        './NAME')


@pytest.mark.parametrize(('text', 'allowed'), [
    *((text, SPACES) for text in ('', ' ', ' x', 'x ', '\tx', ' s3://bucket/x', 's3://bucket/x ', '\u3000x', 'x\xa0',
                                  'a\x00b', 'a\nb', 'a\x1b[0mb', 'a\x7fb', 'a\udc80b')),
    *((text, SCHEME) for text in ('s3:/bucket/x', 's3:bucket', 's3a://bucket', 'file://x', 'file:///x', 'file:x',
                                  'gs:bucket', 'C:\\lake', 'hdfs://host/x', 'https://bucket/x')),
    *((text, BUCKET) for text in ('S3://', 's3://', 's3:///x', 'S3://Bucket/x', 's3:// bucket')),
    *((text, HOME) for text in ('~nobody-has-this-name', '~nobody-has-this-name/lake'))])
def test_each_odd_output_is_refused_by_one_line_that_says_what_is_allowed(text: str, allowed: str) -> None:
    assert refusal(output_uri, text) == f'got {text!r}, must be {allowed}'


def test_odd_names_of_folders_can_be_given_by_a_path(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('HOME', '/home/me')

    assert output_uri('./s3:x') == f'{tmp_path}/s3:x'
    assert output_uri('./~x') == f'{tmp_path}/~x'
    assert output_uri('./ x') == f'{tmp_path}/ x'
    assert output_uri('~') == '/home/me'


@pytest.mark.parametrize(('text', 'url'), [
    ('https://kinesis.eu-west-1.amazonaws.com', 'https://kinesis.eu-west-1.amazonaws.com'),
    ('https://10.0.0.1:9000', 'https://10.0.0.1:9000'), ('http://localhost:4566/', 'http://localhost:4566'),
    ('http://LOCALHOST', 'http://LOCALHOST'), ('http://127.9.9.9:1', 'http://127.9.9.9:1'),
    ('http://[::1]:9000', 'http://[::1]:9000'), ('https://[2001:db8::1]', 'https://[2001:db8::1]')])
def test_endpoints(text: str, url: str) -> None:
    assert endpoint_url(text) == url


@pytest.mark.parametrize('text', [
    'http://localstack:4566', 'http://0.0.0.0', 'http://127.1', 'http://127.0.0.1.example.com', 'http://[::2]'])
def test_plain_http_never_leaves_this_machine_and_the_line_says_why_and_what_to_do(text: str) -> None:
    assert refusal(endpoint_url, text) == (
        f"got '{text}', must be https: plain http is not encrypted, so it is allowed only for localhost, 127.0.0.0/8 "
        'and [::1]. If the endpoint is in a container, publish its port here or share its network (network_mode), and '
        'give http://localhost:PORT; or put an https proxy before it')


@pytest.mark.parametrize('text', [
    '', 'localhost', '//localhost', 'https:', 'https://', 'https:///x', 'https://host:', 'https://host:0',
    'https://host:x', 'https://host?x', 'https://host#x', 'https://host/x', 'https://a b', 'https://-host',
    'https://[::1', 'https://[zz::1]', 'https://u@host', 'http://localhost@example.com', 'https://host\n', 'ws://localhost'])
def test_an_endpoint_is_scheme_host_and_port(text: str) -> None:
    assert refusal(endpoint_url, text).endswith('must be http(s)://host or http(s)://host:port')


def test_certificates_exist() -> None:
    assert certificates(__file__) == __file__
    assert refusal(certificates, 'false') == "got 'false', must be a file of CA certificates that exists"
