from __future__ import annotations

import json
import pathlib
import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms import split
from transforms.limits import MAX_LEVELS
from transforms.scan import objects_in, prune, value_at
from transforms.split import Malformed, Split, split_record

DATA = pathlib.Path(__file__).parent / 'data'

NO_JSON = 'no valid JSON document starts here'
NO_UTF8 = 'no valid JSON document starts here, and the bytes are not UTF-8'
NO_OBJECT = 'a JSON value that is not an object'
TOO_DEEP = 'nested deeper than 64 levels'


def nested(levels: int, inner: bytes = b'1') -> bytes:
    return b'{"k":' * levels + inner + b'}' * levels


def test_the_parser_reads_documents_without_separators() -> None:
    # Undocumented: decode_lines asks for no newline. All of splitting rests on it.
    decoder = msgspec.json.Decoder(dict)

    assert decoder.decode_lines(b'{"a":1}{"b":"}{"}\r\n\t {"c":{}}') == [{'a': 1}, {'b': '}{'}, {'c': {}}]


@pytest.mark.parametrize('other', [b'[]', b'"s"', b'1', b'1.5', b'true', b'null'])
def test_the_typed_parser_refuses_what_is_no_object(other: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.Decoder(dict).decode_lines(b'{}' + other)


def test_the_seed_holds_two_documents() -> None:
    split_seed = split_record((DATA / 'seed_before.txt').read_bytes())
    documents, rest = split_seed

    assert [list(document) for document in documents] == [['event_name', 'event_value', 'event_time']] * 2
    assert (rest, split_seed.skipped) == (None, ())


@pytest.mark.parametrize('data', [b'', b' ', b'\n', b'\t \r\n '])
def test_a_record_of_white_space_holds_nothing(data: bytes) -> None:
    assert split_record(data) == Split([], None)


@pytest.mark.parametrize(('rest', 'code', 'message'), [
    (b'garbage{"b":2}', 'invalid-json', NO_JSON),
    (b'}{"b":2}', 'invalid-json', NO_JSON),
    (b',{"b":2}', 'invalid-json', NO_JSON),
    (b'{"b":', 'invalid-json', NO_JSON),
    (b'{"b":"}{', 'invalid-json', NO_JSON),
    (b'{"b":[}{"c":3}', 'invalid-json', NO_JSON),
    (b'{"b":2,}{"c":3}', 'invalid-json', NO_JSON),
    (b'{"b":NaN} {"c":3}', 'invalid-json', NO_JSON),
    (b'{"b":-Infinity}', 'invalid-json', NO_JSON),
    (b'{"b":1e999}', 'invalid-json', NO_JSON),
    (b'{"b":' + b'9' * 5000 + b'}', 'invalid-json', NO_JSON),
    (b'{"b":"\\ud800"}{"c":3}', 'invalid-json', NO_JSON),
    (b'\xef\xbb\xbf{"b":2}', 'invalid-json', NO_JSON),
    (b'\x00', 'invalid-json', NO_JSON),
    (b'\x0c{}', 'invalid-json', NO_JSON),
    (b'{"b":"\xff"}{"c":3}', 'invalid-utf8', NO_UTF8),
    (b'{"b":"\xff', 'invalid-utf8', NO_UTF8),
    (b'\xc3{"c":3}', 'invalid-utf8', NO_UTF8),
    (b'"\xff"{}', 'invalid-utf8', NO_UTF8),
    (b'{b:2}{"c":"\xff"}', 'invalid-json', NO_JSON),
    (b'[{"b":2}]{"c":3}', 'not-an-object', NO_OBJECT),
    (b'[' * 70 + b']' * 70, 'not-an-object', NO_OBJECT),
    (b'[' * 3000 + b']' * 3000, 'not-an-object', NO_OBJECT),
    (b'[1,2,]', 'invalid-json', NO_JSON),
    (b'[' * 3000, 'invalid-json', NO_JSON),
    (b'1{"c":3}', 'not-an-object', NO_OBJECT),
    (b'-1.5e3', 'not-an-object', NO_OBJECT),
    (b'"s" {}', 'not-an-object', NO_OBJECT),
    (b'true', 'not-an-object', NO_OBJECT),
    (b'null{}', 'not-an-object', NO_OBJECT),
    (b'truex', 'invalid-json', NO_JSON),
    (b'2022-06-21 00:12:30 INFO', 'invalid-json', NO_JSON),
    (b'01', 'invalid-json', NO_JSON),
    (b'"s', 'invalid-json', NO_JSON)])
def test_what_is_malformed_ends_the_record_as_one_fragment(rest: bytes, code: str, message: str) -> None:
    expected = Malformed(code, message, rest, 2, 12)

    assert split_record(b'{"a":1} {}\r\n' + rest) == Split([{'a': 1}, {}], expected)


def test_a_document_the_parser_cannot_nest_does_not_end_the_record() -> None:
    deep = nested(2000)
    expected = Malformed('too-deep', TOO_DEEP, deep, 1, 8)

    split = split_record(b'{"a":1} ' + deep + b'{"c":3}')

    assert (split, split.skipped) == (Split([{'a': 1}, {'c': 3}], None), (expected,))


def test_syntax_inside_what_is_too_deep_does_not_matter() -> None:
    deep = nested(100, b'NaN')

    split = split_record(deep + b'{"c":3}x')

    assert split == Split([{'c': 3}], Malformed('invalid-json', NO_JSON, b'x', 2, len(deep) + 7))
    assert split.skipped == (Malformed('too-deep', TOO_DEEP, deep, 0, 0),)


@pytest.mark.parametrize(('inner', 'fine'), [(b'1', True), (b'{}', False), (b'[]', False)])
def test_the_64th_level_is_the_last(inner: bytes, fine: bool) -> None:
    document = nested(MAX_LEVELS, inner)

    whole = split_record(document + b'x')
    documents, rest, skipped = *whole, whole.skipped

    assert (len(documents), len(skipped)) == ((1, 0) if fine else (0, 1))
    assert rest == Malformed('invalid-json', NO_JSON, b'x', 1, len(document))


def test_a_deep_value_that_a_later_equal_key_replaces_is_not_there() -> None:
    document = b'{"a":' + nested(2000) + b',"a":1}'

    assert split_record(document) == Split([{'a': 1}], None)
    assert split_record(b'{"a":' + nested(100) + b',"a":1}x').documents == [{'a': 1}]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=10)
