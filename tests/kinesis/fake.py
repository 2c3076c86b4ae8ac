"""A scripted Kinesis with its own clock: it answers the calls of a reader, and fails exactly when a test asks for it.

It refuses what AWS would refuse, and fails the test if a shard is asked more than four times a second.
"""
from __future__ import annotations

import collections
import dataclasses
from typing import NamedTuple

from pipeline.errors import ReadError
from pipeline.kinesis.api import Page, ShardInfo, Summary
from pipeline.kinesis.errors import ExpiredIterator, ShardGone
from pipeline.kinesis.settings import ReadSettings, StreamInfo
from pipeline.kinesis.shards import HASH_RANGE
from pipeline.source import RawRecord

START_MS = 1_800_000_000_000
ITERATOR_LIFE_MS = 300_000
PAGE_BYTES = 10 << 20
DAY_MS = 86_400_000


class FakeRecord(NamedTuple):
    """A record of a shard; readers see it from `visible_ms` on."""

    sequence: int
    arrival_ms: int
    visible_ms: int
    data: bytes
    partition_key: str | None = 'key'


@dataclasses.dataclass
class FakeShard:
    """A shard with its log; `closed_ms` is when it was split or merged."""

    shard: str
    first_hash: int
    last_hash: int
    created_ms: int
    closed_ms: int | None = None
    records: list[FakeRecord] = dataclasses.field(default_factory=list)
    asked_ms: list[float] = dataclasses.field(default_factory=list)
    refuses_until_ms: float = 0.0


class Asked(NamedTuple):
    """A call that was made."""

    now_ms: int
    call: str
    shard: str | None = None
    where: str = ''


