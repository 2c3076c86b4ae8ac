"""Find where the CPU seconds of the whole process go: run each stage alone on the same records."""
from __future__ import annotations

import hashlib
import os
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

from pipeline.kinesis.api import KinesisApi
from pipeline.kinesis.client import connect
from pipeline.kinesis.deaggregate import deaggregate_batch, portions
from pipeline.local.servers import REGION, demo_environment
from pipeline.source import Batch
from pipeline.write.layout import Layout
from pipeline.write.objects import LEVEL
from tests.bench.emulators import Emulators
from tests.bench.process import cpu_of_python
from tests.bench.rounds import Row
from transforms import Origin, encode_event, flatten_event, parse_event, rename_fields, split_record
from transforms.limits import Limits

PORTION = 20
#: How pipeline.main begins.
START = 'from pipeline.gc_tuning import relax_gc; relax_gc(); import pipeline.run.run'
LAYOUT, ORIGIN = Layout(), Origin('bench', 'shardId-000000000000', '1', arrival_ms=1_655_773_200_000)


def stage_rows(aws: Emulators, stream: str, made: list[bytes], whole_s: float) -> Iterator[Row]:
    """Yield the CPU seconds of each stage. The rest of the whole is Beam's: its graph, shuffle and counters."""
    took: dict[str, float] = {'start: Python, Beam, boto3 imported': cpu_of_python('-c', START)}
    with mock.patch.dict(os.environ, demo_environment()):
        calls = connect(aws.endpoint, REGION)
    took['read: GetRecords over HTTP'], batches = _timed(lambda: list(_read(calls, stream)))
    took['unpack: an origin and an envelope a record'], _ = _timed(lambda: [
        deaggregate_batch(portion, {stream: ''}) for batch in batches for portion in portions(batch)])
    took.update(_kernel(made))
    events = [rename_fields(flatten_event(parse_event(document)))
              for data in made for document in split_record(data).documents]
    name = LAYOUT.name(ORIGIN)
    took['place: hour, platform and path of each event'], _ = _timed(lambda: [_path(event, name) for event in events])
    body = b'\n'.join(map(encode_event, events))
    took['gzip, level 6'], _ = _timed(lambda: zlib.compress(body, LEVEL))
    took['SHA-256'], _ = _timed(lambda: hashlib.sha256(body).digest())
    took["the rest: Beam's graph, bundles, shuffle and counters"] = whole_s - sum(took.values())
    for name, seconds in took.items():
        yield Row('stages', name, seconds, 's', '', f'{seconds / whole_s:.0%}')


def _kernel(made: list[bytes]) -> dict[str, float]:
    """Return the seconds of each stage, with portions of records as in the job."""
    names = ('split', 'parse', 'flatten', 'rename', 'encode')
    took = dict.fromkeys(names, 0.0)
    for at in range(0, len(made), PORTION):
        portion: list[Any] = made[at:at + PORTION]
        limits = Limits(sum(map(len, portion)))
        steps: tuple[Callable[[Any], Any], ...] = (
            lambda data: split_record(data).documents, parse_event,
            lambda event, limits=limits: flatten_event(event, limits), rename_fields, encode_event)
        for name, step in zip(names, steps, strict=True):
            seconds, portion = _timed(lambda step=step, portion=portion: [step(value) for value in portion])
            took[name] += seconds
            if name == 'split':
                portion = [document for documents in portion for document in documents]
    return took


def _path(event: dict[str, Any], name: str) -> str:
    return LAYOUT.event(event, {}, ORIGIN, LAYOUT.hour_of(event, {}, ORIGIN), name)


def _read(calls: KinesisApi, stream: str) -> Iterator[Batch]:
    for shard in calls.list_shards(stream)[0]:
        iterator: str | None = calls.iterator(stream, shard.shard, '', 0)
        while iterator:
            page = calls.records(stream, shard.shard, iterator)
            if not page.records:
                break
            yield Batch(stream, shard.shard, 0, 0, page.records)
            iterator = page.next_iterator


def _timed(function: Callable[[], Any]) -> tuple[float, Any]:
    began = time.process_time()
    result = function()
    return time.process_time() - began, result
