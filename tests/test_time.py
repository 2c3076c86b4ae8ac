"""Windowing, writing and committing over time: what lands where, and what is never declared complete."""
import dataclasses
import gzip
import json
import logging
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.test_pipeline import TestPipeline as _TestPipeline
from apache_beam.testing.test_stream import TestStream as _TestStream
from apache_beam.transforms.window import TimestampedValue

from pipeline.commit.commit import CommitWindow
from pipeline.commit.commit_window import CommitSettings
from pipeline.commit.resume_point import ResumePoint, read_resume_point, write_resume_point
from pipeline.errors import Fenced
from pipeline.options.types import iso_ms
from pipeline.source import ShardCounts
from pipeline.stores.base import MemoryStore
from pipeline.write.layout import Layout
from pipeline.write.objects import WriteObjects
from pipeline.write.window import WindowByHour
from tests.ledgers import OTHER, SETTINGS, report_row
from transforms import FlattenEvents, Origin, Record, RenameFields, SplitRecords

FLUSH_MS = 300_000
START = iso_ms('2026-11-23T10:15:00Z') or 0
#: Beam copies what a pipeline holds; stores that live here are found again by name.
STORES: dict[str, MemoryStore] = {}


@dataclasses.dataclass(frozen=True)
class KeptStore:
    """The MemoryStore of that name."""

    name: str

    def put(self, path: str, data: bytes) -> None:
        STORES[self.name].put(path, data)

    def get(self, path: str) -> bytes | None:
        found: bytes | None = STORES[self.name].get(path)
        return found

    def delete(self, path: str) -> None:
        STORES[self.name].delete(path)

    def create(self, path: str, data: bytes) -> bool:
        return STORES[self.name].create(path, data)

    def swap(self, path: str, before: bytes | None, after: bytes | None) -> bool:
        return STORES[self.name].swap(path, before, after)

    def list(self, prefix: str) -> Iterator[str]:
        return STORES[self.name].list(prefix)


class Flow:
    """A stream of records and accounts as the reader gives them, and the lake that comes of it."""

    def __init__(self, name: str, readers: int = 1) -> None:
        self.store = STORES[name] = MemoryStore()
        write_resume_point(self.store, ResumePoint(START, START, {}, SETTINGS))
        self._name, self._readers = name, readers
        self._events, self._watermark_ms = _TestStream(), 0
        self.watermark(START)
        self.records: dict[int, dict[str, list[Record]]] = {}
        self._sequence = 0
        self.incomplete = 0

    def arrive(self, window: int, *data: bytes, at_ms: int = 0, shard: str = 'a') -> 'Flow':
        """Let a record arrive `at_ms` after the start of that window after START."""
        window_ms = START + window * FLUSH_MS
        records = []
        for item in data:
            self._sequence += 1
            records.append(Record(Origin('app', shard, str(self._sequence), arrival_ms=window_ms + at_ms,
                                         window_ms=window_ms), item))
        self.records.setdefault(window_ms, {}).setdefault(shard, []).extend(records)
        self._events = self._events.add_elements([TimestampedValue(record, window_ms / 1000) for record in records])
        return self

    def close(self, window: int, readers: tuple[int, ...] = (0,)) -> 'Flow':
        """Account for a window, each of these readers its part, and let the watermark pass its end."""
        window_ms = START + window * FLUSH_MS
        shards = self.records.get(window_ms, {})
        for reader in readers:
            mine = {f'app/{shard}': ShardCounts(len(records), 0, '', '')
                    for shard, records in shards.items() if int(shard, 36) % self._readers == reader}
            row = report_row(reader, self._readers, mine)
            self._events = self._events.add_elements([TimestampedValue(row, window_ms / 1000)])
        self.watermark(window_ms + FLUSH_MS)
        return self

    def end(self) -> 'Flow':
        """Run it all."""
        store = KeptStore(self._name)
        conf = CommitSettings(store, {'events': store, 'errors': store}, FLUSH_MS, SETTINGS, backup=False)
        # Without --streaming this runner groups once, at the end.
        pipeline = _TestPipeline(runner='BundleBasedDirectRunner', options=PipelineOptions(['--streaming']))
        arrived = pipeline | self._events.advance_watermark_to_infinity()
        split = (arrived | beam.Filter(lambda item: isinstance(item, Record)).with_output_types(Record)
                 | SplitRecords())
        flat = split.records | FlattenEvents()
        events = (flat.records | RenameFields()).records | 'Events' >> WindowByHour(Layout(), FLUSH_MS)
        errors = ((split.malformed, flat.malformed) | beam.Flatten()
                  | 'Errors' >> WindowByHour(Layout(), FLUSH_MS, 'errors'))
        written = ((events.chunks, errors.chunks) | 'Chunks' >> beam.Flatten()
                   | WriteObjects(conf.put_object))
        accounts = arrived | beam.Filter(lambda item: isinstance(item, bytes)).with_output_types(bytes)
        windowed = ((accounts, events.ledger, errors.ledger) | 'Rows' >> beam.Flatten()
                    | beam.WindowInto(beam.window.FixedWindows(FLUSH_MS / 1000)))
        (windowed, written) | 'All' >> beam.Flatten() | CommitWindow(conf)
        result = pipeline.run()
        result.wait_until_finish()
        counted = result.metrics().query(beam.metrics.MetricsFilter().with_name('incomplete_windows'))['counters']
        self.incomplete = sum(counter.committed for counter in counted)
        return self

    @property
    def objects(self) -> dict[str, list[Any]]:
        """Return the value `n` of each line, by path."""
        return {path: [json.loads(line).get('n') for line in gzip.decompress(data).splitlines()]
                for path, data in self.store.items() if path.startswith(('events/', 'errors/'))}

    @property
    def committed(self) -> list[str]:
        return [path.rsplit('/', 1)[-1] for path in self.store if path.startswith('manifests/')]

    @property
    def resume(self) -> int:
        """Return how many windows after START resume.json is."""
        return ((read_resume_point(self.store) or ResumePoint(0, 0, {}, SETTINGS)).end_ms - START) // FLUSH_MS

    def watermark(self, ms: int) -> 'Flow':
        """Move the watermark, if that is later than where it is."""
        if ms > self._watermark_ms:
            self._events, self._watermark_ms = self._events.advance_watermark_to(ms / 1000), ms
        return self


