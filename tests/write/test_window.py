from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.window import GlobalWindow

from pipeline.source import Batch, RawRecord
from pipeline.write.chunks import decode_chunk, join_chunks
from pipeline.write.layout import Layout
from pipeline.write.window import _WindowBackup, _WindowEvents, _WindowFailures
from transforms import (
    Failure,
    MalformedRecord,
    Origin,
    Record,
    encode_event,
    flatten_event,
    parse_event,
    rename_fields,
    split_record,
)
from transforms.limits import Limits, line_budget
from transforms.scan import containers_in

WINDOW = 1_763_893_500_000
HOUR = 'year=2025/month=11/day=23/hour=10'
NAME = '20251123T102500Z-p00000-00000-of-00001.json.gz'
#: The bytes of a record, of which only their number counts here: lines may take twenty times as many.
DATA = b' ' * 50


def origin(sequence: int, shard: str = 'shardId-0', window_ms: int = WINDOW, sub: int = 0) -> Origin:
    return Origin('app', shard, str(sequence), sub, 'key', window_ms + 1, '', window_ms, 0)


def record(sequence: int, *platforms: str, **fields: Any) -> Record:
    documents = [{'platform': platform, 'n': index} for index, platform in enumerate(platforms)]
    values: dict[str, Any] = {'found': len(platforms), 'indices': range(len(platforms)), **fields}
    return Record(origin(sequence), DATA, documents, **values)


