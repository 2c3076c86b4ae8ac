from __future__ import annotations

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

from pipeline.network import passes

URL = 'https://kinesis'


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