def event(number: int, time: str = '2026-11-23 10:15:00', platform: str = 'ios') -> bytes:
    return json.dumps({'n': number, 'eventTime': time, 'platform': platform}).encode()


def folder(hour: str = '10', day: str = '23', platform: str = 'ios') -> str:
    return f'events/year=2026/month=11/day={day}/hour={hour}/platform={platform}'


def name(clock: str) -> str:
    return f'20261123T{clock}00Z-p00000-00000-of-00001.json.gz'


@pytest.fixture
def flow(request: pytest.FixtureRequest) -> Flow:
    return Flow(request.node.name, readers=getattr(request, 'param', 1))


def test_a_run_that_another_one_has_followed_replaces_none_of_its_objects(flow: Flow) -> None:
    path = f'{folder()}/{name("1015")}'
    flow.store[path] = b'of the later run'
    write_resume_point(flow.store, ResumePoint(START, START, {}, OTHER, generation=1))

    with pytest.raises((Fenced, RuntimeError), match='another run with other settings has taken over this output'):
        flow.arrive(0, event(1)).close(0).end()

    assert flow.store[path] == b'of the later run'
    assert flow.committed == []


def test_late_events_get_their_own_object_in_the_hour_that_they_are_of(flow: Flow) -> None:
    flow.arrive(0, event(1), event(2, '2026-11-23 09:59:59'), event(3, '2026-11-20 00:00:00')).close(0)
    flow.arrive(1, event(4), event(5, '2026-11-20 00:59:59')).close(1).end()

    assert flow.objects == {
        f'{folder()}/{name("1015")}': [1], f'{folder("09")}/{name("1015")}': [2],
        f'{folder("00", "20")}/{name("1015")}': [3],
        f'{folder()}/{name("1020")}': [4], f'{folder("00", "20")}/{name("1020")}': [5]}
    assert (flow.committed, flow.resume, flow.incomplete) == (['20261123T101500Z.json', '20261123T102000Z.json'], 2, 0)


def test_the_first_and_the_last_millisecond_of_a_window_are_in_it(flow: Flow) -> None:
    flow.arrive(0, event(1), at_ms=0).arrive(0, event(2), at_ms=FLUSH_MS - 1).close(0)
    flow.arrive(1, event(3), at_ms=0).close(1).end()

    assert flow.objects == {f'{folder()}/{name("1015")}': [1, 2], f'{folder()}/{name("1020")}': [3]}


def test_the_end_of_an_hour_is_the_end_of_a_window(flow: Flow) -> None:
    flow.arrive(8, event(1, 'none'), at_ms=FLUSH_MS - 1).arrive(9, event(2, 'none'), at_ms=0).close(8).close(9).end()

    assert flow.objects == {f'{folder("10")}/{name("1055")}': [1], f'{folder("11")}/{name("1100")}': [2]}


