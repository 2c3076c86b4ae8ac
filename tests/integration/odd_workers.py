"""A worker pool whose readers end early or start late: `python -m tests.integration.odd_workers PORT HOW VALUE`.

`drained FOLDER`: a reader ends once there is a file of its number in the folder. `slow SECONDS`: readers take that long
to set up. Workers are threads of this process, so what is replaced here is replaced for them.
"""
from __future__ import annotations

import dataclasses
import pathlib
import sys
import time

from pipeline.kinesis.read import _ReadShards
from pipeline.runners import worker_pool

_read, _setup = _ReadShards._read, _ReadShards.setup


def drained(folder: str) -> None:
    """Truncate what is left of a reader, as a runner does when it drains."""
    def read(self, element, tracker, estimator):
        state = tracker.current_restriction()
        if not (pathlib.Path(folder) / str(element[0])).exists():
            yield from _read(self, element, tracker, estimator)
        elif self.truncate(element, state) is None:
            tracker.try_claim(dataclasses.replace(state, done=True))
    _ReadShards._read = read


def slow(seconds: str) -> None:
    """Keep the first bundle open so long that a checkpoint is taken meanwhile."""
    def setup(self):
        time.sleep(float(seconds))
        _setup(self)
    _ReadShards.setup = setup


if __name__ == '__main__':
    {'drained': drained, 'slow': slow}[sys.argv[2]](sys.argv[3])
    worker_pool.main(sys.argv[1], use_process=False)
