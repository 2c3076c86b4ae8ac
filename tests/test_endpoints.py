from __future__ import annotations

import pytest

from pipeline.endpoints import is_loopback, leaks


@pytest.mark.parametrize(('host', 'is_local'), [
    ('localhost', True), ('127.0.0.1', True), ('127.255.0.1', True), ('::1', True), ('', False), ('::', False),
    ('128.0.0.1', False), ('localhost.example.com', False)])
def test_loopback(host: str, is_local: bool) -> None:
    assert is_loopback(host) is is_local


@pytest.mark.parametrize(('url', 'leaked'), [
    ('http://minio:9000', True), ('http://10.0.0.1', True), ('http://', True), ('HTTP://minio', True),
    ('https://minio:9000', False), ('http://localhost:1', False), ('http://[::1]:1/x', False)])
def test_plain_http_leaks_unless_it_stays_on_this_machine(url: str, leaked: bool) -> None:
    assert leaks(url) is leaked
