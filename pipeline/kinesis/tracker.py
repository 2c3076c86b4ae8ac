"""The restriction tracker of a reader, which checkpoints only at the last claim."""
from __future__ import annotations

import dataclasses

from apache_beam.io.iobase import RestrictionProgress, RestrictionTracker

from pipeline.kinesis.positions import ReaderState


class ReaderTracker(RestrictionTracker):  # type: ignore[misc]
    """Claim the states of a reader one after another. After a checkpoint, reading resumes at the last claimed one."""

    def __init__(self, state: ReaderState) -> None:
        self._restriction = state
        self._claimed: ReaderState | None = None
        self._stopped = False

    def current_restriction(self) -> ReaderState:
        return self._restriction

    def try_claim(self, position: ReaderState) -> bool:
        if self._stopped:
            return False
        self._claimed = position
        return True

    def try_split(self, fraction_of_remainder: float) -> tuple[ReaderState, ReaderState] | None:
        """Return (primary, residual) of a checkpoint at the last claim, or None.

        A reader cannot be split in parts, so only fraction 0 is accepted. Before the first claim there is no
        checkpoint: it would return the same work again and again (seen on Dataflow, which splits after 5 seconds).
        """
        if fraction_of_remainder != 0 or self._stopped or self._claimed is None or self._claimed.done:
            return None
        self._stopped = True
        self._restriction = dataclasses.replace(self._claimed, done=True)
        return self._restriction, self._claimed

    def check_done(self) -> bool:
        """Return True. Raise ValueError if work is left that was not deferred."""
        last = self._claimed or self._restriction
        if not (self._stopped or last.done):
            raise ValueError(f'the reader returned in the middle of window {last.window_ms} without deferring')
        return True

    def current_progress(self) -> RestrictionProgress:
        # A fraction, since Beam does not change it. Completed work Beam counts itself, in bytes of output, which is NaN
        # before the first output; then a split that a runner asks for fails the job (seen on Prism).
        done = (self._claimed or self._restriction).done
        return RestrictionProgress(fraction=float(done), remaining=0 if done else 1)

    def is_bounded(self) -> bool:
        return self._restriction.stop_ms is not None
