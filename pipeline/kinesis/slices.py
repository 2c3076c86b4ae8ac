"""Slices of a long range, for runners that keep everything in memory until the source ends.

Such a runner runs inside this process, so the readers of a slice share its state here. All of them end at the same
window.
"""
from __future__ import annotations

import dataclasses
import threading

_slices: dict[str, Slice] = {}
_lock = threading.Lock()


@dataclasses.dataclass
class Slice:
    """A slice of about `limit_bytes` record bytes at most.

    `end_ms` is the window start at which the slice ends. It is set once, when readers have closed windows with so many
    bytes. `reached_ms` is the window start that each reader has reached, by its number.
    """

    limit_bytes: int
    read_bytes: int = 0
    end_ms: int | None = None
    reached_ms: dict[int, int] = dataclasses.field(default_factory=dict)


def open_slice(slice_id: str, limit_bytes: int) -> Slice:
    """Begin a slice, and return it; readers find it by its id."""
    _slices[slice_id] = Slice(limit_bytes)
    return _slices[slice_id]


def close_slice(slice_id: str) -> None:
    """Forget a slice that has been read."""
    _slices.pop(slice_id, None)


def has_ended(slice_id: str, window_ms: int) -> bool:
    """Return whether the slice ended before that window; another reader may have ended it."""
    current = _slices.get(slice_id)
    return current is not None and current.end_ms is not None and window_ms >= current.end_ms


def note_window(slice_id: str, reader: int, next_ms: int, window_bytes: int) -> bool:
    """Note that a reader closed a window of so many record bytes and has reached the window start `next_ms`.

    Return whether the slice ends there for this reader; False if there is no slice of that id.
    """
    with _lock:
        current = _slices.get(slice_id)
        if current is None:
            return False
        current.read_bytes += window_bytes
        current.reached_ms[reader] = next_ms
        if current.end_ms is None and current.read_bytes >= current.limit_bytes:
            current.end_ms = max(current.reached_ms.values())
        return current.end_ms is not None and next_ms >= current.end_ms
