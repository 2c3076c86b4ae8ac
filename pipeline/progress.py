"""The progress of a run, for a person at a terminal. Readers and commits in this process report it here."""
from __future__ import annotations

import dataclasses
import sys
import threading
from types import TracebackType
from typing import TextIO

EVERY_S = 1.0


@dataclasses.dataclass
class Progress:
    """Running totals of this process. If a runner retries work, they are approximate, which a progress line may be.

    `behind_ms` is how far reading of each shard, `stream/shard`, is behind the tip. `replays` is whether the run is a
    replay, which does not change resume.json.
    """

    records: int = 0
    windows: int = 0
    behind_ms: dict[str, int] = dataclasses.field(default_factory=dict)
    replays: bool = False

    def line(self) -> str:
        """Return it as one line: `12,345 records read, 3.2 s behind the tip, 7 windows committed`."""
        behind_s = max(self.behind_ms.values(), default=0) / 1000
        return f'{self.records:,} records read, {behind_s:,.1f} s behind the tip, {self.windows:,} windows committed'


PROGRESS = Progress()


class ProgressLine:
    """Show the progress on a terminal once a second while the block runs. Print nothing if the output is a log."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.__stderr__  # sys.stderr is redirected while Beam runs
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._show, name='progress', daemon=True)

    def __enter__(self) -> None:
        if self._out and self._out.isatty():  # None if the program was started without stderr
            self._thread.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._ended.set()
        if self._thread.ident:
            self._thread.join()

    def _show(self) -> None:
        while not self._ended.wait(EVERY_S):
            print(f'\r\033[K{PROGRESS.line()}', end='', file=self._out, flush=True)
        print('\r\033[K', end='', file=self._out, flush=True)
