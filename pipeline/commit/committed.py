"""What is committed already, for a run that writes windows again: see kinesis/limits.py."""
from __future__ import annotations

import bisect
import functools
from collections.abc import Iterator

from pipeline.commit.manifests import Manifest, manifest_paths, read_strictly
from pipeline.paths import manifest_path
from pipeline.source import CommittedWindow
from pipeline.stores.base import Store
from pipeline.windows import DAY_MS, HOUR_MS, align_down

#: The windows that are kept at once: readers that share a process are in different ones.
KEPT_WINDOWS = 8


class CommittedWindows:
    """The manifests of an output, read when a window needs them.

    The names of a day's manifests are listed once, so a reader at the tip makes no call per window. They are what was
    committed before that: what this run commits meanwhile lies behind its readers.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._days = functools.lru_cache(maxsize=3)(self._list_day)
        self._read = functools.lru_cache(maxsize=KEPT_WINDOWS)(self._read_window)
        self.around = functools.lru_cache(maxsize=KEPT_WINDOWS)(self._around)

    def __reduce__(self) -> tuple[type[CommittedWindows], tuple[Store]]:
        return CommittedWindows, (self._store,)

    def _around(self, window_ms: int, end_ms: int) -> tuple[CommittedWindow, ...]:
        """Return the committed windows that overlap this one, up to the first that reaches its end, in order.

        If none reaches it, the next one after it is the last, if it is on the same day or the next: a record is not
        overtaken for longer. Raise StoreError or ManifestError.
        """
        found = []
        for path in self._paths(window_ms):
            window = self._read(path)
            if window and window.end_ms > window_ms:
                found.append(window)
                if window.end_ms >= end_ms:
                    break
        return tuple(found)

    def _paths(self, window_ms: int) -> Iterator[str]:
        """Yield the paths of the manifests from this window on, and of the one before it, if it may be a longer one.

        No window is longer than an hour, and an hour has whole windows.
        """
        for day_ms in (align_down(window_ms, DAY_MS), align_down(window_ms, DAY_MS) + DAY_MS):
            paths = self._days(day_ms)
            at = bisect.bisect_left(paths, manifest_path(window_ms))
            if at == len(paths) or paths[at] != manifest_path(window_ms):
                longest = manifest_path(align_down(window_ms, HOUR_MS))
                at -= at > 0 and paths[at - 1] >= longest
            yield from paths[at:]

    def _list_day(self, day_ms: int) -> list[str]:
        return manifest_paths(self._store, day_ms)

    def _read_window(self, path: str) -> CommittedWindow | None:
        manifest = read_strictly(self._store, path, Manifest)
        if manifest is None:
            return None
        return CommittedWindow(manifest.window_ms, manifest.end_ms, manifest.settings.placement.created_ms,
                               manifest.accounts, manifest.positions)
