"""Run each of the four transforms alone, on both kinds of runner, and compare all records and failures."""
from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.beams import WAYS, run_stage
from transforms import Failure, FlattenEvents, Origin, ParseEvents, Record, RenameFields, Rules, SplitRecords

pytestmark = pytest.mark.parametrize('way', WAYS)
DEEP = '{"k":' * 2000 + '{}' + '}' * 2000


def origin(sequence: int) -> Origin:
    return Origin('app', 'shardId-0', str(sequence), arrival_ms=5, window_ms=0)


def record(sequence: int, data: bytes, *documents: dict[str, Any], **fields: Any) -> Record:
    values = {'indices': list(range(len(documents))), 'found': len(documents), **fields}
    return Record(origin(sequence), data, list(documents), **values)


def failure(sequence: int, stage: str, code: str, message: str, fragment: bytes, index: int, offset: int,
            documents: int = 1) -> Failure:
    return Failure(origin(sequence), stage, code, message, fragment, index, offset, documents)


def assert_balanced(counts: Counter[str], came_in: int, out: int, malformed: int, **others: int) -> None:
    assert counts == Counter({'in': came_in, 'out': out, 'malformed': malformed, **others})


def test_split_records(way: str) -> None:
    deep = b'{"k":' * 2000 + b'1' + b'}' * 2000
    given = [Record(origin(1), b'{"a":1}{"b":2}'), Record(origin(2), b'{"a":1}{"b":'), Record(origin(3), b' \n'),
             Record(origin(4), b'{"a":1}' + deep + b'{"c":3}'), Record(origin(5), b'[]'),
             Record(origin(6), b'\xef\xbb\xbf{"a":NaN}{"b":[1e400,"\\ud800"]}')]

    counts = run_stage(way, SplitRecords(), given, [
        record(1, given[0].data, {'a': 1}, {'b': 2}),
        record(2, given[1].data, {'a': 1}, broken=True),
        record(3, given[2].data),
        record(4, given[3].data, {'a': 1}, {'c': 3}, indices=[0, 2], found=3),
        record(5, given[4].data, broken=True),
        record(6, given[5].data, {'b': [None, '\ufffd']}, indices=[1], broken=True),
    ], [
        failure(2, 'split', 'invalid-json', 'no valid JSON document starts here: cut off (byte 5)', b'{"b":', 1,
                7),
        failure(4, 'flatten', 'too-deep', 'nested deeper than 64 levels', deep, 1, 7),
        failure(5, 'split', 'not-an-object', 'a JSON value that is not an object: an array', b'[]', 0, 0),
        failure(6, 'split', 'invalid-json', 'no valid JSON document starts here: NaN is no JSON (byte 5)', b'{"a":NaN}',
                0, 3)])

    assert_balanced(counts, came_in=6, out=6, malformed=4, boms=1, lone_surrogates=1, huge_numbers=1)


def test_parse_events(way: str) -> None:
    data = b'{"event_value":"[1]"}{"event_value":"no"}' + b'{"event_value":"%s"}' % DEEP.replace('"', '\\"').encode()
    documents = [{'event_value': '[1]'}, {'event_value': 'no'}, {'event_value': DEEP}]

    counts = run_stage(way, ParseEvents(), [record(1, data, *documents), record(2, b'{}', {}), record(3, b'')], [
        record(1, data, {'event_value': [1]}, {'event_value': 'no'}, found=3),
        record(2, b'{}', {}), record(3, b''),
    ], [failure(1, 'flatten', 'too-deep', 'nested deeper than 64 levels', data[41:], 2, 41)])

    assert_balanced(counts, came_in=4, out=3, malformed=1, kept_as_text=1)


def test_flatten_events(way: str) -> None:
    long = 'k' * 1025
    data = b'{"%s":1}{"a":{"b":[2]},"a_b_0":3}' % long.encode()

    counts = run_stage(way, FlattenEvents(), [
        record(1, data, {long: 1}, {'a': {'b': [2]}, 'a_b_0': 3}), record(2, b'{"a":{}}', {'a': {}}),
        record(3, b'', broken=True)], [
        record(1, data, {'a_b_0': 3}, indices=[1], found=2), record(2, b'{"a":{}}', {'a': None}),
        record(3, b'', broken=True),
    ], [failure(1, 'flatten', 'key-too-long', 'a flattened key is longer than 1024 bytes', data[:1031], 0, 0)])

    assert_balanced(counts, came_in=3, out=2, malformed=1, collisions=1)


def test_what_makes_the_lines_of_a_record_too_large_ends_it_by_one_failure(way: str) -> None:
    bomb, long = {'k' * 200: [0] * 200}, {'k' * 1025: 1}
    texts = [b'{"a":1}', b'{"%s":[%s]}' % (b'k' * 200, b','.join([b'0'] * 200)), b'{"%s":1}' % (b'k' * 1025), b'{}']
    message = 'the lines of the record pass 20 times its size, or 16 times and 64 KiB'

    counts = run_stage(way, FlattenEvents(), [
        record(1, b' '.join(texts), {'a': 1}, bomb, long, {}), record(2, b''.join(texts[:2]), {'a': 1}, bomb)], [
        record(1, b' '.join(texts), {'a': 1}, indices=[0], found=4),
        record(2, b''.join(texts[:2]), {'a': 1}, indices=[0], found=2)], [
        failure(1, 'flatten', 'output-too-large', f'{message} (3 documents)', b''.join(texts[1:]), 1, 8, documents=3),
        failure(2, 'flatten', 'output-too-large', message, texts[1], 1, 7)])

    assert_balanced(counts, came_in=6, out=2, malformed=4, collisions=0)


def test_rename_fields(way: str) -> None:
    rules = Rules({'App Version': 'release', 'secret': None})
    given = [record(1, b'x', {'App Version': '1', 'eventName': 'a', 'Event Name': 'b'}, {'secret': 1}), record(2, b'')]

    counts = run_stage(way, RenameFields(rules), given, [
        record(1, b'x', {'release': '1', 'event_name': 'a', 'event_name_2': 'b'}, {}, dropped=[{}, {'secret': 1}]),
        record(2, b'')], [])

    assert_balanced(counts, came_in=2, out=2, malformed=0, collisions=1)
