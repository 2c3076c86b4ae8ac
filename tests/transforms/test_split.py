from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import time
from collections import Counter

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms import split
from transforms.limits import MAX_LEVELS
from transforms.scan import BOM, containers_in
from transforms.split import Malformed, Split, indices_of, is_malformed, split_record

DATA = pathlib.Path(__file__).parents[1] / 'data'

NO_JSON = 'no valid JSON document starts here: '
NO_OBJECT = 'a JSON value that is not an object: '
GARBAGE = f'{NO_JSON}invalid character (byte 0)'
TOO_DEEP = 'nested deeper than 64 levels'


def nested(levels: int, inner: bytes = b'1') -> bytes:
    return b'{"k":' * levels + inner + b'}' * levels


def test_the_parser_reads_documents_without_separators() -> None:
    # Splitting depends on this undocumented behaviour: decode_lines needs no newline between documents.
    decoder = msgspec.json.Decoder(dict)

    assert decoder.decode_lines(b'{"a":1}{"b":"}{"}\r\n\t {"c":{}}') == [{'a': 1}, {'b': '}{'}, {'c': {}}]


@pytest.mark.parametrize('other', [b'[]', b'"s"', b'1', b'1.5', b'true', b'null'])
def test_the_typed_parser_refuses_what_is_no_object(other: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.Decoder(dict).decode_lines(b'{}' + other)


def test_the_seed_has_two_documents() -> None:
    documents, rest, skipped = split_record((DATA / 'seed_before.txt').read_bytes())

    assert [list(document) for document in documents] == [['event_name', 'event_value', 'event_time']] * 2
    assert (rest, skipped) == (None, ())


@pytest.mark.parametrize('data', [b'', b' ', b'\n', b'\t \r\n '])
def test_a_record_of_white_space_has_no_document(data: bytes) -> None:
    assert split_record(data) == Split([], None)


@pytest.mark.parametrize(('rest', 'code', 'why'), [
    (b'garbage{"b":2}', 'invalid-json', 'invalid character (byte 0)'),
    (b'}{"b":2}', 'invalid-json', 'invalid character (byte 0)'),
    (b',{"b":2}', 'invalid-json', 'invalid character (byte 0)'),
    (b'{"b":', 'invalid-json', 'cut off (byte 5)'),
    (b'{"b":"}{', 'invalid-json', 'cut off (byte 8)'),
    (b'{"b":[}{"c":3}', 'invalid-json', 'invalid character (byte 6)'),
    (b'{"b":-Infinity}', 'invalid-json', '-Infinity is no JSON (byte 5)'),
    (b'{"b":undefined}', 'invalid-json', 'undefined is no JSON (byte 5)'),
    (b'{"b":nan}', 'invalid-json', 'nan is no JSON (byte 5)'),
    (b'{"b":[null,tru]}', 'invalid-json', 'invalid character (byte 11)'),
    (b'{"b":[null,x]}', 'invalid-json', 'invalid character (byte 11)'),
    (b'{"b":"x, t\n"}', 'invalid-json', 'invalid character (byte 10)'),
    (b'{"b": fals', 'invalid-json', 'cut off (byte 10)'),
    (b'{"b":' + b'9' * 5000 + b'}', 'invalid-json', 'an integer of more than 4,300 digits'),
    (b'{"b":1e400,}', 'invalid-json', 'a comma before } (byte 11)'),
    (b'{"b":"\\ud800",}', 'invalid-json', 'a comma before } (byte 14)'),
    (b'\x00', 'invalid-json', 'invalid character (byte 0)'),
    (b'\x0c{}', 'invalid-json', 'invalid character (byte 0)'),
    (b'{"b":"\xff', 'invalid-utf8', 'byte 0xFF is not UTF-8 (byte 6)'),
    (b'\xc3{"c":3}', 'invalid-utf8', 'byte 0xC3 is not UTF-8 (byte 0)'),
    (b'"\xff"{}', 'invalid-utf8', 'byte 0xFF is not UTF-8 (byte 1)'),
    (b'{b:2}{"c":"\xff"}', 'invalid-json', 'object keys must be strings (byte 1)'),
    (b'{"b":2,}{"c":NaN}{"d":4}', 'invalid-json', 'a comma before } (byte 7)'),
    (b'{"b":2,}x', 'invalid-json', 'a comma before } (byte 7)'),
    (b'{"b":2,}[3]', 'invalid-json', 'a comma before } (byte 7)'),
    (b'{"b":2,}' + nested(100), 'invalid-json', 'a comma before } (byte 7)'),
    (b'[' * 70 + b']' * 70, 'not-an-object', 'an array'),
    (b'[' * 3000 + b']' * 3000, 'not-an-object', 'an array'),
    (b'[1,2,]', 'invalid-json', 'a comma before ] (byte 5)'),
    (b'[' * 3000, 'invalid-json', 'nested too deeply for the parser, and malformed'),
    (b'1{"c":3}', 'not-an-object', 'a number'),
    (b'-1.5e3', 'not-an-object', 'a number'),
    (b'"s" {}', 'not-an-object', 'a text'),
    (b'true', 'not-an-object', 'a boolean'),
    (b'null{}', 'not-an-object', 'null'),
    (b'truex', 'invalid-json', 'trailing characters (byte 4)'),
    (b'2022-06-21 00:12:30 INFO', 'invalid-json', 'trailing characters (byte 4)'),
    (b'01', 'invalid-json', 'invalid number (byte 1)'),
    (b'"s', 'invalid-json', 'cut off (byte 2)')])
def test_what_is_malformed_ends_the_record_as_one_fragment(rest: bytes, code: str, why: str) -> None:
    message = (NO_OBJECT if code == 'not-an-object' else NO_JSON) + why
    expected = Malformed(code, message, rest, 2, 12)

    assert split_record(b'{"a":1} {}\r\n' + rest) == Split([{'a': 1}, {}], expected)


@pytest.mark.parametrize(('bad', 'code', 'why'), [
    (b'{"b":NaN}', 'invalid-json', 'NaN is no JSON (byte 5)'),
    (b'{"b":2,}', 'invalid-json', 'a comma before } (byte 7)'),
    (b'{"b":"K\xe9ln"}', 'invalid-utf8', 'byte 0xE9 is not UTF-8 (byte 7)'),
    (b'{b:2}', 'invalid-json', 'object keys must be strings (byte 1)'),
    (b'{"b":"}{\n"}', 'invalid-json', 'invalid character (byte 8)'),
    (b'{"b":"\\x"}', 'invalid-json', 'invalid escape character in string (byte 7)'),
    (b'{"b":1 "c":2}', 'invalid-json', "expected ',' or '}' (byte 7)"),
    (b'{"b":1]', 'invalid-json', "expected ',' or '}' (byte 6)"),
    (b'{"b":' + b'9' * 5000 + b'}', 'invalid-json', 'an integer of more than 4,300 digits'),
    (b'[{"b":2}]', 'not-an-object', 'an array')])
@pytest.mark.parametrize('behind', [b'{"c":3}', b' {"c":3}\n', b'\xef\xbb\xbf{"c":3}'])
def test_a_malformed_document_is_a_fragment_of_its_own_if_the_rest_parses(
        bad: bytes, code: str, why: str, behind: bytes) -> None:
    message = (NO_OBJECT if code == 'not-an-object' else NO_JSON) + why

    split = split_record(b'{"a":1}' + bad + behind)

    assert split == Split([{'a': 1}, {'c': 3}], None, (Malformed(code, message, bad, 1, 7),))


@pytest.mark.parametrize(('data', 'documents', 'counts'), [
    (b'{"a":"Black Friday \\ud83d"}{"b":2}', [{'a': 'Black Friday \ufffd'}, {'b': 2}], {'lone_surrogates': 1}),
    (b'{"\\uDC00":"\\ud83d\\uDE00\\\\ud83d\\uD83D\\n"}', [{'\ufffd': '\U0001f600\\ud83d\ufffd\n'}],
     {'lone_surrogates': 2}),
    (b'{"v":1e400}{"w":1}', [{'v': None}, {'w': 1}], {'huge_numbers': 1}),
    (b'{"v":[-1e400,1e-400,-0.0,1.5]}', [{'v': [None, 0.0, -0.0, 1.5]}], {'huge_numbers': 1}),
    (b'\xef\xbb\xbf{"a":1}', [{'a': 1}], {'boms': 1}),
    (b'{"a":1}\n\xef\xbb\xbf {"b":2}\xef\xbb\xbf', [{'a': 1}, {'b': 2}], {'boms': 2}),
    (b'\xef\xbb\xbf', [], {'boms': 1}),
    (b'{"a":1e400}{"b":NaN}{"c":1e400}', [{'a': None}, {'c': None}], {'huge_numbers': 2})])
def test_what_javascript_reads_is_read_and_counted(
        data: bytes, documents: list[dict[str, object]], counts: dict[str, int]) -> None:
    mended = Counter[str]()

    assert split_record(data, mended).documents == documents
    assert dict(mended) == counts


def test_what_is_refused_is_not_counted() -> None:
    mended = Counter[str]()

    assert split_record(b'{"a":1e400}{"b":1e400,}{"c":1e400}x', mended).documents == [{'a': None}]
    assert dict(mended) == {'huge_numbers': 1}


def test_a_document_the_parser_cannot_nest_does_not_end_the_record() -> None:
    deep = nested(2000)
    expected = Malformed('too-deep', TOO_DEEP, deep, 1, 8)

    assert split_record(b'{"a":1} ' + deep + b'{"c":3}') == Split([{'a': 1}, {'c': 3}], None, (expected,))


def test_documents_behind_several_that_are_too_deep_keep_their_index() -> None:
    split = split_record(nested(2000) * 2 + b'{"c":3}' + nested(2000))

    assert [malformed.index for malformed in split.skipped] == [0, 1, 3]
    assert indices_of(split) == [2]


def test_syntax_inside_what_is_too_deep_does_not_matter() -> None:
    deep = nested(100, b'NaN')

    assert split_record(deep + b'{"c":3}x') == Split(
        [{'c': 3}], Malformed('invalid-json', GARBAGE, b'x', 2, len(deep) + 7),
        (Malformed('too-deep', TOO_DEEP, deep, 0, 0),))


@pytest.mark.parametrize(('inner', 'fine'), [(b'1', True), (b'{}', False), (b'[]', False)])
def test_the_64th_level_is_the_last(inner: bytes, fine: bool) -> None:
    document = nested(MAX_LEVELS, inner)

    documents, rest, skipped = split_record(document + b'x')

    assert (len(documents), len(skipped)) == ((1, 0) if fine else (0, 1))
    assert rest == Malformed('invalid-json', GARBAGE, b'x', 1, len(document))


def test_a_deep_value_that_a_later_equal_key_replaces_does_not_count() -> None:
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
def test_documents_that_were_dumped_are_split_again(documents: list[dict[str, object]], between: str) -> None:
    data = between.join(json.dumps(document, ensure_ascii=False) for document in documents).encode(errors='replace')

    assert split_record(data) == Split([json.loads(part) for part in _parts(data)], None)
    assert split._split_exactly(data, Counter()) == split_record(data)


def _parts(data: bytes) -> list[bytes]:
    return [data[start:end] for start, end, *_ in containers_in(data)]


@given(HOSTILE)
def test_splitting_never_raises_and_loses_no_byte(data: bytes) -> None:
    documents, rest, skipped = split_record(data)

    parts = _parts(data)[:len(documents) + len(skipped)]
    end = rest.offset if rest else len(data)
    assert b''.join(data[:end].split()) == b''.join(b''.join(parts).split())
    assert rest is None or rest.fragment == data[end:]
    assert [malformed.fragment for malformed in skipped] == [parts[malformed.index] for malformed in skipped]


@given(HOSTILE)
def test_the_exact_loop_and_the_parser_agree(data: bytes) -> None:
    exact = split._split_exactly(data, Counter())

    # The parser accepts a few levels more than the limit; flattening refuses them.
    if all(malformed.code != 'too-deep' for malformed in exact.skipped):
        assert split_record(data) == exact


@pytest.mark.parametrize('data', [
    b'{}' * 500_000 + b'x',
    b'{,}' + b'{}' * 500_000,
    b'{,}' + b'{}' * 500_000 + b'x',
    b'{}\xef\xbb\xbf' * 200_000,
    b'{"a":"' + b'\\ud800' * 160_000 + b'"}',
    b'{"a":1e999}' * 90_000 + b'x',
    b'{"a":[' + b'1e9,' * 250_000 + b']}',
    b'{"a":NaN}' * 100_000,
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


@pytest.mark.parametrize('digits', ['0', '640', '4300', '9999'])
def test_the_longest_integer_is_the_same_whatever_the_environment_says(digits: str) -> None:
    script = ('from transforms import encode_event, split_record\n'
              'for length in (4300, 4301):\n'
              '    split = split_record(b\'{"a":%s}\' % (b"9" * length))\n'
              '    print([len(encode_event(event)) for event in split.documents])\n')

    job = subprocess.run([sys.executable, '-c', script], text=True, capture_output=True, check=True,
                         env={**os.environ, 'PYTHONINTMAXSTRDIGITS': digits})

    assert job.stdout == '[4306]\n[]\n'


@given(st.lists(st.sampled_from([b'{}', b'{', b'}', b'{"a":1}', b' ', b'\xff', b'[1]', b'{"a":1e999}', BOM, b'"', b'1',
                                 b',', nested(70), nested(2000), b'{"a":"\\ud800"}'])))
def test_a_record_is_malformed_if_splitting_it_gives_a_fragment(pieces: list[bytes]) -> None:
    data = b''.join(pieces)
    split = split_record(data)

    assert is_malformed(data) == bool(split.rest or split.skipped)


def test_no_decoder_is_made_to_see_that_a_short_record_is_malformed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('msgspec.json.Decoder', None)

    assert [is_malformed(data) for data in (b'{', b'1', b'[]', b'\xff', b'', b'{}')] == [True] * 4 + [False] * 2
