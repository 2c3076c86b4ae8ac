"""The Lambda handler on Node: one long-lived process that answers requests."""
from __future__ import annotations

import json
import os
import pathlib
import subprocess
import tempfile
from collections.abc import Iterable
from types import TracebackType
from typing import Any

SCRIPT = pathlib.Path(__file__).with_name('lambda.js')
MODULES = pathlib.Path(__file__).parents[2] / '.venv' / 'tools' / 'node_modules'


class Lambda:
    """Run the handler of `lambda.js` on documents, one per record, during a `with` block."""

    def __enter__(self) -> Lambda:
        self._node = subprocess.Popen(['node', str(SCRIPT)], env={**os.environ, 'NODE_PATH': str(MODULES)},
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._folder = tempfile.TemporaryDirectory()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._node.communicate()
        self._folder.cleanup()

    def load(self, documents: Iterable[bytes]) -> None:
        """Load the documents for the next runs."""
        file = pathlib.Path(self._folder.name, 'documents')
        file.write_bytes(b''.join(document + b'\n' for document in documents))
        self._ask({'load': str(file)})

    def run(self) -> float:
        """Handle all documents once. Return the CPU seconds of the process."""
        return float(self._ask({'run': True})['cpu_s'])

    def lines(self) -> list[bytes]:
        """Return the handler's lines for the documents, without newlines."""
        file = pathlib.Path(self._folder.name, 'lines')
        self._ask({'write': str(file)})
        return file.read_bytes().split(b'\n')[:-1]

    def _ask(self, request: dict[str, Any]) -> Any:
        assert self._node.stdin and self._node.stdout
        print(json.dumps(request), file=self._node.stdin, flush=True)
        answer = self._node.stdout.readline()
        if not answer:
            raise RuntimeError('node ended without an answer')
        return json.loads(answer)