def test_idle_windows_and_shards_write_no_object_but_are_committed(flow: Flow) -> None:
    flow.close(0).arrive(1, event(1)).close(1).close(2).end()

    assert flow.objects == {f'{folder()}/{name("1020")}': [1]}
    assert (len(flow.committed), flow.resume, flow.incomplete) == (3, 3, 0)


def test_lines_of_many_bundles_and_shards_are_one_object(flow: Flow) -> None:
    flow.arrive(0, event(1), shard='b').arrive(0, event(2), event(3), shard='a').arrive(0, event(4), shard='b')
    flow.close(0).end()

    assert flow.objects == {f'{folder()}/{name("1015")}': [2, 3, 1, 4]}
    assert [path for kind, path in flow.store.effects if kind == 'put'].count(f'{folder()}/{name("1015")}') == 1


def test_malformed_data_is_in_the_window_too(flow: Flow) -> None:
    flow.arrive(0, event(1) + b'{"cut', b'[]', event(2)).close(0).end()

    hour = 'year=2026/month=11/day=23/hour=10'
    assert {path: len(lines) for path, lines in flow.objects.items()} == {
        f'{folder()}/{name("1015")}': 2, f'errors/invalid-json/{hour}/{name("1015")}': 1,
        f'errors/not-an-object/{hour}/{name("1015")}': 1}
    assert (flow.resume, flow.incomplete) == (1, 0)


def test_a_window_that_is_closed_early_is_never_declared_complete(
        flow: Flow, caplog: pytest.LogCaptureFixture) -> None:
    flow.arrive(0, event(1)).watermark(START + FLUSH_MS + 1)
    flow.arrive(0, event(2)).close(0)  # behind the watermark: the runner drops it, and the account with it
    flow.arrive(1, event(3)).close(1)
    with caplog.at_level(logging.WARNING, 'pipeline'):
        flow.end()

    assert flow.objects == {f'{folder()}/{name("1015")}': [1], f'{folder()}/{name("1020")}': [3]}
    assert (flow.committed, flow.resume, flow.incomplete) == (['20261123T102000Z.json'], 0, 1)
    assert [record.getMessage() for record in caplog.records if record.name == 'pipeline.commit.commit'] == [
        'window 2026-11-23T10:15:00Z is not complete: 0 of ? readers have reported it. It gets no manifest; a run '
        'with --start=resume makes it whole']


def test_a_record_that_the_runner_drops_leaves_its_window_without_a_manifest(
        flow: Flow, caplog: pytest.LogCaptureFixture) -> None:
    flow.arrive(0, event(1))
    flow.records[START]['a'].append(flow.records[START]['a'][0])  # read and accounted for, but gone on its way
    with caplog.at_level(logging.WARNING, 'pipeline'):
        flow.close(0).end()

    assert (flow.committed, flow.resume, flow.incomplete) == ([], 0, 1)
    assert 'records read = records placed + broken KPL aggregates: 2 is not 1' in caplog.text


@pytest.mark.parametrize('flow', [3], indirect=True)
def test_a_window_that_one_reader_does_not_account_for_is_not_complete(
        flow: Flow, caplog: pytest.LogCaptureFixture) -> None:
    flow.arrive(0, event(1), shard='a').arrive(0, event(2), shard='b').close(0, readers=(0, 2))
    flow.arrive(1, event(3), shard='c').close(1, readers=(0, 1, 2))
    with caplog.at_level(logging.WARNING, 'pipeline'):
        flow.end()

    assert (flow.committed, flow.resume, flow.incomplete) == (['20261123T102000Z.json'], 0, 1)
    assert '2 of 3 readers have reported it' in caplog.text


def test_the_same_stream_once_more_makes_whole_what_was_not_and_changes_nothing_else(flow: Flow) -> None:
    flow.arrive(0, event(1)).watermark(START + FLUSH_MS + 1)
    flow.arrive(0, event(2)).close(0).arrive(1, event(3)).close(1).end()
    before = flow.objects

    again = Flow('again')
    again.store.update(flow.store)
    again.arrive(0, event(1), event(2)).close(0).arrive(1, event(3)).close(1).end()

    assert again.objects == {**before, f'{folder()}/{name("1015")}': [1, 2]}
    assert (again.committed, again.resume, again.incomplete) == (
        ['20261123T102000Z.json', '20261123T101500Z.json'], 2, 0)
