"""Decide which object a line belongs to: the settings of the layout, and the path of a line. Pure."""
from __future__ import annotations

import dataclasses

from pipeline.paths import backup_path, error_path, event_path, object_name, output_shard
from pipeline.windows import HOUR_MS, align_down
from transforms import Document, Origin, event_hour_ms, is_time_given, platform_of


@dataclasses.dataclass(frozen=True)
class Layout:
    """The settings that decide the path of a line.

    `partition_time` is `event` or `arrival`. The names of the fields are those after renaming. Events that are older
    than `max_event_age_days` (None: no bound) go to the hour of their arrival, platforms other than `platforms` (empty:
    any) to `other`.
    """

    output_shards: int = 1
    compression: str = 'gzip'
    platform_field: str = 'platform'
    time_field: str = 'event_time'
    partition_time: str = 'event'
    max_event_age_days: int | None = None
    platforms: frozenset[str] = frozenset()

    def name(self, origin: Origin) -> str:
        """Return the name of an object within its folder, by the flush window, part and output shard of a record."""
        shard = output_shard(origin.stream, origin.shard, self.output_shards)
        return object_name(origin.window_ms, origin.part, shard, self.output_shards, self.compression)

    def hour_of(self, event: Document, dropped: Document, origin: Origin) -> int | None:
        """Return the start of the hour (epoch ms) in which the event happened.

        Return None if the event's time cannot be read or is too old; the caller uses the hour of arrival.
        """
        return event_hour_ms(_field(event, dropped, self.time_field), origin.arrival_ms, self.max_event_age_days)

    def time_fault(self, event: Document, dropped: Document, origin: Origin) -> str | None:
        """Return the count to which an event without an hour belongs: `old_times` or `unreadable_times`.

        Return None if it has no value in its time field.
        """
        value = _field(event, dropped, self.time_field)
        if event_hour_ms(value, origin.arrival_ms) is not None:
            return 'old_times'
        return 'unreadable_times' if is_time_given(value) else None

    def event(self, event: Document, dropped: Document, origin: Origin, hour_ms: int | None, name: str) -> str:
        """Return the path of an event, in an object of that name. If `hour_ms` is None, use the hour of arrival."""
        platform = platform_of(_field(event, dropped, self.platform_field), origin.label, self.platforms)
        hour_ms = align_down(origin.arrival_ms, HOUR_MS) if hour_ms is None else hour_ms
        return event_path(hour_ms, platform, name)

    def failure(self, code: str, origin: Origin) -> str:
        """Return the path of a malformed fragment."""
        return error_path(code, origin.window_ms, self.name(origin))

    def backup(self, origin: Origin) -> str:
        """Return the path of an untouched record."""
        return backup_path(origin.window_ms, self.name(origin))


def _field(event: Document, dropped: Document, name: str) -> object:
    return event[name] if name in event else dropped.get(name)
