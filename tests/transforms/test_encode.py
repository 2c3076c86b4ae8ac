from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.encode import encode_event, encode_failure, encode_raw
from transforms.records import Failure, Origin

ORIGIN = Origin('events', 'shardId-000000000000', '495' * 18, 2, 'pk "é"', 1_795_428_900_123, 'web',
                1_795_428_900_000, 3)


@pytest.mark.parametrize(('event', 'line'), [
    ({'b': 1, 'a': None, 'c': True}, b'{"b":1,"a":null,"c":true}'),
    ({'a': {}, 'b': []}, b'{"a":{},"b":[]}'),
    ({'é': '버 😀\u2028\n\0"\\'}, '{"é":"버 😀\u2028\\n\\u0000\\"\\\\"}'.encode()),
    ({'a': 2 ** 64 - 1, 'b': -2 ** 63}, b'{"a":18446744073709551615,"b":-9223372036854775808}'),
    ({'a': 2 ** 64, 'b': 'é'}, '{"a":18446744073709551616,"b":"é"}'.encode()),
    ({'a': -2 ** 63 - 1}, b'{"a":-9223372036854775809}'),
    ({'a': 10 ** 4299}, b'{"a":1' + b'0' * 4299 + b'}'),
    ({'a': 13.0, 'b': 1e20, 'c': -0.0}, b'{"a":13.0,"b":1e+20,"c":-0.0}'),
    ({}, b'{}')])
def test_an_event_is_one_line(event: dict[str, Any], line: bytes) -> None:
    assert encode_event(event) == line


@given(st.dictionaries(
    st.text(),
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False)))
def test_what_is_encoded_reads_back_and_has_no_newline(event: dict[str, Any]) -> None:
    line = encode_event(event)

    assert b'\n' not in line
    assert list(json.loads(line).items()) == list(event.items())


def test_a_failure_has_the_fields_of_firehose_then_its_place() -> None:
    failure = Failure(ORIGIN, 'split', 'invalid-json', 'no valid JSON document starts here', b'\xff{"a', 4, 99)

    assert encode_failure(failure) == (
        b'{"attemptsMade":1,"arrivalTimestamp":1795428900123,"errorCode":"invalid-json",'
        b'"errorMessage":"no valid JSON document starts here","attemptEndingTimestamp":1795428900123,'
        b'"rawData":"/3siYQ==","lambdaArn":"","stage":"split","fragmentIndex":4,"fragmentOffset":99,'
        b'"streamName":"events","shardId":"shardId-000000000000","sequenceNumber":"' + b'495' * 18 + b'",'
        b'"subSequenceNumber":2,"partitionKey":"pk \\"\xc3\xa9\\""}')


def test_a_raw_record_keeps_its_exact_bytes() -> None:
    data = bytes(range(256))

    assert encode_raw(ORIGIN._replace(partition_key=None), data) == (
        b'{"streamName":"events","shardId":"shardId-000000000000","sequenceNumber":"' + b'495' * 18 + b'",'
        b'"approximateArrivalTimestamp":1795428900123,"partitionKey":null,"data":"' + base64.b64encode(data) + b'"}')


@pytest.mark.parametrize(('key', 'shown'), [
    ('\ud800', '\ufffd'), ('a\udc00\ud83d', 'a\ufffd\ufffd'), ('\U0001f600é\ufffd', '\U0001f600é\ufffd')])
def test_half_of_a_surrogate_pair_in_a_partition_key_becomes_a_replacement_character(key: str, shown: str) -> None:
    origin = ORIGIN._replace(partition_key=key)
    failure = Failure(origin, 'split', 'invalid-json', '', b'', 0, 0)

    assert json.loads(encode_raw(origin, b''))['partitionKey'] == shown
    assert json.loads(encode_failure(failure))['partitionKey'] == shown
