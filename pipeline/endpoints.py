"""Which endpoints may be spoken to in plain http: the one rule, for options and for what the AWS SDK is configured to.
"""
from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

#: What has to be given in place of such an endpoint.
ENCRYPTED = ('https: plain http is not encrypted, so it is allowed only for localhost, 127.0.0.0/8 and [::1]. If the '
             'endpoint is in a container, publish its port here or share its network (network_mode), and give '
             'http://localhost:PORT; or put an https proxy before it')


def leaks(url: str) -> bool:
    """Return whether an endpoint is plain http to another machine: `leaks('http://minio:9000')`. Look up no name.

    Raise ValueError if it is no URL.
    """
    parts = urlsplit(url)
    return parts.scheme == 'http' and not is_loopback(parts.hostname or '')


def is_loopback(host: str) -> bool:
    """Return whether a host, as it is written, is this machine: `is_loopback('127.0.0.1')`. Look up no name."""
    try:
        return host.lower() == 'localhost' or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