class Bundle:
    """The outputs of a DoFn for a bundle: chunks by path, rows of the ledger by window, and failures."""

    def __init__(self, dofn: Any, elements: list[Any], batched: bool = False) -> None:
        self.chunks: dict[str, list[bytes]] = {}
        self.rows: dict[int, Any] = {}
        self.malformed: list[Failure] = []
        dofn.start_bundle()
        outputs = [*self._during(dofn, elements, batched), *dofn.finish_bundle()]
        for output in outputs:
            self._take(output)

    def _during(self, dofn: Any, elements: list[Any], batched: bool) -> Iterator[Any]:
        if batched:
            yield from dofn.process_batch(elements)
        else:
            for element in elements:
                yield from dofn.process(element)

    def _take(self, output: Any) -> None:
        if isinstance(output, TaggedOutput) and output.tag == 'malformed':
            self.malformed.append(output.value)
        elif isinstance(output, TaggedOutput):
            assert (output.tag, output.value.windows) == ('ledger', [GlobalWindow()])
            self.rows[output.value.timestamp.micros // 1000] = orjson.loads(output.value.value)['counts']
        else:
            path, chunk = output.value
            assert output.timestamp.micros // 1000 in (WINDOW, WINDOW + 300_000)
            self.chunks.setdefault(path.decode(), []).append(chunk)

    @property
    def objects(self) -> dict[str, bytes]:
        return {path: join_chunks(chunks)[0] for path, chunks in self.chunks.items()}


@pytest.mark.parametrize('batched', [False, True], ids=['single elements', 'a batch'])
def test_lines_are_collected_by_object_in_stream_order(batched: bool) -> None:
    records = [record(1, 'ios', 'web'), record(2), record(3, 'ios')]

    bundle = Bundle(_WindowEvents(Layout()), records, batched)

    assert bundle.objects == {
        f'events/{HOUR}/platform=ios/{NAME}': b'{"platform":"ios","n":0}\n{"platform":"ios","n":0}\n',
        f'events/{HOUR}/platform=web/{NAME}': b'{"platform":"web","n":1}\n'}
    (chunk,) = bundle.chunks[f'events/{HOUR}/platform=ios/{NAME}']
    (decoded,) = decode_chunk(chunk)
    assert (decoded.first[2:], decoded.last[2:], decoded.lines) == ((1, 0, 0), (3, 0, 0), 2)


@pytest.mark.parametrize('batched', [False, True], ids=['single elements', 'a batch'])
def test_records_and_documents_are_counted_by_flush_window(batched: bool) -> None:
    records = [
        record(1, 'ios', 'web'), record(2, broken=True), record(3),
        record(4, 'ios', found=3, indices=[1], broken=True),
        Record(origin(5, sub=1), DATA, [{'event_time': '2025-11-23 00:00:00'}], [0], 1),
        Record(origin(6, window_ms=WINDOW + 300_000), b'')]

    rows = Bundle(_WindowEvents(Layout()), records, batched).rows

    assert rows == {
        WINDOW: {'records': 4, 'user_records': 5, 'with_documents': 3, 'malformed': 1, 'empty': 1, 'documents': 6,
                 'lines': 4, 'fragments': 2, 'hours_of_arrival': 3},
        WINDOW + 300_000: {'records': 1, 'user_records': 1, 'empty': 1, 'documents': 0, 'lines': 0, 'fragments': 0}}


def test_an_aggregate_is_one_record_whether_its_sub_records_are_broken_or_not() -> None:
    records = [Record(origin(1, sub=sub), b'', broken=broken) for sub, broken in ((0, True), (1, True), (2, False))]

    assert Bundle(_WindowEvents(Layout()), records).rows[WINDOW]['records'] == 1


@pytest.mark.parametrize(('time', 'counts'), [
    (None, (1, 0)), ('', (1, 0)), ('yesterday', (1, 1)), ('1999-01-01 00:00', (1, 1)), ('2025-11-23 00:00', (0, 0))])
def test_unreadable_times_are_counted_apart_from_absent_ones(
        time: str | None, counts: tuple[int, int]) -> None:
    rows = Bundle(_WindowEvents(Layout()), [Record(origin(1), DATA, [{'event_time': time}], [0], 1)]).rows

    assert (rows[WINDOW].get('hours_of_arrival', 0), rows[WINDOW].get('unreadable_times', 0)) == counts
    arrival = Bundle(_WindowEvents(Layout(partition_time='arrival')),
                     [Record(origin(1), DATA, [{'event_time': time}], [0], 1)]).rows
    assert 'hours_of_arrival' not in arrival[WINDOW]


def test_events_that_are_too_old_are_counted_apart_and_go_to_the_hour_of_their_arrival() -> None:
    times = ['2025-11-13 10:25:01', '2025-11-13 10:25:00', '2024-01-01 00:00', 'yesterday', None]
    events = [{'event_time': time} for time in times]

    bundle = Bundle(_WindowEvents(Layout(max_event_age_days=10)), [Record(origin(1), DATA, events, range(5), 5)])

    counts = bundle.rows[WINDOW]
    assert (counts['hours_of_arrival'], counts['old_times'], counts['unreadable_times']) == (4, 2, 1)
    assert bundle.objects[f'events/{HOUR}/platform=unknown/{NAME}'].count(b'\n') == 4
    assert sorted(path.partition('/platform')[0] for path in bundle.objects) == [
        'events/year=2025/month=11/day=13/hour=10', f'events/{HOUR}']
    assert b'2024-01-01 00:00' in bundle.objects[f'events/{HOUR}/platform=unknown/{NAME}']


def test_platforms_that_are_not_listed_share_a_folder_and_keep_their_value() -> None:
    bundle = Bundle(_WindowEvents(Layout(platforms=frozenset({'ios', 'web'}))), [record(1, 'iOS', 'tv', 'TV-2')])

    assert sorted(path.split('/')[-2] for path in bundle.objects) == ['platform=ios', 'platform=other']
    assert b'"platform":"TV-2"' in bundle.objects[f'events/{HOUR}/platform=other/{NAME}']


@pytest.mark.parametrize(('bounds', 'objects'), [
    ({}, 2000), ({'max_event_age_days': 1}, 2000), ({'platforms': frozenset({'ios'})}, 2000),
    ({'max_event_age_days': 1, 'platforms': frozenset({'ios'})}, 24)])
def test_the_bounds_together_bound_the_objects_that_one_record_can_make(bounds: dict[str, Any], objects: int) -> None:
    """Each event has an hour and a platform of its own, the newest the hour of its arrival."""
    events = [{'event_time': WINDOW // 1000 - 3600 * number, 'platform': f'p{number}'} for number in range(2000)]

    bundle = Bundle(_WindowEvents(Layout(**bounds)), [Record(origin(1), b' ' * 200_000, events, range(2000), 2000)])

    assert len(bundle.objects) == objects
    assert sum(body.count(b'\n') for body in bundle.objects.values()) == 2000


def test_a_time_that_renaming_dropped_is_absent_if_the_event_has_the_field() -> None:
    record = Record(origin(1), DATA, [{'event_time': None}], [0], 1, dropped=[{'event_time': 'yesterday'}])

    rows = Bundle(_WindowEvents(Layout()), [record]).rows

    assert (rows[WINDOW]['hours_of_arrival'], rows[WINDOW].get('unreadable_times', 0)) == (1, 0)


def glued(data: bytes) -> Record:
    """Take a record through the four transforms. None of them refuses any of it."""
    split, limits = split_record(data), Limits(len(data))
    events = [rename_fields(flatten_event(parse_event(document), limits)) for document in split.documents]
    return Record(origin(1), data, events, range(len(events)), len(events))


@pytest.mark.parametrize('document', [
    b'{"%s":[%s]}' % (b'k' * 70, b','.join([b'1e15'] * 20_000)),  # numbers that take 18 bytes instead of 4
    b'{"%s":{%s}}' % (b'aB' * 60, b','.join(b'"%d":0' % key for key in range(10_000)))])  # a name that becomes longer
def test_the_encoded_lines_of_a_record_are_limited(document: bytes) -> None:
    record = glued(b'{"n":1}' + document * 9 + b'{"n":2}')
    budget = 16 * len(record.data) + 65_536
    ends = [span.end for span in containers_in(record.data)]

    bundle = Bundle(_WindowEvents(Layout()), [record])

    lines = b''.join(bundle.objects.values())
    (failure,) = bundle.malformed
    assert sum(len(encode_event(event)) + 1 for event in record.documents) > budget >= len(lines)
    assert lines.startswith(b'{"n":1}\n') and lines.count(b'\n') == 11 - failure.documents > 1
    assert failure[1:3] == ('encode', 'output-too-large')
    assert failure.message.endswith(f' 16 times and 64 KiB ({failure.documents} documents)')
    assert (failure.index, failure.offset) == (11 - failure.documents, ends[10 - failure.documents])
    assert failure.fragment == record.data[failure.offset:]
    assert (bundle.rows[WINDOW]['documents'], bundle.rows[WINDOW]['lines']) == (11, 11 - failure.documents)


@pytest.mark.parametrize(('more', 'lines'), [(0, 2), (1, 1)])
def test_the_newline_of_each_line_counts_toward_the_limit(more: int, lines: int) -> None:
    data = b'{}' * 6
    half = line_budget(len(data)) // 2
    events = [{'n': 'x' * (half - len('{"n":""}\n') + more)}] * 2

    bundle = Bundle(_WindowEvents(Layout()), [Record(origin(1), data, events, range(2), 2)])

    assert bundle.rows[WINDOW]['lines'] == lines


@pytest.mark.parametrize('size', [100, 250, 500, 2000, 20_000])
def test_no_record_becomes_more_than_twenty_times_its_bytes(size: int) -> None:
    """Records of one key and many members, as long a key as may pass."""
    grown = []
    for long in range(20, min(size, 1000), 20):
        data = b'{"%s":[%s]}' % (b'k' * long, b','.join([b'0'] * max((size - long) // 2, 1)))
        try:
            record = glued(data)
        except MalformedRecord:
            break
        bundle = Bundle(_WindowEvents(Layout()), [record])
        grown.append(sum(map(len, bundle.objects.values())) / len(data))

    assert 10 < max(grown) <= 20


def test_shards_and_windows_do_not_share_a_chunk() -> None:
    elements = [record(1, 'ios'), Record(origin(1, 'shardId-1'), DATA, [{'platform': 'ios', 'n': 9}], [0], 1),
                Record(origin(2, window_ms=WINDOW + 300_000), DATA, [{'platform': 'ios', 'n': 8}], [0], 1)]

    bundle = Bundle(_WindowEvents(Layout()), elements)

    assert {path: len(chunks) for path, chunks in bundle.chunks.items()} == {
        f'events/{HOUR}/platform=ios/{NAME}': 2,
        f'events/{HOUR}/platform=ios/{NAME.replace("102500", "103000")}': 1}


def failure(sequence: int, code: str = 'too-deep', index: int = 0) -> Failure:
    return Failure(origin(sequence), 'flatten', code, 'm', b'x', index, 0)


def test_failures_of_several_stages_come_out_in_stream_order() -> None:
    layout = Layout()
    stages = [[failure(3), failure(1, index=2)], [failure(2)], [failure(1, index=1)]]

    together = Bundle(_WindowFailures(layout), [item for stage in stages for item in stage])
    apart = [Bundle(_WindowFailures(layout), stage) for stage in stages]

    ((path, body),) = together.objects.items()
    lines = [orjson.loads(line) for line in body.splitlines()]
    assert [(line['sequenceNumber'], line['fragmentIndex']) for line in lines] == [
        ('1', 1), ('1', 2), ('2', 0), ('3', 0)]
    assert join_chunks([chunk for bundle in apart for chunk in bundle.chunks[path]])[0] == body


def test_failures_are_counted_by_error_type_and_refused_documents_by_their_number() -> None:
    failures = [failure(1), failure(2)._replace(documents=7), failure(3, 'invalid-json')]

    bundle = Bundle(_WindowFailures(Layout()), failures)

    assert bundle.rows == {WINDOW: {'error too-deep': 2, 'document_errors': 8, 'error invalid-json': 1}}
    assert set(bundle.chunks) == {f'errors/{code}/{HOUR}/{NAME}' for code in ('too-deep', 'invalid-json')}


def test_the_backup_holds_each_record_as_it_came() -> None:
    records = [RawRecord('7', WINDOW + 5, None, b'\xff\x00'), RawRecord('8', WINDOW + 6, 'k', b'')]

    bundle = Bundle(_WindowBackup(Layout()), [Batch('app', 'shardId-0', WINDOW, 0, records)])

    assert bundle.rows == {WINDOW: {'backup': 2}}
    assert bundle.objects == {f'backup/{HOUR}/{NAME}': (
        b'{"streamName":"app","shardId":"shardId-0","sequenceNumber":"7","approximateArrivalTimestamp":1763893500005,'
        b'"partitionKey":null,"data":"/wA="}\n'
        b'{"streamName":"app","shardId":"shardId-0","sequenceNumber":"8","approximateArrivalTimestamp":1763893500006,'
        b'"partitionKey":"k","data":""}\n')}


def test_the_next_bundle_begins_with_nothing() -> None:
    dofn = _WindowEvents(Layout())
    Bundle(dofn, [record(1, 'ios')])

    assert Bundle(dofn, []).chunks == Bundle(dofn, []).rows == {}
