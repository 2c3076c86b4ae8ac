from __future__ import annotations

import base64
import json
import pathlib
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms import encode_event, parse_event, rename_fields, split_record
from transforms.flatten import flatten_event
from transforms.limits import MAX_KEY_BYTES, Limits, decode_deep, is_too_deep, line_budget
from transforms.records import MalformedRecord
from transforms.scan import value_at

DATA = pathlib.Path(__file__).parents[1] / 'data'
PLENTY = 1 << 20
SMALL = 3277  # bytes of a record whose lines may take 65,540


def nested(levels: int, inner: Any = 1) -> dict[str, Any]:
    event: Any = inner
    for _ in range(levels):
        event = {'k': event}
    return event  # type: ignore[no-any-return]


def outcome(event: dict[str, Any], limits: Limits) -> object:
    try:
        return flatten_event(event, limits)
    except MalformedRecord as error:
        return error.code, error.message


def code(event: dict[str, Any], record_bytes: int = PLENTY) -> object:
    given = outcome(event, Limits(record_bytes))
    return given[0] if isinstance(given, tuple) else 'good'


@pytest.mark.parametrize(('event', 'expected'), [
    (nested(64), 'good'), (nested(65), 'too-deep'), (nested(63, {}), 'good'), (nested(63, []), 'good'),
    (nested(64, {}), 'too-deep'), (nested(64, []), 'too-deep'), (nested(63, [1]), 'good'),
    (nested(63, [[]]), 'too-deep'), ({'a': 1, 'b': [nested(63)]}, 'too-deep')])
def test_a_container_at_level_65_is_too_deep_even_an_empty_one(event: dict[str, Any], expected: str) -> None:
    assert code(event) == expected
    assert is_too_deep(event) == (expected == 'too-deep')


@pytest.mark.parametrize(('event', 'expected'), [
    ({'k' * 1024: 1}, 'good'), ({'k' * 1025: 1}, 'key-too-long'),
    ({'é' * 512: 1}, 'good'), ({'é' * 513: 1}, 'key-too-long'),
    ({'😀' * 256: 1}, 'good'), ({'😀' * 257: 1}, 'key-too-long'),
    ({'a' * 500: {'b' * 523: 1}}, 'good'), ({'a' * 500: {'b' * 524: 1}}, 'key-too-long'),
    ({'a' * 1023: {'': 1}}, 'good'), ({'a' * 1024: {'': 1}}, 'key-too-long'), ({'a' * 1024: {}}, 'good'),
    ({'a' * 1022: [1]}, 'good'), ({'a' * 1023: [1]}, 'key-too-long')])
def test_a_flattened_key_has_at_most_1024_bytes(event: dict[str, Any], expected: str) -> None:
    assert code(event) == expected


def test_a_document_that_was_found_too_deep_is_not_walked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('transforms.limits.is_too_deep', None)

    assert code(nested(65)) == 'too-deep'


def test_messages_name_the_limit_and_quote_nothing_from_the_event() -> None:
    large = {'a': {'b' * 900: dict.fromkeys(map(str, range(200)))}}

    assert outcome(nested(65), Limits(0)) == ('too-deep', 'nested deeper than 64 levels')
    assert outcome({'k' * 1025: 1}, Limits(0)) == ('key-too-long', 'a flattened key is longer than 1024 bytes')
    assert outcome(large, Limits(0)) == (
        'output-too-large', 'the lines of the record pass 20 times its size, or 16 times and 64 KiB')


def test_the_members_of_a_container_are_charged_with_their_prefix() -> None:
    event = {'a': {'b' * 96: dict.fromkeys(map(str, range(1001)))}}  # 0 x ('a_' + 4) + 1,000 x ('a_bbb..._' + 4)

    assert code(event, 5149) == 'output-too-large'  # 103,000 of 20 x 5,149 = 102,980
    assert code(event, 5150) == 'good'


@pytest.mark.parametrize('data', [
    b'{"a":' + b'[' * 63 + b'1' + b']' * 63 + b'}', b'{"nested_key":' * 60 + b'1' + b'}' * 60,
    b'{"a":' * 32 + b'{"b":[1,2],"c":[3]}' + b'}' * 32])
def test_a_small_document_of_many_levels_is_charged_with_what_it_takes_not_with_each_level(data: bytes) -> None:
    (document,) = split_record(data).documents

    assert len(encode_event(flatten_event(document))) < 2 * len(data)
    assert code(document, len(data)) == 'good'


def test_small_records_may_grow_twentyfold_and_large_ones_sixteenfold_and_64_kib() -> None:
    assert [line_budget(size) for size in (0, 1, 2000, 16_384, 16_385, PLENTY)] == [
        0, 20, 40_000, 327_680, 327_696, 16 * PLENTY + 65_536]


