"""How far back each stream keeps its records, and whether it dropped some before they were read."""
from __future__ import annotations

import dataclasses

from pipeline.errors import Gap, ReadError
from pipeline.kinesis.api import KinesisApi
from pipeline.kinesis.errors import PassingError
from pipeline.kinesis.positions import Cursor
from pipeline.kinesis.rate_limiter import RateLimiter
from pipeline.kinesis.settings import ReadSettings, StreamInfo
from pipeline.windows import DAY_MS, iso

#: A job runs for months, and the retention of a stream can be changed in that time.
REFRESH_S = 300.0
#: The lowest retention of AWS. Records younger than this are not lost, whatever the retention is now.
LEAST_MS = DAY_MS


class Retention:
    """The retention of each stream, as it was when the job was built, and refreshed by DescribeStreamSummary.

    An object lives as long as its process, because what a summary said must not be forgotten.
    """

    def __init__(self, settings: ReadSettings, api: KinesisApi, limiter: RateLimiter, key: object) -> None:
        self._streams = {stream.name: stream for stream in settings.streams}
        self._api, self._limiter, self._key = api, limiter, key
        self._asked_s: dict[str, float] = {}

    def refresh_if_due(self) -> None:
        """Ask for the retention of each stream every five minutes; after a failure that passes, ask again later.

        Raise ReadError if a stream is gone, or was deleted and made again.
        """
        if self._limiter.wait_s(self._key):
            return
        try:
            for name in self._streams:
                self._refresh(name)
        except PassingError as error:
            self._limiter.failed(self._key, error.throttled)
        else:
            self._limiter.succeeded(self._key, REFRESH_S)

    def check(self, cursor: Cursor, window_ms: int, now_ms: int | None = None) -> None:
        """Raise Gap if records that this cursor has not read yet were dropped by `now_ms`, AWS's time (epoch ms).

        `now_ms` is None if the shard is gone and AWS's time is unknown; then the stream is asked. If asking fails,
        raise PassingError or ReadError.
        """
        reached_ms = max(window_ms, cursor.reached_ms, cursor.walked_ms)
        if now_ms is not None and self._is_kept(cursor.stream, reached_ms, now_ms):
            return
        stream, now_ms = self._refresh(cursor.stream)
        horizon_ms = stream.horizon_ms(now_ms)
        if horizon_ms > reached_ms:
            raise Gap(f'stream {stream.name} keeps only what arrived since {iso(horizon_ms)}, and shard {cursor.shard} '
                      f'was read up to {iso(reached_ms)}: what arrived between is lost, in part or whole; '
                      '--on_gap=skip goes on after it')

    def _is_kept(self, name: str, reached_ms: int, now_ms: int) -> bool:
        stream = self._streams[name]
        kept_anyway = max(stream.created_ms, reached_ms) >= now_ms - LEAST_MS
        known_lately = self._limiter.clock() - self._asked_s.get(name, float('-inf')) < REFRESH_S
        return stream.horizon_ms(now_ms) <= reached_ms and (kept_anyway or known_lately)

    def _refresh(self, name: str) -> tuple[StreamInfo, int]:
        stream = self._streams[name]
        summary = self._api.summary(stream.address)
        if summary.created_ms != stream.created_ms:
            raise ReadError(f'stream {name} was created at {iso(summary.created_ms)}, not {iso(stream.created_ms)}: it '
                            'was deleted and made again; start over with --start=earliest --start_over, or write to '
                            'another --output')
        self._streams[name] = dataclasses.replace(stream, retention_ms=summary.retention_ms)
        self._asked_s[name] = self._limiter.clock()
        return self._streams[name], summary.now_ms
