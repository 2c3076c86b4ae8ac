from __future__ import annotations

import pickle
import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.parse import JsonFields, parse_event
from transforms.records import MalformedRecord


def nested(levels: int, inner: str = '1') -> str:
    return '[' * levels + inner + ']' * levels


@pytest.mark.parametrize(('text', 'value'), [
    ('{"k":1}', {'k': 1}),
    (' \t\r\n{ "k" : 1 } ', {'k': 1}),
    ('{}', {}),
    ('[]', []),
    ('[1,{"k":2}]', [1, {'k': 2}]),
    ('{"k":{"event_value":"{}"}}', {'k': {'event_value': '{}'}}),
    ('{"k":1,"k":2}', {'k': 2}),
    ('{"k":36893488147419103233}', {'k': 36893488147419103233})])
def test_json_text_of_a_container_becomes_it(text: str, value: object) -> None:
    assert parse_event({'event_value': text}) == {'event_value': value}


@pytest.mark.parametrize('value', [
    '', ' ', 'plain text', '123', 'true', 'null', '"{\\"k\\":1}"', '{"k":', '{"k":1}{"k":2}', '{"k":NaN}',
    '{"k":"\ud800"}', '\ufeff{}', '\x0c{}', '{"k":' + '9' * 5000 + '}',
    nested(63, 'NaN'), nested(2000)[:-1], nested(2000) + 'x', '[' * 2000, None, 5, True, {'k': '{}'}, ['{}']])
def test_an_event_with_any_other_value_stays_as_it_is(value: object) -> None:
    event = {'a': '{}', 'event_value': value}

    assert parse_event(event) is event


def test_an_event_without_the_field_stays_as_it_is() -> None:
    event = {'data': {'event_value': '{}'}, 'event': '{}', 'event_values': '{}', 'value': '{}'}

    assert parse_event(event) is event


@pytest.mark.parametrize('name', [
    'event_value', 'eventValue', 'Event Value', 'EVENT_VALUE', 'event.value', ' event-value '])
def test_the_field_matches_in_every_spelling(name: str) -> None:
    assert parse_event({'a': 1, name: '{"k":1}'}) == {'a': 1, name: {'k': 1}}


def test_several_fields_may_hold_json_text() -> None:
    fields = JsonFields(('customData', 'event_value'))
    event = {'custom_data': '[1]', 'Custom Data': '[2]', 'eventValue': '{"k":1}', 'other': '[3]'}

    assert fields.names == ('custom_data', 'event_value')
    assert pickle.loads(pickle.dumps(fields)).names == fields.names
    assert parse_event(event, fields) == {
        'custom_data': [1], 'Custom Data': [2], 'eventValue': {'k': 1}, 'other': '[3]'}
    assert parse_event(event, JsonFields(('custom_data',)))['eventValue'] == '{"k":1}'


@pytest.mark.parametrize(('text', 'value', 'counts'), [
    ('{"k":1e999}', {'k': None}, {'huge_numbers': 1}),
    ('[-1e400,1.5,1e5]', [None, 1.5, 1e5], {'huge_numbers': 1}),
    ('{"k":"\\ud800"}', {'k': '\ufffd'}, {'lone_surrogates': 1}),
    ('{"\\udc00":"\\ud83d\\ude00\\ud83d"}', {'\ufffd': '\U0001f600\ufffd'}, {'lone_surrogates': 2}),
    ('{"k":"\\ud800"', '{"k":"\\ud800"', {})])
def test_what_javascript_parses_is_parsed_and_counted(text: str, value: object, counts: dict[str, int]) -> None:
    mended = Counter[str]()

    assert parse_event({'event_value': text}, mended=mended) == {'event_value': value}
    assert dict(mended) == counts


def test_a_hostile_name_is_handled_in_linear_time() -> None:
    start = time.process_time()
    for name in ('eV' * 500_000, 'event' + '.' * 1_000_000 + 'value', 'Event Value' * 90_000):
        assert parse_event({name: '{}'}) == {name: '{}'}

    assert time.process_time() - start < 2


def test_the_order_of_keys_is_kept_and_the_argument_is_not_changed() -> None:
    event = {'z': 1, 'event_value': '{"k":1}', 'a': 2}

    assert list(parse_event(event).items()) == [('z', 1), ('event_value', {'k': 1}), ('a', 2)]
    assert event == {'z': 1, 'event_value': '{"k":1}', 'a': 2}


@pytest.mark.parametrize('text', [nested(2000), f' {nested(2000)}\n', nested(64, 'NaN'), nested(100, '9' * 5000)])
def test_text_that_the_parser_cannot_nest_is_too_deep(text: str) -> None:
    with pytest.raises(MalformedRecord) as raised:
        parse_event({'event_value': text})

    assert (raised.value.code, raised.value.message) == ('too-deep', 'nested deeper than 64 levels')


def test_a_deep_value_that_a_later_equal_key_replaces_does_not_count() -> None:
    assert parse_event({'event_value': f'{{"a":{nested(2000)},"a":1}}'}) == {'event_value': {'a': 1}}


@given(st.text() | st.text(alphabet='{}[]",:\\1a '))
def test_any_text_is_parsed_or_stays(text: str) -> None:
    value = parse_event({'event_value': text})['event_value']

    assert value == text or isinstance(value, (dict, list))
