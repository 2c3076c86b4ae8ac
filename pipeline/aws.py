"""Calls by the AWS SDK: which failures pass by themselves, the one retry loop, and one line for the rest.

S3 and Kinesis share this. Credentials are fetched inside a call, so a call can also raise what their sources meet.
"""
from __future__ import annotations

import logging
import os
import random
import re
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import SplitResult, urlsplit

import boto3
import botocore.session
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    CredentialRetrievalError,
    FlexibleChecksumError,
    HTTPClientError,
    IncompleteReadError,
    MetadataRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSLError,
    SSOError,
    TokenRetrievalError,
)
from botocore.parsers import ResponseParserError

from pipeline.endpoints import ENCRYPTED, leaks
from pipeline.errors import RunRefused

_log = logging.getLogger(__name__)
T = TypeVar('T')

#: From the first failure of a call on. A bucket that is scaled out, or a failover, answers errors for some minutes.
PATIENCE_S = 120.0
FIRST_DELAY_S, LAST_DELAY_S = 0.5, 20.0
#: A hiccup is only counted; a call that failed so often is also warned of.
WARN_AFTER, WARN_EVERY = 4, 16

#: What a call by the SDK can raise. It does not wrap what its sources of credentials meet: OSError (a token file or a
#: helper that is not there), ValueError (a helper that prints no JSON), LookupError, AttributeError and TypeError (JSON
#: of another form), RuntimeError (fresh credentials that have already expired).
SDK_ERRORS = (BotoCoreError, ClientError, ResponseParserError, OSError, ValueError, LookupError, AttributeError,
              TypeError, RuntimeError)
#: Failures of a network or of a service that gave no answer of its own. EndpointConnectionError and ConnectTimeoutError
#: are ConnectionErrors and no HTTPClientErrors.
PASSING = (ConnectionError, FlexibleChecksumError, HTTPClientError, IncompleteReadError, MetadataRetrievalError,
           ResponseParserError)
#: Sources of credentials that are services, as errors name them: what they fail with passes. A `credential_process`
#: says itself what is wrong. When credentials are renewed, the SDK has called it for five minutes before a call fails.
METADATA = frozenset({'container-role', 'iam-role'})
HELPER = 'custom-process'
#: Calls by which the SDK gets credentials, inside a call of S3 or Kinesis.
CREDENTIAL_CALLS = frozenset({'AssumeRole', 'AssumeRoleWithSAML', 'AssumeRoleWithWebIdentity', 'CreateOAuth2Token',
                              'CreateToken', 'GetRoleCredentials'})
PASSING_CODES = frozenset({'IDPCommunicationError', 'RequestLimitExceeded', 'RequestTimeout', 'Throttling',
                           'ThrottlingException', 'TooManyRequestsException'})

#: Codes of S3 and Kinesis that are worth one more try with credentials read anew: they are rotated while a job runs.
REFUSED_CREDENTIALS = frozenset({
    'ExpiredToken', 'ExpiredTokenException', 'InvalidAccessKeyId', 'InvalidClientTokenId', 'InvalidSignatureException',
    'InvalidToken', 'MissingAuthenticationToken', 'MissingAuthenticationTokenException', 'RequestExpired',
    'SignatureDoesNotMatch', 'UnrecognizedClientException'})
OF_CREDENTIALS = (CredentialRetrievalError, NoCredentialsError, PartialCredentialsError, ProfileNotFound, SSOError,
                  TokenRetrievalError)
CREDENTIALS = 'check the credentials that the AWS SDK finds'
SOURCES = 'check the configuration of the AWS SDK, and the credentials that it finds'
ROLE = 'check the role and the token that the AWS SDK finds'
NETWORK = 'check the endpoint, the region and the network'
BUNDLE = 'check the CA certificates that are given by AWS_CA_BUNDLE, --s3_verify or the AWS configuration'
NO_REGION = ("--aws_region: must be given: no ARN in --stream names a region, nor does the AWS SDK's configuration: "
             "boto3 reads AWS_DEFAULT_REGION and the profile")
