"""Where a bounded slice ends: runners that keep everything until the source ends read a long range in pieces.

Slices are for runners inside this process, so their readers meet here; all of them end at the same window.
"""
from __future__ import annotations

import dataclasses
import threading

_slices: dict[str, Slice] = {}
_lock = threading.Lock()


@dataclasses.dataclass
class Slice:
    """A slice of at most about `limit_bytes` record bytes; `end_ms` is set once, at a window barrier past them."""

    limit_bytes: int
    read_bytes: int = 0
    end_ms: int | None = None
    reached_ms: dict[int, int] = dataclasses.field(default_factory=dict)


def open_slice(slice_id: str, limit_bytes: int) -> Slice:
    """Begin a slice that readers know by its id."""
    _slices[slice_id] = Slice(limit_bytes)
    return _slices[slice_id]


def close_slice(slice_id: str) -> None:
    """Forget a slice that has been read."""
    _slices.pop(slice_id, None)


def has_ended(slice_id: str, window_ms: int) -> bool:
    """Tell whether the slice ended before that window: another reader may have ended it."""
    known = _slices.get(slice_id)
    return known is not None and known.end_ms is not None and window_ms >= known.end_ms


def note_window(slice_id: str, reader: int, next_ms: int, window_bytes: int) -> bool:
    """Note that a reader closed a window of so many record bytes and is at `next_ms`; True: it ends there."""
    with _lock:
        known = _slices.get(slice_id)
        if known is None:
            return False
        known.read_bytes += window_bytes
        known.reached_ms[reader] = next_ms
        if known.end_ms is None and known.read_bytes >= known.limit_bytes:
            known.end_ms = max(known.reached_ms.values())
        return known.end_ms is not None and next_ms >= known.end_ms
