"""What a failed run comes down to, in one line; runners hand over the errors of their workers as text."""
from __future__ import annotations

import re

import grpc
from botocore.exceptions import BotoCoreError

from pipeline.chunks import OverlapError
from pipeline.flink import FlinkError
from pipeline.kinesis.errors import ReadError
from pipeline.manifests import ManifestError
from pipeline.stores import StoreError

#: Errors whose message is one line for an operator. Any other is a bug, and its traceback is worth seeing.
PLAIN = (BotoCoreError, FlinkError, ManifestError, OverlapError, ReadError, StoreError)
_STEP = re.compile(r" \[while running '[^']*'\]")
_NAMED = re.compile('|'.join(re.escape(f'{kind.__module__}.{kind.__name__}') for kind in PLAIN))
_LINE = re.compile(rf'^.*?(?:{_NAMED.pattern}): (.+)$', re.MULTILINE)


def reason_of(error: Exception) -> str | None:
    """Give the line that an error comes down to, None where it is a bug.

    >>> reason_of(RuntimeError("Traceback...\\npipeline.stores.StoreError: no such bucket [while running 'Put']"))
    'no such bucket'
    """
    if isinstance(error, PLAIN):
        return _STEP.sub('', str(error))
    if isinstance(error, grpc.RpcError):
        return 'the runner does not answer any more; what is committed stays, go on with --start=resume'
    lines = _LINE.findall(str(error)) if isinstance(error, RuntimeError) else []
    return _STEP.sub('', lines[-1]).strip() if lines else None
