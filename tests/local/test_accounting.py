"""The demo's counts agree on what a job would write, and differ if anything is lost, doubled or changed."""
from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from pipeline.local.accounting import compare_counts
from pipeline.local.contents import Contents, read_contents
from pipeline.local.events import Sample
from pipeline.local.servers import Put
from pipeline.stores.base import MemoryStore
from pipeline.write.objects import gzip_bytes

SAMPLES = [Sample('a', b'{"appsflyer_id":"1"}{"appsflyer_id":"2"}{', ('1', '2'), True), Sample('b', b'{}', ('',))]
PUTS = [Put(sample.key, sample.data, 'shard', str(number)) for number, sample in enumerate(SAMPLES)]
BACKUP = [{'shardId': put.shard, 'sequenceNumber': put.sequence, 'data': base64.b64encode(put.data).decode()}
          for put in PUTS]
EVENTS: list[dict[str, str]] = [{'appsflyer_id': '1'}, {'appsflyer_id': '2'}, {}]


def contents(events: list[Any] = EVENTS, backup: list[Any] = BACKUP, listed: int = 3, records: int = 2) -> Contents:
    """Return what a job would have written, read back from a store."""
    store = MemoryStore()
    objects = {'events/a.json.gz': events, 'errors/a.json.gz': [{}], 'backup/a.json.gz': backup}
    for path, lines in objects.items():
        store.put(path, gzip_bytes(b''.join(json.dumps(line).encode() + b'\n' for line in lines)))
    counts = {'records': records, 'bytes': sum(len(put.data) for put in PUTS), 'lines': 3,
              'errors': {'invalid-json': 1}}
    manifest = {'counts': counts, 'objects': [{'path': path} for path in list(objects)[:listed]]}
    store.put('manifests/year=2026/a.json', json.dumps(manifest).encode())
    return read_contents(store)


def test_counts_agree_if_nothing_was_lost_or_changed() -> None:
    assert [tuple(row) for row in compare_counts(SAMPLES, PUTS, contents())] == [
        ('records', 2, 2, 2, True), ('bytes', 43, 43, 43, True), ('events', 3, 3, 3, True),
        ('malformed', 1, 1, 1, True), ('objects', None, 3, 3, True)]


@pytest.mark.parametrize(('make', 'wrong'), [
    (lambda: contents(events=EVENTS[:2]), ['events']),
    (lambda: contents(events=[EVENTS[0], EVENTS[0], EVENTS[2]]), ['events']),
    (lambda: contents(backup=BACKUP[:1]), ['records', 'bytes']),
    (lambda: contents(backup=[BACKUP[0], {**BACKUP[1], 'data': 'W10='}]), ['records', 'bytes']),
    (lambda: contents(backup=[BACKUP[0], {**BACKUP[1], 'sequenceNumber': '7'}]), ['records', 'bytes']),
    (lambda: contents(listed=2), ['objects']),
    (lambda: contents(records=3), ['records']),
], ids=['an event lost', 'an event in the place of another', 'a record lost', 'a byte changed', 'another number',
        'an object not listed', 'a wrong count'])
def test_counts_differ_if_anything_does(make: Callable[[], Contents], wrong: list[str]) -> None:
    assert [row.name for row in compare_counts(SAMPLES, PUTS, make()) if not row.same] == wrong
