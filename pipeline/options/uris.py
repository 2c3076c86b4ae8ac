"""Types of option values that are URIs or paths: outputs, endpoints of AWS, and certificates."""
from __future__ import annotations

import argparse
import ipaddress
import os
import re
from urllib.parse import SplitResult, urlsplit

from pipeline.endpoints import ENCRYPTED, leaks
from pipeline.options.types import refuse

BUCKET = re.compile(r'(?!\d+\.\d+\.\d+\.\d+$)[a-z0-9](?:[a-z0-9-]|\.(?!\.)){1,61}[a-z0-9]')
#: S3 reserves these names. What has such a name is not a bucket, or does not list its keys in order.
RESERVED = re.compile(r'(xn--|sthree-|amzn-s3-demo-).*|.*(--x-s3|--ol-s3|--table-s3|\.mrap)')
#: A key has at most 1,024 bytes, and the longest path below a prefix has less than 200.
PREFIX_BYTES = 800
HOST = re.compile(r'[a-z0-9]([a-z0-9.-]*[a-z0-9])?')


def output_uri(text: str) -> str:
    """Parse `s3://bucket/prefix` or a folder. Return it without a closing slash, and a folder as an absolute path.

    `output_uri('s3://bucket/a/') == 's3://bucket/a'`
    """
    if not text or text != text.strip() or not text.isprintable():
        refuse(text, 's3://bucket/prefix or a folder, without outer spaces and control characters')
    if text[:5].lower() == 's3://':
        return _s3_uri(text)
    if re.match('[A-Za-z][A-Za-z0-9+.-]*:', text):
        refuse(text, 's3://bucket/prefix or a folder; there are no other schemes. A folder of such a name can be given '
                     'as ./NAME')
    return _folder(text)


def endpoint_url(text: str) -> str:
    """Parse `https://host[:port]`. Plain `http` is allowed only for this machine, because it is not encrypted."""
    try:
        parts = urlsplit(text)
        whole = _is_endpoint(parts) and text.isprintable() and ' ' not in text
    except ValueError:
        whole = False
    if not whole:
        refuse(text, 'http(s)://host or http(s)://host:port')
    if leaks(text):
        refuse(text, ENCRYPTED)
    return text.rstrip('/')


def certificates(text: str) -> str:
    """Parse the path of an existing file or folder of CA certificates. Words such as `false` are refused."""
    return text if os.path.exists(text) else refuse(text, 'a file of CA certificates that exists')


def _s3_uri(text: str) -> str:
    bucket, _, prefix = text[5:].partition('/')
    if not BUCKET.fullmatch(bucket) or RESERVED.fullmatch(bucket):
        refuse(text, "s3://bucket/prefix with a bucket name by S3's rules "
                     '(3 to 63 of a-z, 0-9, "-" and ".", no reserved form)')
    parts = prefix.removesuffix('/').split('/') if prefix else []
    if {'', '.', '..'} & {*parts} or re.search(r'[?#\\]', prefix) or prefix != prefix.strip():
        refuse(text, 's3://bucket/prefix without empty parts, ".", "..", "?", "#", "\\" and outer spaces')
    if len(prefix.encode(errors='replace')) > PREFIX_BYTES:
        refuse(text, f'a prefix of at most {PREFIX_BYTES} bytes')
    return '/'.join(('s3:/', bucket, *parts))


def _folder(text: str) -> str:
    folder = os.path.expanduser(text)
    if folder.startswith('~'):
        refuse(text, 's3://bucket/prefix or a folder: no home folder of that user is known. A folder of such a name '
                     'can be given as ./NAME')
    folder = os.path.abspath(folder)
    folder = f'/{folder.lstrip("/")}' if os.sep == '/' else folder  # POSIX keeps two leading slashes
    existing = folder
    while not os.path.lexists(existing):
        existing = os.path.dirname(existing)
    if not os.path.isdir(existing):
        raise argparse.ArgumentTypeError(f'got {text!r}, must be a folder, but {existing!r} is not one')
    return folder


def _is_endpoint(parts: SplitResult) -> bool:
    host = parts.hostname or ''
    named = bool(ipaddress.IPv6Address(host)) if ':' in host else bool(HOST.fullmatch(host))
    plain = parts.path in ('', '/') and not (parts.query or parts.fragment or '@' in parts.netloc)
    return named and plain and parts.scheme in ('http', 'https') and parts.port != 0 and parts.netloc[-1] != ':'
