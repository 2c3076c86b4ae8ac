"""What a reader does in one call: steps, and when it has taken enough of them."""
from __future__ import annotations

import dataclasses
from typing import NamedTuple

from pipeline.kinesis.assign import Batch
from pipeline.kinesis.positions import ReaderState

CALL_S = 1.0
CALL_BYTES = 16 << 20
CALL_WINDOWS = 100


class Step(NamedTuple):
    """A state to claim, then what to emit: batches of records, or the account of the window that it closes."""

    state: ReaderState
    batches: list[Batch]
    closed: ReaderState | None = None
    progress: bool = True


@dataclasses.dataclass
class Call:
    """What is left of one call: it ends after a time, or a number of record bytes or windows."""

    deadline: float
    bytes: int = CALL_BYTES
    windows: int = CALL_WINDOWS

    @property
    def full(self) -> bool:
        """Tell whether enough was read."""
        return self.bytes <= 0 or self.windows <= 0
