"""The stores that the options name, and whether they take what is written."""
from __future__ import annotations

import contextlib
from collections.abc import Iterator
from urllib.parse import urlsplit

from pipeline.errors import RunRefused, StoreError
from pipeline.options.options import Options
from pipeline.paths import RESUME
from pipeline.stores.base import FolderStore, Store
from pipeline.stores.s3 import S3Store
from transforms.records import ERROR_CODES

#: In a place that was moved: the output whose errors or backups are there.
OWNER = '.written-by'
#: Where objects and manifests are, below an output.
FOLDERS = ('events', 'errors', 'backup', 'manifests')


def store_at(uri: str, options: Options) -> Store:
    """Open the store that a checked URI of the options names: `s3://bucket/prefix` or a folder."""
    parts = urlsplit(uri)
    if parts.scheme == 's3':
        return S3Store(
            bucket=parts.netloc, prefix=parts.path.strip('/'), endpoint_url=options.s3_endpoint_url,
            region=options.s3_region_name or options.aws_region, verify=options.s3_verify, sse=options.s3_sse,
            kms_key_id=options.s3_kms_key_id)
    return FolderStore(uri)


def outputs_of(options: Options) -> dict[str, Store]:
    """Open the stores of objects, by the first part of their paths."""
    return {'events': store_at(options.output, options),
            'errors': store_at(options.errors_output or options.output, options),
            'backup': store_at(options.backup_output or options.output, options)}


def check_outputs(options: Options) -> None:
    """Raise RunRefused if a run could not write, or would write over another job's objects. Leave nothing behind."""
    for name, store in _places(options):
        with _naming(name):
            store.check_writable()
            _check_owner(name, store, options)
    check_nesting(options)


def check_nesting(options: Options) -> None:
    """Raise RunRefused if a place lies in the folders of another output, or another output in those of a place.

    Readers of one would see the lines of both.
    """
    for name, store in _places(options):
        uri = getattr(options, name)
        for outer in _outer(uri):
            if _is_output(store_at(outer, options), ''):
                raise RunRefused(f'--{name}: got {uri}, which lies in the folders of the output {outer}: give a place '
                                 'outside of it')
        for kind in FOLDERS:
            inner = _inner(store, f'{kind}/')
            if inner:
                raise RunRefused(f'--{name}: got {uri}, in whose folders another output lies, {uri}/{inner}: give a '
                                 'place that holds none')


def _outer(uri: str) -> Iterator[str]:
    """Yield the URIs in whose folders a place might lie."""
    scheme, slashes, path = uri.rpartition('://')
    parts = path.split('/')
    for number in range(1, len(parts)):
        if parts[number] in FOLDERS:
            yield f'{scheme}{slashes}' + ('/'.join(parts[:number]) or '/')


def _inner(store: Store, folder: str) -> str:
    """Return the path of an output below a folder of objects, '' if there is none. Folders of objects are passed over.
    """
    for name in store.folders(folder):
        if not name.startswith('year=') and name not in ERROR_CODES:
            path = f'{folder}{name}/'
            found = path[:-1] if _is_output(store, path) else _inner(store, path)
            if found:
                return found
    return ''


def _is_output(store: Store, folder: str) -> bool:
    """Return whether a job writes there. What may not be read is no output that we know of."""
    with contextlib.suppress(StoreError):
        return any(store.get(folder + name) is not None for name in (RESUME, OWNER))
    return False


def claim_outputs(options: Options) -> None:
    """Note in moved places whose they are: keys of errors and backups are the same whatever the output is.

    Raise RunRefused if another job was faster.
    """
    for name, store in _places(options):
        if getattr(options, name) != options.output:
            with _naming(name):
                store.swap(OWNER, None, f'{options.output}\n'.encode())
                _check_owner(name, store, options)


def _places(options: Options) -> Iterator[tuple[str, Store]]:
    for name in ('output', 'errors_output', 'backup_output'):
        uri = getattr(options, name)
        if uri:
            yield name, store_at(uri, options)


@contextlib.contextmanager
def _naming(option: str) -> Iterator[None]:
    """Refuse for what a store says, and name the option."""
    try:
        yield
    except StoreError as error:
        raise RunRefused(f'--{option}: {error}') from None


def _check_owner(name: str, store: Store, options: Options) -> None:
    owner = store.get(OWNER)
    if getattr(options, name) == options.output:
        taken = owner is not None
    elif owner is None:
        taken = store.get(RESUME) is not None
    else:
        taken = owner.strip() != options.output.encode()
    if taken:
        whose = 'another job has its --output' if owner is None else f'{OWNER} there says whose objects these are'
        raise RunRefused(f'--{name}: holds objects of another job under the same keys ({whose}): give a place of its '
                         'own')
