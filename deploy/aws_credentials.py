"""AWS credentials on Google Cloud: the identity token of the machine's service account, exchanged at AWS STS.

`python aws_credentials.py ROLE_ARN AUDIENCE` prints what the AWS SDKs expect of a `credential_process`; they call it
again before the credentials expire. There is no key to keep or to rotate.
"""
from __future__ import annotations

import json
import os
import sys
import urllib.parse
import urllib.request

import boto3
from botocore import UNSIGNED
from botocore.config import Config

#: The role is assumed by a token; these keep the SDK from asking this very program for credentials.
NO_KEYS = {'aws_access_key_id': 'none', 'aws_secret_access_key': 'none'}


def identity_token(audience: str) -> str:
    """Ask the machine's metadata server for a token that says who its service account is."""
    host = os.environ.get('GCE_METADATA_HOST', 'metadata.google.internal')
    query = urllib.parse.urlencode({'audience': audience, 'format': 'full'})
    request = urllib.request.Request(
        f'http://{host}/computeMetadata/v1/instance/service-accounts/default/identity?{query}',
        headers={'Metadata-Flavor': 'Google'})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=10) as answer:
        token: str = answer.read().decode()
    return token


def credentials(role: str, audience: str) -> dict[str, object]:
    """Exchange the token for credentials of an AWS role that last an hour; raises what the AWS SDK raises."""
    sts = boto3.client('sts', region_name=os.environ.get('AWS_REGION', 'us-east-1'),
                       config=Config(signature_version=UNSIGNED), **NO_KEYS)
    answer = sts.assume_role_with_web_identity(RoleArn=role, RoleSessionName='mmp-pipeline',
                                               WebIdentityToken=identity_token(audience))
    found = answer['Credentials']
    return {'Version': 1, 'AccessKeyId': found['AccessKeyId'], 'SecretAccessKey': found['SecretAccessKey'],
            'SessionToken': found['SessionToken'], 'Expiration': found['Expiration'].isoformat()}


if __name__ == '__main__':
    try:
        print(json.dumps(credentials(*sys.argv[1:])))
    except Exception as error:  # one line: the SDK hands on what is on stderr
        sys.exit(f'{type(error).__name__}: {error}')
