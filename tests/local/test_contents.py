from __future__ import annotations

from pipeline.local.contents import read_contents
from pipeline.local.query import by_hour_and_platform
from pipeline.stores.base import MemoryStore
from pipeline.write.objects import gzip_bytes

HOUR = 'year=2026/month=11/day=23/hour=09'


def store() -> MemoryStore:
    store = MemoryStore()
    store.put(f'events/{HOUR}/platform=web/b.json.gz', gzip_bytes(b'{"n":2}\n{"n":3}\n'))
    store.put(f'events/{HOUR}/platform=ios/a.json.gz', gzip_bytes(b'{"n":1}\n'))
    store.put('errors/too-deep/a.json', b'{"n":4}\n')
    store.put('manifests/year=2026/2.json', b'{"window":2}')
    store.put('manifests/year=2026/1.json', b'{"window":1}')
    store.put('resume.json', b'{}')
    return store


def test_lines_are_read_compressed_or_not_in_the_order_of_paths() -> None:
    contents = read_contents(store())

    assert [line['n'] for line in contents.of('events')] == [1, 2, 3]
    assert [line['n'] for line in contents.of('errors')] == [4]
    assert contents.paths('backup') == []


def test_first_returns_the_first_line_below_a_prefix_or_nothing() -> None:
    contents = read_contents(store())

    assert (contents.first('events/'), contents.first('backup/')) == (b'{"n":1}', b'')


def test_manifests_come_oldest_window_first() -> None:
    assert [manifest['window'] for manifest in read_contents(store()).manifests] == [1, 2]


def test_the_query_counts_lines_by_hour_and_platform() -> None:
    assert by_hour_and_platform(read_contents(store())) == (
        ['year', 'month', 'day', 'hour', 'ios', 'web'], [('2026', '11', '23', '09', '1', '2')])
