"""When a reader lists its streams anew, and what it learns by it: shards, AWS's time, retention."""
from __future__ import annotations

import collections

from pipeline.kinesis.errors import PassingError
from pipeline.kinesis.retention import Horizons
from pipeline.kinesis.shards import list_streams, merge_listing, owned_by
from pipeline.kinesis.positions import ReaderState
from pipeline.kinesis.settings import ReadSettings
from pipeline.kinesis.shared import Shared

LISTING_S = 10.0
#: When a window waits for nothing but a listing, the next one need not wait the whole ten seconds.
LISTING_SOON_S = 1.0
SKEW_MS = 60_000


class Discovery:
    """List the streams of one reader, at its own pace; `counts` is where it counts what happened."""

    def __init__(self, settings: ReadSettings, element: tuple[int, int], shared: Shared, horizons: Horizons,
                 counts: collections.Counter[str]) -> None:
        self._settings, self._element, self._shared = settings, element, shared
        self._horizons, self._counts = horizons, counts
        self._keys = [(settings.streams, 'listing', kind, element) for kind in ('regular', 'soon')]

    def wait_s(self, state: ReaderState, wanted: bool) -> float:
        """Give the seconds until the next listing; `wanted`: a window waits for nothing else."""
        regular_s, soon_s = map(self._shared.pace.wait_s, self._keys)
        return min(regular_s, soon_s) if wanted or not state.listed_ms else regular_s

    def list(self, state: ReaderState) -> ReaderState:
        """Give the state with what a listing shows, or as it was where there is no whole one for now."""
        try:
            self._horizons.refresh_if_due()
            listing = list_streams(self._shared.calls, self._settings)
        except PassingError as error:
            return self._failed(state, 'throttles' if error.throttled else 'failed_calls')
        if listing is None:
            return self._failed(state, 'unfinished_listings')
        found, listed_ms = listing
        for key, delay_s in zip(self._keys, (LISTING_S, LISTING_SOON_S), strict=True):
            self._shared.pace.succeeded(key, delay_s)
        self._counts['clock_skew'] += abs(self._shared.wall_ms() - listed_ms) > SKEW_MS
        return merge_listing(state, owned_by(found, *self._element), listed_ms, self._settings.since_ms)

    def _failed(self, state: ReaderState, problem: str) -> ReaderState:
        self._counts[problem] += 1
        for key in self._keys:
            self._shared.pace.failed(key, problem == 'throttles')
        return state
