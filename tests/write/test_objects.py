from __future__ import annotations

import gzip
import hashlib
import json
import pathlib
import subprocess
import sys
import threading
import time
import zlib
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.metrics import MetricsFilter
from apache_beam.testing import test_pipeline as testing
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.window import FixedWindows, IntervalWindow, TimestampedValue
from apache_beam.utils.timestamp import Timestamp

from pipeline.errors import OverlapError, StoreError
from pipeline.stores.base import FolderStore, MemoryStore, Store
from pipeline.stores.retries import count_retries, note_retry
from pipeline.write.chunks import Position, encode_chunk
from pipeline.write.objects import COMPRESSIONS, PutObject, WriteObjects, _Write, gzip_bytes

EVENTS = b'events/year=2026/month=11/day=23/hour=10/platform=ios/20261123T101500Z-p00000-00000-of-00001.json.gz'
TIMESTAMP, WINDOW = Timestamp(59), IntervalWindow(0, 60)


def chunk(*sequences: int) -> bytes:
    lines = [b'{"n":%d}' % sequence for sequence in sequences]
    return encode_chunk(Position('app', 's', sequences[0], 0, 0), Position('app', 's', sequences[-1], 0, 0), lines)


def into(store: Store) -> PutObject:
    """Return what puts objects of any window into a store."""
    return lambda path, data, _: store.put(path, data)


def put(chunks: list[bytes], compression: str = 'gzip') -> tuple[MemoryStore, list[Any]]:
    store = MemoryStore()
    dofn = _Write(into(store), compression)
    dofn.process((EVENTS, chunks), TIMESTAMP, WINDOW)
    rows = list(dofn.finish_bundle())
    assert [(row.timestamp, row.windows) for row in rows] == [(TIMESTAMP, [WINDOW])] * len(rows)
    return store, [json.loads(row.value) for row in rows]


def test_an_object_is_one_put_of_all_lines_in_stream_order() -> None:
    store, rows = put([chunk(10, 11), chunk(2, 9)])

    body = b'{"n":2}\n{"n":9}\n{"n":10}\n{"n":11}\n'
    assert store.effects == [('put', EVENTS.decode())]
    assert gzip.decompress(store[EVENTS.decode()]) == body
    assert rows == [{'row': 'object', 'stored': {'path': EVENTS.decode(), 'lines': 4, 'bytes': len(body),
                                'sha256': hashlib.sha256(body).hexdigest()}}]


def test_an_empty_pane_writes_nothing() -> None:
    store, rows = put([])

    assert (store.effects, rows) == ([], [])


def test_the_bytes_do_not_depend_on_the_order_of_chunks() -> None:
    assert put([chunk(1), chunk(2, 3)]) == put([chunk(2, 3), chunk(1)]) == put([chunk(1, 2, 3)])


def test_without_compression_the_bytes_are_the_lines() -> None:
    store, _ = put([chunk(1)], 'none')

    assert store[EVENTS.decode()] == b'{"n":1}\n'


def test_compressed_bytes_hold_no_name_no_time_and_nothing_of_the_process() -> None:
    data = b'{"a":1}\n' * 1000
    program = ('import sys; from pipeline.write.objects import gzip_bytes; '
               'sys.stdout.buffer.write(gzip_bytes(b\'{"a":1}\\n\' * 1000))')

    other = subprocess.run([sys.executable, '-c', program], env={'PYTHONHASHSEED': '3', 'TZ': 'Asia/Tokyo'},
                           capture_output=True, check=True).stdout

    assert gzip_bytes(data) == other
    assert gzip_bytes(data)[:10] == b'\x1f\x8b\x08\x00' + b'\x00' * 4 + gzip_bytes(data)[8:9] + b'\x03'
    assert zlib.decompress(other, 31) == data


def test_every_compression_is_known_by_its_name() -> None:
    assert list(COMPRESSIONS) == ['gzip', 'none']