#: Enough for the sentence in which AWS names the caller, the action, the resource and the policy.
WORDS = 800


def sdk_session(core: botocore.session.Session | None = None) -> boto3.session.Session:
    """Return a new session of the SDK, around botocore's own if there is one already.

    Nothing goes to another machine in plain http, neither from its clients nor from those by which it gets credentials:
    such a request raises RunRefused, in one line that says where the endpoint is from.
    """
    session = boto3.session.Session(botocore_session=core)
    session.events.register('before-send', _refuse_plain_http)
    return session


def _refuse_plain_http(request: Any, event_name: str, **_: Any) -> None:
    """Refuse a request before it is sent. `event_name` is such as `before-send.s3.PutObject`."""
    if leaks(request.url):
        service = event_name.split('.')[1].replace('-', '_').upper()
        raise RunRefused(_plain_http(service, urlsplit(request.url)))


def _plain_http(service: str, parts: SplitResult) -> str:
    """Say where the plain endpoint of a service is from: the SDK looks into the environment, then into its profile."""
    endpoint = f'{parts.scheme}://{parts.netloc}'
    names = [name for name in (f'AWS_ENDPOINT_URL_{service}', 'AWS_ENDPOINT_URL') if os.environ.get(name)]
    where = names[0] if names else f'endpoint_url of {service} in the configuration of the AWS SDK'
    return f"{where}: got '{endpoint}', must be {ENCRYPTED}"


class RenewedClient:
    """A client of the SDK, opened at the first call, and opened again if its credentials are refused.

    `open_client` makes a client from the credentials that are there now. Safe to use from several threads.
    """

    def __init__(self, open_client: Callable[[], Any]) -> None:
        self._open_client = open_client
        self._client: Any = None
        self._lock = threading.Lock()

    def call(self, method: Callable[[Any], T]) -> T:
        """Return what `method` returns for the client. Raise one of SDK_ERRORS."""
        refused = self._other_than(None)
        try:
            return method(refused)
        except ClientError as error:
            if code_of(error) not in REFUSED_CREDENTIALS:
                raise
        return method(self._other_than(refused))

    def _other_than(self, refused: Any) -> Any:
        """Return the client; a new one in place of that whose credentials were refused, which threads share."""
        with self._lock:
            if self._client is None or self._client is refused:
                self._client = self._open_client()
            return self._client


def retry(call: Callable[[], T], what: str, passes: Callable[[Exception], bool], patience_s: float | None = None,
          failed: Callable[[], None] = lambda: None) -> T:
    """Make a call again while it fails with something that `passes`, and return its answer.

    Raise what the last call raised, once it does not pass or `patience_s` (PATIENCE_S) have gone since the first
    failure. `what` names the call in the warning, `failed` is called before each repetition.
    """
    deadline, failures = 0.0, 0
    while True:
        try:
            return call()
        except Exception as error:
            now_s, failures = time.monotonic(), failures + 1
            deadline = deadline or now_s + (PATIENCE_S if patience_s is None else patience_s)
            if not passes(error) or now_s >= deadline:
                raise
            if failures % WARN_EVERY == WARN_AFTER:
                _log.warning('%s fails with %s, trying again', what, name_of(error))
        failed()
        # Some jitter, never none of the delay: workers that were throttled together must not come back together.
        time.sleep(min(LAST_DELAY_S, FIRST_DELAY_S * 2.0 ** min(failures - 1, 10)) * random.uniform(0.5, 1.0))


def default_region() -> str:
    """Return the region that the AWS SDK's configuration names in this process. Raise RunRefused if there is none."""
    region: str | None = boto3.session.Session().region_name
    if not region:
        raise RunRefused(NO_REGION + (', not AWS_REGION, which is set' if os.environ.get('AWS_REGION') else ''))
    return region