def lines_of(data: bytes) -> int:
    """Return the bytes of the lines of a record, up to the first that is refused."""
    size, limits = 0, Limits(len(data))
    try:
        for document in split_record(data).documents:
            size += len(encode_event(rename_fields(flatten_event(parse_event(document), limits)))) + 1
    except MalformedRecord:
        pass
    return size


def test_no_record_of_the_examples_comes_near_its_allowance() -> None:
    malformed = [base64.b64decode(json.loads(line)['record_b64']) for line in _rows('malformed.ndjson')]
    flat = [json.dumps(json.loads(line)['input']).encode() for line in _rows('flat_cases.ndjson')]
    records = [(DATA / 'seed_before.txt').read_bytes(), *malformed, *flat, *_rows('odd_events.ndjson')]

    assert max(lines_of(data) / line_budget(len(data)) for data in records if data) < 0.5


def _rows(name: str) -> list[bytes]:
    return (DATA / name).read_bytes().splitlines()


def test_the_document_that_exceeds_the_output_limit_and_all_after_it_are_refused() -> None:
    large = {'a' * 100: dict.fromkeys(map(str, range(400)))}  # 400 x 105
    limits = Limits(SMALL)

    assert outcome(large, limits) == flatten_event(large)
    assert [code for code, _ in (outcome(large, limits), outcome({}, limits))] == ['output-too-large'] * 2


def test_a_document_refused_for_another_reason_does_not_use_up_the_limit() -> None:
    filler = dict.fromkeys(map(str, range(400)))
    limits = Limits(SMALL)

    assert outcome({'a' * 100: filler, 'deep': nested(65)}, limits) == ('too-deep', 'nested deeper than 64 levels')
    assert outcome({'a' * 100: filler, 'k' * 2000: 1}, limits) != outcome({'a' * 100: filler}, limits)
    assert outcome({'b': 1}, limits) == {'b': 1}


@pytest.mark.parametrize('first', [
    {'k' * 2000: 1}, {'k' * 2000: {'a': 1}}, {'a' * 900: dict.fromkeys(map(str, range(200)))}])
def test_too_deep_is_the_reason_even_if_other_limits_are_exceeded(first: dict[str, Any]) -> None:
    limits = Limits(0)

    assert code({**first, 'deep': nested(2000)}, 0) == 'too-deep'
    outcome({'a' * 900: dict.fromkeys(map(str, range(200)))}, limits)
    assert outcome(nested(65), limits) == ('too-deep', 'nested deeper than 64 levels')


def test_a_bomb_is_refused_before_it_fills_the_memory() -> None:
    event = {'k' * 1000: [0] * 500_000}
    tracemalloc.start()

    assert code(event, 1_001_000) == 'output-too-large'
    assert tracemalloc.get_traced_memory()[1] < 10_000
    tracemalloc.stop()


def test_leaves_that_another_of_the_same_name_replaces_are_counted() -> None:
    limits = Limits(PLENTY)
    for event in ({'a_b': 1, 'a': {'b': 2, 'c': []}}, {'x': [0, [1, 2]], 'x_1_0': 0, 'x_1': {'1': 0}}, {'y': {}}, {}):
        flatten_event(event, limits)

    assert limits.collisions == 3


NESTED = st.recursive(st.just(1), lambda inner: st.lists(inner, max_size=12) | st.dictionaries(
    st.text(alphabet='ab', max_size=9), inner, max_size=5), max_leaves=60)


@given(st.dictionaries(st.text(alphabet='ab', max_size=9), NESTED, max_size=3))
def test_the_names_of_a_document_take_no_more_than_it_is_charged_with_and_its_own_bytes(event: dict[str, Any]) -> None:
    limits = Limits(PLENTY)
    names = sum(map(len, flatten_event(event, limits)))

    assert names <= line_budget(PLENTY) - limits.left + 2 * len(json.dumps(event, separators=(',', ':')))


@given(st.integers(1, 80), st.booleans())
def test_a_deep_text_is_decoded_if_nothing_in_it_is_too_deep(levels: int, doubled: bool) -> None:
    deep = '[' * levels + ']' * levels
    text = f'{{"a":{deep},"a":1}}' if doubled else f'{{"a":{deep}}}'

    span = value_at(text.encode(), 0)
    good = span is not None and decode_deep(text.encode(), span) is not None

    assert good == (doubled or levels < 64)


def test_limits_are_those_of_the_format() -> None:
    assert MAX_KEY_BYTES == 1024
