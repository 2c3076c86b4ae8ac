"""A Kinesis whose calls a test can spoil and list."""
from __future__ import annotations

import contextlib
import json
import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

from tests.integration.external_servers import proxy

ADDON = pathlib.Path(__file__).parent / 'spoil_kinesis.py'


class Spoiled:
    """A proxy in front of a Kinesis; `endpoint` is the URL of the proxy."""

    def __init__(self, folder: pathlib.Path, endpoint: str) -> None:
        self._rules, self._calls = folder / 'rules.json', folder / 'calls.jsonl'
        self.endpoint = endpoint

    def spoil(self, fault: str, *operations: str) -> None:
        """Spoil these operations, or all if there are none, from now on; spoil_kinesis.py lists the faults."""
        self._write([{'operation': operation, 'fault': fault} for operation in operations or ('*',)])

    def mend(self) -> None:
        """Let all calls pass again."""
        self._write([])

    def calls(self) -> list[dict[str, Any]]:
        """Return the calls so far: when (`at`, epoch seconds), `call`, `shard`, `fault`, number of `records`."""
        return [json.loads(line) for line in self._calls.read_text().splitlines()]

    def _write(self, rules: Sequence[dict[str, str]]) -> None:
        fresh = self._rules.with_suffix('.new')
        fresh.write_text(json.dumps(rules))
        os.replace(fresh, self._rules)


@contextlib.contextmanager
def spoiled(folder: pathlib.Path, upstream: str) -> Iterator[Spoiled]:
    """Run a proxy in front of a Kinesis until the block ends. At first it spoils nothing."""
    rules, calls = folder / 'rules.json', folder / 'calls.jsonl'
    rules.write_text('[]')
    calls.touch()
    with proxy(folder, upstream, ADDON, RULES=str(rules), CALLS=str(calls)) as endpoint:
        yield Spoiled(folder, endpoint)
