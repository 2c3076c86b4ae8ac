"""Find the one line that says why a run failed. Runners report the errors of their workers as text."""
from __future__ import annotations

import re

import grpc
from botocore.exceptions import BotoCoreError

from pipeline.errors import GO_ON, Gap, PipelineError, ReadError

_STEP = re.compile(r" \[while running '[^']*'\]")
#: The last line of a traceback of one of this program's errors, or of the AWS SDK's.
_LINE = re.compile(r'^.*?(?:botocore\.exceptions\.\w+|pipeline\.errors\.\w+): (.+)$', re.MULTILINE)
#: Prism runs what needs no worker itself. If the machine stalls for a tenth of a second there, Prism 2.77 asks a worker
#: that there is none of how far it is.
_PRISM = re.compile(r'panic in stage\.Execute bundle processing goroutine: (.+?), stage:')
_READ = re.compile(r'^.*?pipeline\.errors\.(ReadError|Gap): (.+)$', re.MULTILINE)


def reason_of(error: Exception) -> str | None:
    """Return the line for an operator that says why a run failed, or None if the error is a bug.

    >>> reason_of(RuntimeError("Traceback...\\npipeline.errors.StoreError: no such bucket [while running 'Put']"))
    'no such bucket'
    """
    if isinstance(error, (BotoCoreError, PipelineError)):
        return _STEP.sub('', str(error))
    if isinstance(error, grpc.RpcError):
        return f'the runner does not answer any more; {GO_ON}'
    if not isinstance(error, RuntimeError):
        return None
    lines = _LINE.findall(str(error))
    if lines:
        return _STEP.sub('', lines[-1]).strip()
    found = _PRISM.search(str(error))
    return f'Prism failed by a fault of its own ({found[1]}); {GO_ON}' if found else None


def read_error_in(text: str) -> ReadError | None:
    """Rebuild a ReadError that a remote reader raised, from its traceback. Return None if the text has none.

    >>> read_error_in('java.lang.X: Traceback\\npipeline.errors.Gap: much is lost\\n\\tat y')
    Gap('much is lost')
    """
    found = _READ.findall(text)
    if not found:
        return None
    name, line = found[-1]
    return (Gap if name == 'Gap' else ReadError)(_STEP.sub('', line).strip())