def passes(error: Exception) -> bool:
    """Return whether the same call is worth making again, for a failure without an answer of the service."""
    if isinstance(error, ClientError):  # of CREDENTIAL_CALLS
        return status_of(error) >= 500 or code_of(error) in PASSING_CODES
    if isinstance(error, CredentialRetrievalError):
        return error.kwargs['provider'] in METADATA
    return isinstance(error, PASSING) and not _is_refused_here(error)


def is_of_credentials(error: Exception) -> bool:
    """Return whether an error answer came from a service that the SDK asks for credentials."""
    return isinstance(error, ClientError) and error.operation_name in CREDENTIAL_CALLS


def code_of(error: Exception) -> str:
    """Name an error: AWS's own code, or the kind of failure if there was no answer."""
    if isinstance(error, ClientError):
        return str(error.response['Error']['Code'])
    return str(getattr(error, 'code', type(error).__name__))  # a reader's PassingError has kept the code


def status_of(error: ClientError) -> int:
    """Return the HTTP status of an error answer, 0 if it has none."""
    return int(error.response.get('ResponseMetadata', {}).get('HTTPStatusCode') or 0)


def name_of(error: Exception) -> str:
    """Name an error and, if it met a call for credentials, that call: `AccessDenied of AssumeRole`."""
    call = f' of {error.operation_name}' if isinstance(error, ClientError) and is_of_credentials(error) else ''
    return f'{code_of(error)}{call}'


def reason_of(error: Exception, advice: str = '') -> str:
    """Say what to do and what AWS, the SDK or a helper says of an error: in one line, without a secret.

    `advice` is for an answer of S3 or Kinesis and for a network that fails; what concerns credentials brings its own.
    """
    words = words_of(error)
    parts = [_advice(error) or advice, f'{_speaker(error)} says: {words}' if words else '']
    return '; '.join(part for part in parts if part) or 'see the AWS documentation'


def words_of(error: Exception) -> str:
    """Return an error's own words in one line; of a long text the beginning and the end."""
    if isinstance(error, ClientError):
        text = error.response['Error'].get('Message') or ''
    elif isinstance(error, CredentialRetrievalError):
        text = error.kwargs['error_msg']
    elif _is_header(error):
        return 'a header would hold a line break or another character that none may hold'  # the rest is a secret
    else:
        text = str(error)
    line = ' '.join(text.split())
    return line if len(line) <= WORDS else f'{line[:WORDS // 2]} ... {line[-WORDS // 2:]}'


def _speaker(error: Exception) -> str:
    if isinstance(error, ClientError):
        return 'AWS'
    helper = isinstance(error, CredentialRetrievalError) and error.kwargs['provider'] == HELPER
    return 'credential_process' if helper else 'the AWS SDK'


def _advice(error: Exception) -> str:
    if isinstance(error, SSLError):
        return BUNDLE
    if is_of_credentials(error):
        return ROLE
    if isinstance(error, OF_CREDENTIALS) or _is_header(error):
        return CREDENTIALS
    return '' if isinstance(error, (BotoCoreError, ClientError, ResponseParserError)) else SOURCES


def _is_refused_here(error: Exception) -> bool:
    """Return whether the SDK wraps something that this machine refuses: a certificate, a file, a proxy's name."""
    cause = getattr(error, 'kwargs', {}).get('error')
    if isinstance(error, SSLError):
        args = getattr(cause, 'args', ())
        return 'CERTIFICATE' in str(error) or any(_is_of_a_file(arg) for arg in args)
    return type(error) is HTTPClientError and isinstance(cause, ValueError)


def _is_of_a_file(cause: object) -> bool:
    return isinstance(cause, (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError))


def _is_header(error: Exception) -> bool:
    return isinstance(error, HTTPClientError) and bool(re.search('header (value|name)', str(error)))