DOCUMENTS = st.lists(st.dictionaries(st.text(), JSON, max_size=4), max_size=6)
FRAGMENTS = st.sampled_from([
    b'{', b'}', b'[', b']', b'"', b'\\', b',', b':', b'{"a":1}', b'{}', b'{"a":', b'1', b'null', b' ', b'\n', b'\xff',
    b'}{', b'"}{"', nested(70), nested(70)[:-1], '"é"'.encode()])
HOSTILE = st.binary(max_size=60) | st.lists(FRAGMENTS, max_size=30).map(b''.join)


@given(DOCUMENTS, st.sampled_from(['', ' ', '\n', '\r\n\t']))
def test_whatever_was_dumped_comes_out(documents: list[dict[str, object]], between: str) -> None:
    data = between.join(json.dumps(document, ensure_ascii=False) for document in documents).encode(errors='replace')

    assert split_record(data) == Split([json.loads(part) for part in _parts(data)], None)
    assert split._split_exactly(data) == split_record(data)


def _parts(data: bytes) -> list[bytes]:
    return [data[start:end] for start, end, *_ in objects_in(data)]


@given(HOSTILE)
def test_splitting_never_raises_and_loses_no_byte(data: bytes) -> None:
    whole = split_record(data)
    documents, rest, skipped = *whole, whole.skipped

    parts = _parts(data)[:len(documents) + len(skipped)]
    end = rest.offset if rest else len(data)
    assert b''.join(data[:end].split()) == b''.join(b''.join(parts).split())
    assert rest is None or rest.fragment == data[end:]
    assert [malformed.fragment for malformed in skipped] == [parts[malformed.index] for malformed in skipped]


@given(HOSTILE)
def test_the_exact_loop_and_the_parser_agree(data: bytes) -> None:
    exact = split._split_exactly(data)

    if not exact.skipped:
        assert split_record(data) == exact


@pytest.mark.parametrize('data', [
    b'{}' * 500_000 + b'x',
    b'{"a":"}{"}' * 100_000 + b'{"a":"',
    b'{"a":"' + b'}{' * 500_000 + b'"}x',
    b'{"a":"' + b'}{' * 500_000,
    b'{"a":"' + b'\\"' * 500_000,
    b'{"a":{"b":2}}' * 80_000 + b']',
    b'"' * 1_000_001,
    b'[' * 1_000_000,
    b'{"a":' * 200_000,
    b'{"a":' * 100_000 + b'1' + b'}' * 100_000 + b'{"a":' * 100_000,
    b'[{},[],' * 150_000,
    b'1 ' * 500_000,
    b'\xff' * 1_000_000], ids=lambda data: f'{data[:12]!r}...{data[-6:]!r}')
def test_a_hostile_mebibyte_is_split_in_linear_time(data: bytes) -> None:
    start = time.process_time()
    split_record(data)

    assert time.process_time() - start < 2  # about 0.5 s at most; a quadratic loop takes minutes


def test_a_value_is_delimited_with_its_depth() -> None:
    assert value_at(b' {"a":[[]]}}', 1) == (1, 11, 3, [])
    assert value_at(b' {"a":[[]]}}', 1, levels=2) == (1, 11, 3, [(7, 9)])
    assert value_at(b'[[]', 0) is None
    assert value_at(b'', 0) is None
    assert value_at(b'"a\\"b"c', 0) == (0, 6, 0, ())


@given(JSON, st.integers(1, 4))
def test_pruning_leaves_empty_arrays_below_the_last_level(value: object, levels: int) -> None:
    def cut(value: object, left: int) -> object:
        if isinstance(value, dict):
            return {key: cut(member, left - 1) for key, member in value.items()} if left else []
        if isinstance(value, list):
            return [cut(member, left - 1) for member in value] if left else []
        return value

    data = json.dumps(value).encode()
    span = value_at(data, 0, levels)
    assert span is not None and json.loads(prune(data, span)) == cut(value, levels)
