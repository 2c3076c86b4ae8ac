"""Measure hostile records of 1/4, 1 and 4 MiB against parsing 1 MiB of plain JSON."""
from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from pipeline.kinesis.deaggregate import (
    ERROR_LINE_BYTES,
    MAX_ERROR_GROWTH,
    SPARE_ERROR_BYTES,
    Deaggregated,
    deaggregate_batch,
)
from pipeline.source import Batch, RawRecord
from tests.bench.documents import documents
from tests.bench.rounds import Row, take_turns
from tests.kinesis.aggregates import field, number, sealed
from transforms import (
    CONVENTION,
    EVENT_VALUE,
    MalformedRecord,
    encode_event,
    encode_failure,
    parse_event,
    split_record,
)
from transforms.batching import failures_of, merged
from transforms.flatten import _FlattenEvents
from transforms.limits import line_budget, malformed
from transforms.parse import _ParseEvents
from transforms.rename import _RenameFields
from transforms.split import _SplitRecords

MIB = 1 << 20
KINDS: dict[str, Callable[[int], bytes]] = {
    'deep nesting': lambda size: b'{"a":' * (size // 6) + b'1' + b'}' * (size // 6),
    'deep nesting in event_value': lambda size: json.dumps(
        {'event_value': '[' * (size // 2 - 16) + ']' * (size // 2 - 16)}).encode(),
    'braces inside strings': lambda size: b'{"a":"' + b'}{' * (size // 2 - 16) + b'"}{"b":1}',
    'braces inside a string without an end': lambda size: b'{"a":"' + b'}{' * (size // 2 - 16),
    'tiny documents': lambda size: b'{}' * (size // 2),
    'tiny documents, the last cut off': lambda size: b'{}' * (size // 2 - 8) + b'{"a":',
    'tiny documents, the last no JSON': lambda size: b'{}' * (size // 2 - 8) + b'{"a"}',
    'one key over many leaves': lambda size: json.dumps({'k' * (size // 4): [0] * (size // 4)}).encode(),
    'huge integers': lambda size: b'{"a":[' + b','.join([b'9' * 4000] * (size // 4001)) + b']}',
    'one huge integer': lambda size: b'{"a":' + b'9' * (size - 8) + b'}',
    'huge strings': lambda size: json.dumps({'a': 'x' * (size // 2), 'b': '\\' * (size // 4)}).encode(),
    'quotes': lambda size: b'{"a":' + b'"' * (size - 8),
    'ever new keys': lambda size: json.dumps({f'Key {index}': 1 for index in range(size // 15)}).encode(),
    'a bomb, then tiny documents': lambda size: b'{"%s":[%s]}' % (
        b'k' * 1000, b','.join([b'0'] * (size // 50))) + b'{}' * (size // 2 - size // 50 - 1000),
    'an output bomb': lambda size: b'{"%s":[%s]}' % (b'k' * 1000, b','.join([b'0'] * 300)) * (size // 1607),
    'a key of 1,000 bytes over 16,500 members': lambda size: json.dumps(
        {'K' * 1000: {f'k{index}': 0 for index in range(16_500 * size // MIB)}}).encode().ljust(size),
    'a short key over half a million members': lambda size: b'{"K":[%s]}' % b','.join([b'0'] * (size // 2 - 8)),
    'documents of 64 levels': lambda size: (b'{"":' + b'[' * 63 + b'0' + b']' * 63 + b'}') * (size // 132),
    'documents of 65 levels': lambda size: (b'{"":' + b'[' * 64 + b']' * 64 + b'}') * (size // 133),
    'keys of 1,025 bytes': lambda size: b'{"%s":0}' % (b'k' * 1025) * (size // 1031),
    'KPL records of 7 bytes, broken': lambda size: _aggregate(b'k' * 256, b'{', size // 7),
    'KPL records of 8 bytes': lambda size: _aggregate(b'k', b'{}', size // 8),
    'KPL records of 24 bytes': lambda size: _aggregate(b'k', b'{}'.ljust(18), size // 24),
    'KPL records without data': lambda size: _aggregate(b'k', b'', size // 6),
    'KPL with a long key': lambda size: _aggregate(b'k' * (size // 2), b'{', size // 14),
}
STAGES = (_SplitRecords('split'), _ParseEvents('parse', EVENT_VALUE), _FlattenEvents('flatten'),
          _RenameFields('rename', CONVENTION))


def _aggregate(key: bytes, data: bytes, count: int) -> bytes:
    return sealed(field(1, key) + field(3, number(1, 0) + field(3, data)) * count)


def hostile_rows(rounds: int) -> Iterator[Row]:
    """Measure splitting and parsing alone, which has a target, and all steps up to the lines and error lines."""
    plain = b'[' + b','.join(documents('medium', MIB // 650)) + b']'
    plain += b' ' * (MIB - len(plain))
    for kind, make in KINDS.items():
        candidates = {'plain': _cpu_of(json.loads, plain), 'lines': _cpu_of(written_of, make(MIB))}
        candidates.update({f'{size}': _cpu_of(parse, make(size)) for size in (MIB // 4, MIB, 4 * MIB)})
        measured = take_turns(candidates, rounds, warm=False)
        growth = measured.median(f'{4 * MIB}') / max(measured.median(f'{MIB // 4}'), 1e-4)
        written = written_of(make(MIB))
        yield Row('hostile', f'{kind}, 1 MiB, against json.loads of 1 MiB', measured.ratio(f'{MIB}', 'plain'), 'x',
                  '' if kind.startswith('KPL') else '<= 20',  # as many records as others have braces
                  f'4 MiB take {growth:.1f} x of 1/4 MiB; '
                  f'to the line {measured.ratio("lines", "plain"):.1f} x, {measured.median("lines"):.2f} s, '
                  f'{written.lines / MIB:.2f} MiB and {written.errors / MIB:.2f} MiB of errors')


def parse(data: bytes) -> None:
    """Split a record and parse its documents. Ignore those that are malformed."""
    for record in _deaggregated(data).records:
        for document in split_record(record.data).documents:
            try:
                parse_event(document)
            except MalformedRecord:
                continue


class Written(NamedTuple):
    """The bytes of the lines of a record, of its error lines, and the number of both."""

    lines: int
    errors: int
    count: int


def written_of(data: bytes) -> Written:
    """Take a record through all stages to its lines and error lines. Assert that neither passes its bound."""
    records, failures = _deaggregated(data)
    for stage in STAGES:
        records, refused = stage._work_all(records)
        failures = [*failures, *refused]
    lines = []
    for record in records:
        made = [encode_event(event) for event in record.documents]
        sizes = itertools.accumulate(len(line) + 1 for line in made)
        fit = sum(size <= line_budget(len(record.data)) for size in sizes)
        refused_too = dict.fromkeys(record.indices[fit:], malformed('output-too-large'))
        lines += made[:fit]
        failures = [*failures, *merged(failures_of(record, 'encode', refused_too))] if refused_too else failures
    errors = [encode_failure(failure) for failure in failures]
    written = Written(sum(map(len, lines)), sum(map(len, errors)), len(lines) + len(errors))
    assert written.lines <= line_budget(len(data))
    assert written.errors <= MAX_ERROR_GROWTH * len(data) + SPARE_ERROR_BYTES + ERROR_LINE_BYTES
    return written


def _deaggregated(data: bytes) -> Deaggregated:
    raw = RawRecord('4' * 56, 0, 'k' * 16, data)
    return deaggregate_batch(Batch('events', 'shardId-000000000000', 0, 0, [raw]), {'events': ''})


def _cpu_of(function: Callable[[bytes], object], data: bytes) -> Callable[[], float]:
    def run() -> float:
        began = time.process_time()
        function(data)
        return time.process_time() - began

    return run
