"""Measure hostile records of 1/4, 1 and 4 MiB against parsing 1 MiB of plain JSON."""
from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator

from tests.bench.documents import documents
from tests.bench.rounds import Row, take_turns
from transforms import MalformedRecord, encode_event, flatten_event, parse_event, split_record
from transforms.limits import MAX_GROWTH, SPARE_BYTES, Limits

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
    'ever new keys': lambda size: json.dumps({f'Key {number}': 1 for number in range(size // 15)}).encode(),
}


def hostile_rows(rounds: int) -> Iterator[Row]:
    """Measure splitting and parsing alone, which has a target, and all steps up to the lines."""
    plain = b'[' + b','.join(documents('medium', MIB // 650)) + b']'
    plain += b' ' * (MIB - len(plain))
    for kind, make in KINDS.items():
        candidates = {'plain': _cpu_of(json.loads, plain), 'lines': _cpu_of(lines_of, make(MIB))}
        candidates.update({f'{size}': _cpu_of(parse, make(size)) for size in (MIB // 4, MIB, 4 * MIB)})
        measured = take_turns(candidates, rounds, warm=False)
        growth = measured.median(f'{4 * MIB}') / max(measured.median(f'{MIB // 4}'), 1e-4)
        written = sum(map(len, lines_of(make(MIB)))) / MIB
        yield Row('hostile', f'{kind}, 1 MiB, against json.loads of 1 MiB', measured.ratio(f'{MIB}', 'plain'), 'x',
                  '<= 20', f'4 MiB take {growth:.1f} x of 1/4 MiB; '
                           f'to the line {measured.ratio("lines", "plain"):.1f} x, {written:.2f} MiB')


def parse(data: bytes) -> None:
    """Split a record and parse its documents. Ignore those that are malformed."""
    for document in split_record(data).documents:
        try:
            parse_event(document)
        except MalformedRecord:
            continue


def lines_of(data: bytes) -> list[bytes]:
    """Return the lines of a record, like the stages. Assert that they do not exceed the limit of growth."""
    lines, limits = [], Limits(len(data))
    for document in split_record(data).documents:
        try:
            lines.append(encode_event(flatten_event(parse_event(document), limits)))
        except MalformedRecord:
            continue
    # The original bytes of a document are not charged, only what repeated keys add.
    assert sum(map(len, lines)) <= (MAX_GROWTH + 2) * len(data) + SPARE_BYTES
    return lines


def _cpu_of(function: Callable[[bytes], object], data: bytes) -> Callable[[], float]:
    def run() -> float:
        began = time.process_time()
        function(data)
        return time.process_time() - began

    return run
