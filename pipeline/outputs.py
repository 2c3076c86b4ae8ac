"""The stores that the options name, and whether they take what is written."""
from __future__ import annotations

from urllib.parse import urlsplit

from pipeline.options import Options
from pipeline.s3 import S3Store
from pipeline.settings import RunRefused
from pipeline.stores import FolderStore, Store, StoreError

#: Written and removed at the start of a run; readers of a lake pass over names that begin with a dot.
PROBE = '.write-check'


def store_at(uri: str, options: Options) -> Store:
    """Open the store that a checked URI of the options names: `s3://bucket/prefix` or a folder."""
    parts = urlsplit(uri)
    if parts.scheme == 's3':
        return S3Store(parts.netloc, parts.path.strip('/'), options.s3_endpoint_url,
                       options.s3_region_name or options.aws_region, options.s3_verify)
    return FolderStore(uri)


def outputs_of(options: Options) -> dict[str, Store]:
    """Open the stores of objects, by the first part of their paths."""
    return {'events': store_at(options.output, options),
            'errors': store_at(options.errors_output or options.output, options),
            'backup': store_at(options.backup_output or options.output, options)}


def check_outputs(options: Options) -> None:
    """Raise RunRefused where a run could not write, or not remove what it has written, before it reads anything."""
    for name in ('output', 'errors_output', 'backup_output'):
        uri = getattr(options, name)
        if uri:
            try:
                _probe(store_at(uri, options))
            except StoreError as error:
                raise RunRefused(f'--{name}: {error}') from None


def _probe(store: Store) -> None:
    store.put(PROBE, b'')
    store.delete(PROBE)