def test_each_path_and_window_is_an_object_of_its_own(tmp_path: pathlib.Path) -> None:
    keyed = [(0, (b'events/a', chunk(2))), (60, (b'events/b', chunk(3))), (1, (b'events/a', chunk(1)))]

    with testing.TestPipeline(runner='FnApiRunner') as pipeline:
        rows = (pipeline | beam.Create(keyed)
                | beam.MapTuple(lambda at, pair: TimestampedValue(pair, at)).with_output_types(tuple[bytes, bytes])
                | beam.WindowInto(FixedWindows(60))
                | WriteObjects(into(FolderStore(str(tmp_path))), 'none')
                | beam.Map(lambda row, time=beam.DoFn.TimestampParam, window=beam.DoFn.WindowParam: (
                    json.loads(row)['stored']['path'], json.loads(row)['stored']['lines'], int(window.start),
                    time.micros // 1000)))
        assert_that(rows, equal_to([('events/a', 2, 0, 59_999), ('events/b', 1, 60, 119_999)]))

    assert {path.name: path.read_bytes() for path in (tmp_path / 'events').iterdir()} == {
        'a': b'{"n":1}\n{"n":2}\n', 'b': b'{"n":3}\n'}


def test_a_store_that_refuses_fails_the_bundle(tmp_path: pathlib.Path) -> None:
    (tmp_path / 'events').touch()

    with pytest.raises((StoreError, RuntimeError), match=f'cannot write {tmp_path}/events/a: '):
        with testing.TestPipeline(runner='FnApiRunner') as pipeline:
            (pipeline | beam.Create([(b'events/a', chunk(1))]).with_output_types(tuple[bytes, bytes])
             | WriteObjects(into(FolderStore(str(tmp_path)))))


class CrowdedStore(MemoryStore):
    """A store whose puts wait until so many of them run at a time. It is shared by name, since a DoFn is pickled."""

    def put(self, path: str, data: bytes) -> None:
        MEETING.wait(60)
        note_retry()


MEETING = threading.Barrier(4)


def written(store: Store, paths: list[bytes]) -> Any:
    """Write an object for each path in one bundle. Return the result of the pipeline."""
    with testing.TestPipeline(runner='FnApiRunner') as pipeline:
        (pipeline | beam.Create([(path, chunk(1)) for path in paths]).with_output_types(tuple[bytes, bytes])
         | WriteObjects(into(store)))
    return pipeline.result


def counters(result: Any, namespace: str) -> dict[str, int]:
    found = result.metrics().query(MetricsFilter().with_namespace(namespace))['counters']
    return {counter.key.metric.name: counter.committed for counter in found}


def test_the_objects_of_a_bundle_are_put_at_a_time_and_what_their_threads_retry_is_counted() -> None:
    count_retries()  # of other tests

    result = written(CrowdedStore(), [b'events/%d' % number for number in range(4)])

    assert counters(result, 'write') == {'objects': 4, 'stored_bytes': 4 * len(gzip_bytes(b'{"n":1}\n'))}
    assert counters(result, 's3') == {'retries': 4}


class BrokenStore(MemoryStore):
    """A store that refuses one path; the puts of the others take a while."""

    def put(self, path: str, data: bytes) -> None:
        LATE.append(path)
        if path == 'events/2':
            raise StoreError('S3 refuses events/2')
        time.sleep(0.2)
        LATE.remove(path)


LATE: list[str] = []


def test_no_put_runs_any_more_once_the_bundle_has_failed() -> None:
    LATE.clear()

    with pytest.raises((StoreError, RuntimeError), match='S3 refuses events/2'):
        written(BrokenStore(), [b'events/%d' % number for number in range(4)])

    assert LATE == ['events/2']


def _interrupt(_: bytes) -> bytes:
    raise KeyboardInterrupt


@pytest.mark.parametrize('failing', ['process', 'Ctrl-C', 'teardown'])
def test_a_bundle_that_fails_in_another_way_waits_for_its_puts_too(failing: str) -> None:
    LATE.clear()
    dofn = _Write(into(BrokenStore()), 'gzip')
    dofn.process((b'events/1', [chunk(1)]), TIMESTAMP, WINDOW)

    if failing == 'teardown':
        dofn.teardown()
    elif failing == 'process':
        with pytest.raises(OverlapError):
            dofn.process((b'events/3', [chunk(1), chunk(1)]), TIMESTAMP, WINDOW)
    else:
        dofn._compress = _interrupt
        with pytest.raises(KeyboardInterrupt):
            dofn.process((b'events/3', [chunk(1)]), TIMESTAMP, WINDOW)

    assert LATE == []
    assert list(dofn.finish_bundle()) == []
