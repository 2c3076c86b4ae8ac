"""Which failures of the AWS SDK, those without an answer of the service, pass by themselves."""
from __future__ import annotations

from botocore.exceptions import (
    BotoCoreError,
    ConnectionError,
    CredentialRetrievalError,
    FlexibleChecksumError,
    HTTPClientError,
    IncompleteReadError,
    SSLError,
)
from botocore.parsers import ResponseParserError

# EndpointConnectionError and ConnectTimeoutError are ConnectionErrors and no HTTPClientErrors.
PASSING = (ConnectionError, CredentialRetrievalError, FlexibleChecksumError, HTTPClientError, IncompleteReadError,
           ResponseParserError)


def passes(error: BotoCoreError | ResponseParserError) -> bool:
    """Tell whether the same call is worth making again: not where a certificate is refused, or the call is wrong."""
    return isinstance(error, PASSING) and not (isinstance(error, SSLError) and 'CERTIFICATE' in str(error))
