"""Which object a line belongs to: the settings of the layout, and a line's path by them. Pure."""
from __future__ import annotations

import dataclasses

from pipeline.paths import backup_path, error_path, event_path, object_name, output_shard
from pipeline.windows import HOUR_MS, align_down
from transforms import Document, Origin, event_hour_ms, is_time_given, platform_of


@dataclasses.dataclass(frozen=True)
class Layout:
    """How lines are placed. `partition_time` is `event` or `arrival`; field names are those after renaming."""

    output_shards: int = 1
    compression: str = 'gzip'
    platform_field: str = 'platform'
    time_field: str = 'event_time'
    partition_time: str = 'event'

    def name(self, origin: Origin) -> str:
        """Name the object, within its folder, of a record's flush window, part and output shard."""
        shard = output_shard(origin.stream, origin.shard, self.output_shards)
        return object_name(origin.window_ms, origin.part, shard, self.output_shards, self.compression)

    def hour_of(self, event: Document, dropped: Document, origin: Origin) -> int | None:
        """Give the hour (epoch ms) that the event says, None where it is that of arrival for want of a readable one."""
        return event_hour_ms(_field(event, dropped, self.time_field), origin.arrival_ms)

    def says_time(self, event: Document, dropped: Document) -> bool:
        """Return whether the event has anything in its time field."""
        return is_time_given(_field(event, dropped, self.time_field))

    def event(self, event: Document, dropped: Document, origin: Origin, hour_ms: int | None, name: str) -> str:
        """Place an event in an object of that name; `hour_ms` None: by the hour of its arrival."""
        platform = platform_of(_field(event, dropped, self.platform_field), origin.label)
        hour_ms = align_down(origin.arrival_ms, HOUR_MS) if hour_ms is None else hour_ms
        return event_path(hour_ms, platform, name)

    def failure(self, code: str, origin: Origin) -> str:
        """Place a malformed fragment."""
        return error_path(code, origin.window_ms, self.name(origin))

    def backup(self, origin: Origin) -> str:
        """Place an untouched record."""
        return backup_path(origin.window_ms, self.name(origin))


def _field(event: Document, dropped: Document, name: str) -> object:
    return event[name] if name in event else dropped.get(name)
