"""The records of tests/data/malformed.ndjson: the flattened documents and the errors that each row gives."""
from __future__ import annotations

import base64
import json
import pathlib
from typing import Any

import pytest

from transforms import MalformedRecord, encode_event, flatten_event, parse_event, split_record
from transforms.limits import Limits

FIRST, LAST = {'a': 1}, {'c': 3}
#: The decisions for rows that allow several: the documents, and then the errors.
POLICY: dict[str, tuple[list[Any], list[str]]] = {
    'policy_empty_object_document': ([{}, FIRST], []),
    # An event_value that is not the JSON text of one object or array stays a text.
    'policy_event_value_plain_text': ([FIRST, {'event_name': 'x', 'event_value': 'plain text'}, LAST], []),
    'policy_event_value_empty_string': ([FIRST, {'event_name': 'x', 'event_value': ''}, LAST], []),
    'policy_event_value_truncated': ([FIRST, {'event_value': '{"k":'}, LAST], []),
    'policy_event_value_scalar_text': (
        [FIRST, {'event_value': '123'}, {'event_value': 'true'}, {'event_value': 'null'}, LAST], []),
    'policy_event_value_array': ([FIRST, {'event_value_0': 1, 'event_value_1_k': 2}, LAST], []),
    'policy_event_value_twice_encoded': ([FIRST, {'event_value': '"{\\"k\\":1}"'}, LAST], []),
    'policy_event_value_nan_inside': ([FIRST, {'event_value': '{"k":NaN}'}, LAST], []),
    'policy_event_value_concatenated': ([FIRST, {'event_value': '{"k":1}{"k":2}'}, LAST], []),
    'policy_event_value_nested_level': ([FIRST, {'data_event_value': '{"k":1}'}, LAST], []),
    # What JSON.parse reads is read. What is malformed is a fragment of its own if the rest parses, or ends the record.
    'policy_1e999': ([FIRST, {'b': None}, LAST], []),
    'policy_lone_surrogate': ([FIRST, {'b': '\ufffd'}, LAST], []),
    'policy_integer_5000_digits': ([FIRST, LAST], ['invalid-json']),
    'policy_bom_first': ([FIRST, {'b': 2}], []),
    'policy_bom_between': ([FIRST, {'b': 2}], []),
    'policy_top_level_array': ([FIRST, LAST], ['not-an-object']),
    'policy_top_level_scalars': ([FIRST], ['not-an-object']),
    'policy_top_level_null': ([FIRST], ['not-an-object']),
    'policy_only_array': ([], ['not-an-object']),
    'policy_kpl_aggregated': ([], ['invalid-utf8']),
    'policy_kpl_bad_md5': ([], ['invalid-utf8']),
    # Only the document that exceeds a limit is refused.
    'policy_key_20k_chars': ([FIRST, LAST], ['key-too-long']),
    'policy_nesting_2000': ([FIRST, LAST], ['too-deep']),
    # Numbers and order are as in Python, without the peculiarities of JavaScript.
    'policy_65_bit_integer': ([FIRST, {'b': 36893488147419103233, 'd': 12345678901234567890}, LAST], []),
    'policy_integer_like_keys': ([{'b': 1, '2': 2, '1_x': 3}], []),
    'policy_proto_key': ([{'__proto__': 1, 'a': 2}], []),
    'policy_empty_key': ([{'_x': 1, 'y': 2}], []),
    'policy_2000_empty_objects': ([{}] * 2000, []),
}


def rows() -> list[Any]:
    with open(pathlib.Path(__file__).parents[1] / 'data/malformed.ndjson', encoding='utf-8') as file:
        return [json.loads(line) for line in file]


def outcome(data: bytes) -> tuple[list[bytes], list[str]]:
    """Return the lines of a record, without renaming, and the codes of its errors."""
    split, limits = split_record(data), Limits(len(data))
    lines, codes = [], [malformed.code for malformed in (*split.skipped, *filter(None, [split.rest]))]
    for document in split.documents:
        try:
            lines.append(encode_event(flatten_event(parse_event(document), limits)))
        except MalformedRecord as error:
            codes.append(error.code)
    return lines, codes


def test_no_row_is_missing() -> None:
    assert len(rows()) == 83
    assert {row['name'] for row in rows() if row['policy']} == set(POLICY)


@pytest.mark.parametrize('row', rows(), ids=lambda row: row['name'])
def test_each_row_gives_the_expected_lines_and_errors(row: dict[str, Any]) -> None:
    lines, codes = outcome(base64.b64decode(row['record_b64']))

    if row['policy']:
        good, refused = POLICY[row['name']]
        assert codes == refused
    else:
        good = row['good']
        assert len(codes) == row['bad']
    assert lines == [encode_event(document) for document in good]