class FakeKinesis:
    """One stream. Tests move `now_ms`, AWS's clock; the local clock is `local_offset_ms` ahead of it.

    `walk_ms` is how far one GetRecords gets through a stretch without records, None if it reaches the next record.
    """

    def __init__(self, shards: int = 1, now_ms: int = START_MS, name: str = 'events') -> None:
        self.name = name
        self.now_ms: float = now_ms
        self.created_ms = now_ms
        self._retention_ms, self._trimmed_ms = DAY_MS, 0.0
        self.local_offset_ms = 0
        self.walk_ms: int | None = None
        self.page_records = 10_000
        self.first_sequence = 1
        self.shards: dict[str, FakeShard] = {}
        self.hidden: set[str] = set()
        self.asked: list[Asked] = []
        self._faults: dict[tuple[str, str | None], collections.deque[Exception]] = {}
        bounds = [HASH_RANGE * index // shards for index in range(shards + 1)]
        for first, end in zip(bounds, bounds[1:], strict=False):
            self._add(first, end - 1)

    @property
    def retention_ms(self) -> int:
        """How long records are kept. Raising it does not restore dropped records."""
        return self._retention_ms

    @retention_ms.setter
    def retention_ms(self, retention_ms: int) -> None:
        self._trimmed_ms = self._horizon_ms()
        self._retention_ms = retention_ms

    def _horizon_ms(self) -> float:
        return max(self._trimmed_ms, self.now_ms - self._retention_ms)

    # For tests.

    def put(self, shard: str, data: bytes = b'{}', arrival_ms: float | None = None, delay_ms: int = 0,
            partition_key: str | None = 'key') -> FakeRecord:
        """Put a record now; `arrival_ms` is its arrival, `delay_ms` how much later readers see it."""
        log = self.shards[shard].records
        assert self.shards[shard].closed_ms is None
        sequence = log[-1].sequence + 1 if log else self.first_sequence
        arrival_ms = self.now_ms if arrival_ms is None else arrival_ms
        record = FakeRecord(sequence, int(arrival_ms), int(self.now_ms) + delay_ms, data, partition_key)
        log.append(record)
        return record

    def split(self, shard: str) -> tuple[str, str]:
        """Split a shard in two."""
        parent = self._close(shard)
        middle = (parent.first_hash + parent.last_hash) // 2
        return self._add(parent.first_hash, middle), self._add(middle + 1, parent.last_hash)

    def merge(self, left: str, right: str) -> str:
        """Merge two neighbouring shards."""
        first, last = self._close(left), self._close(right)
        assert first.last_hash + 1 == last.first_hash
        return self._add(first.first_hash, last.last_hash)

    def fail(self, call: str, *errors: Exception, shard: str | None = None) -> None:
        """Make the next calls of that name fail, each with one of the errors."""
        self._faults.setdefault((call, shard), collections.deque()).extend(errors)

    def make_again(self) -> None:
        """Delete the stream, and create it again with the same name."""
        self.created_ms = int(self.now_ms)
        self.shards = {}
        self._add(0, HASH_RANGE - 1)

    def sleep(self, seconds: float) -> None:
        """Move the clock."""
        assert seconds >= 0
        self.now_ms += seconds * 1000

    def clock(self) -> float:
        """Return monotonic seconds."""
        return self.now_ms / 1000

    def local_ms(self) -> int:
        """Return the local wall clock in epoch ms."""
        return int(self.now_ms) + self.local_offset_ms

    def infos(self, label: str = '') -> tuple[StreamInfo, ...]:
        """Return the stream as the plan of a run describes it."""
        return (StreamInfo(self.name, self.name, label, self.created_ms, self.retention_ms),)

    def settings(self, **changes: object) -> ReadSettings:
        """Return settings that read the stream from its creation on, in windows of ten seconds."""
        settings = ReadSettings(self.infos(), start_ms=self.created_ms, stop_ms=None, flush_ms=10_000,
                                flush_bytes=64 << 20, slack_ms=10_000, since_ms=self.created_ms)
        return dataclasses.replace(settings, **changes)  # type: ignore[arg-type]

    def calls(self, *names: str) -> list[str]:
        """Return the calls of those names that were made, as `name shard where`."""
        return [' '.join(filter(None, asked[1:])) for asked in self.asked if asked.call in names]

    # KinesisApi: what readers call.

    def summary(self, stream: str) -> Summary:
        self._note('summary', stream, None)
        return Summary(self.created_ms, self.retention_ms, self._date())

    def list_shards(self, stream: str) -> tuple[list[ShardInfo], int]:
        self._note('list_shards', stream, None)
        kept = [shard for shard in self.shards.values() if self._is_kept(shard) and shard.shard not in self.hidden]
        return [ShardInfo(shard.shard, shard.first_hash, shard.last_hash, shard.closed_ms is None)
                for shard in kept], self._date()

    def iterator(self, stream: str, shard: str, sequence: str, since_ms: int) -> str:
        self._note('iterator', stream, shard, f'after {sequence}' if sequence else f'at {since_ms}')
        log = self._shard(shard).records
        if sequence:
            assert int(sequence) <= (log[-1].sequence if log else 0), 'a sequence number of another stream'
            walked_ms = next((record.arrival_ms for record in log if record.sequence == int(sequence)), 0)
            return self._iterator(int(sequence), walked_ms)
        before = [record.sequence for record in log if record.arrival_ms < since_ms]
        return self._iterator(max(before, default=0), max(since_ms, self._shard(shard).created_ms))

    def holds(self, stream: str, shard: str, sequence: str) -> bool:
        self._note('holds', stream, shard, f'at {sequence}')
        found = next((record for record in self._shard(shard).records if record.sequence == int(sequence)), None)
        return found is not None and found.arrival_ms >= self._horizon_ms()

    def records(self, stream: str, shard: str, iterator: str) -> Page:
        self._note('records', stream, shard)
        found = self._shard(shard)
        self._limit(found)
        after, walked_ms, issued_ms = map(int, iterator.split())
        if self.now_ms - issued_ms > ITERATOR_LIFE_MS:
            raise ExpiredIterator
        return self._page(found, after, walked_ms)

    def _page(self, shard: FakeShard, after: int, walked_ms: int) -> Page:
        horizon_ms = self._horizon_ms()
        walked_ms = max(walked_ms, int(horizon_ms))
        until_ms = self.now_ms if self.walk_ms is None else walked_ms + self.walk_ms
        unread = [record for record in shard.records if record.sequence > after and record.arrival_ms >= horizon_ms]
        taken, size = list[FakeRecord](), 0
        for record in unread[:self.page_records]:
            size += len(record.data)
            if record.visible_ms > self.now_ms or size > PAGE_BYTES or (record.arrival_ms > until_ms and self.walk_ms):
                break
            taken.append(record)
        rest = unread[len(taken):]
        seen = [record for record in rest if record.visible_ms <= self.now_ms]
        last = taken[-1] if taken else None
        at_tip = not seen and (self.walk_ms is None or until_ms >= self.now_ms)
        walked_ms = max(walked_ms, last.arrival_ms if last and seen else int(min(until_ms, self.now_ms)))
        behind_ms = 0 if at_tip else max(1, int(self.now_ms) - walked_ms)
        if size >= PAGE_BYTES:
            shard.refuses_until_ms = self.now_ms + 5000
        ended = shard.closed_ms is not None and not rest
        following = None if ended else self._iterator(last.sequence if last else after, walked_ms)
        return Page([RawRecord(str(record.sequence), record.arrival_ms, record.partition_key, record.data)
                     for record in taken], following, behind_ms, self._date())

    def _limit(self, shard: FakeShard) -> None:
        shard.asked_ms = [at for at in shard.asked_ms if at > self.now_ms - 1000]
        shard.asked_ms.append(self.now_ms)
        assert len(shard.asked_ms) <= 4, f'{shard.shard} was asked {len(shard.asked_ms)} times in a second'
        assert self.now_ms >= shard.refuses_until_ms, f'{shard.shard} was asked too soon after 10 MiB'

    def _iterator(self, after: int, walked_ms: int) -> str:
        return f'{after} {walked_ms} {int(self.now_ms)}'

    def _note(self, call: str, stream: str, shard: str | None, where: str = '') -> None:
        self.asked.append(Asked(int(self.now_ms), call, shard, where))
        for key in ((call, shard), (call, None)):
            if self._faults.get(key):
                raise self._faults[key].popleft()
        if stream != self.name:
            raise ReadError(f'no stream {stream}')

    def _shard(self, shard: str) -> FakeShard:
        if shard not in self.shards or not self._is_kept(self.shards[shard]):
            raise ShardGone
        return self.shards[shard]

    def _is_kept(self, shard: FakeShard) -> bool:
        return shard.closed_ms is None or shard.closed_ms > self._horizon_ms()

    def _date(self) -> int:
        """Return the time in whole seconds, like the Date header of AWS."""
        return int(self.now_ms) // 1000 * 1000

    def _add(self, first_hash: int, last_hash: int) -> str:
        name = f'shardId-{len(self.shards):012d}'
        self.shards[name] = FakeShard(name, first_hash, last_hash, int(self.now_ms))
        return name

    def _close(self, shard: str) -> FakeShard:
        parent = self.shards[shard]
        assert parent.closed_ms is None
        parent.closed_ms = int(self.now_ms)
        return parent


def put_all(fake: FakeKinesis, *data: str, shard: str = 'shardId-000000000000') -> None:
    """Put records now, one for each text."""
    for text in data:
        fake.put(shard, text.encode())
