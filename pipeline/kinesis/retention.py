"""What retention has dropped: how far back each stream reaches now, and whether reading fell behind that."""
from __future__ import annotations

import dataclasses

from pipeline.errors import Gap, ReadError
from pipeline.kinesis.api import KinesisApi
from pipeline.kinesis.errors import PassingError
from pipeline.kinesis.positions import Cursor
from pipeline.kinesis.rate_limiter import RateLimiter
from pipeline.kinesis.settings import ReadSettings, StreamInfo
from pipeline.windows import DAY_MS, iso

#: Retention can be changed while a job runs for months.
REFRESH_S = 300.0
#: AWS keeps records for no less: what was read up to so long ago is not lost, whatever retention is now.
LEAST_MS = DAY_MS


class Retention:
    """Retention of the streams of a job, as the job was built and as DescribeStreamSummary says from time to time.

    Kept for the life of a process: what a summary said must not be forgotten.
    """

    def __init__(self, settings: ReadSettings, calls: KinesisApi, limiter: RateLimiter, key: object) -> None:
        self._streams = {stream.name: stream for stream in settings.streams}
        self._calls, self._limiter, self._key = calls, limiter, key
        self._asked_s: dict[str, float] = {}

    def refresh_if_due(self) -> None:
        """Ask for the retention of each stream every few minutes; a failure that passes is tried again, later.

        Raises ReadError where a stream is gone or is another one of the same name.
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
        """Raise Gap if records that this cursor has not read yet have been dropped at `now_ms`.

        Without `now_ms` (the shard is gone, and AWS's time unknown) the stream is asked; that raises PassingError too.
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
        surely = max(stream.created_ms, reached_ms) >= now_ms - LEAST_MS
        fresh = self._limiter.clock() - self._asked_s.get(name, float('-inf')) < REFRESH_S
        return stream.horizon_ms(now_ms) <= reached_ms and (surely or fresh)

    def _refresh(self, name: str) -> tuple[StreamInfo, int]:
        stream = self._streams[name]
        about = self._calls.summary(stream.address)
        if about.created_ms != stream.created_ms:
            raise ReadError(f'stream {name} was created at {iso(about.created_ms)}, not {iso(stream.created_ms)}: it '
                            'was deleted and made again; start over with --start=earliest --start_over, or write to '
                            'another --output')
        self._streams[name] = dataclasses.replace(stream, retention_ms=about.retention_ms)
        self._asked_s[name] = self._limiter.clock()
        return self._streams[name], about.now_ms
