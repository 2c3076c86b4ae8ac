from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms import rename
from transforms.convention import snake_case
from transforms.rename import rename_fields
from transforms.rules import Rules


def test_the_mapping_is_exact_and_its_new_names_are_used_as_they_are() -> None:
    rules = Rules({'App Version': 'Version!', 'noise': None, 'a_b': 'c'})
    event = {'App Version': 1, 'app version': 2, 'noise': 3, 'Noise': 4, 'a_b': 5}

    assert list(rename_fields(event, rules).items()) == [
        ('Version!', 1), ('app_version', 2), ('noise', 4), ('c', 5)]


def test_without_the_convention_the_other_names_stay_as_they_are() -> None:
    assert rename_fields({'A b': 1, 'C': 2, '': 3}, Rules({'C': 'd'}, convention=False)) == {'A b': 1, 'd': 2, '': 3}


@pytest.mark.parametrize(('event', 'expected'), [
    ({'a b': 1, 'a_b': 1}, [('a_b', 1)]),
    ({'a b': 1, 'a_b': 2}, [('a_b', 1), ('a_b_2', 2)]),
    ({'a b': 1, 'x': 0, 'a_b': 2, 'A B': 3, 'aB': 2}, [('a_b', 1), ('x', 0), ('a_b_2', 2), ('a_b_3', 3)]),
    ({'a b': 1, 'A b': 2, 'a_b_2': 3}, [('a_b', 1), ('a_b_3', 2), ('a_b_2', 3)]),
    ({'a b': 1, 'A b': 2, 'A b 2': 3, 'a_b_2': 4}, [('a_b', 1), ('a_b_3', 2), ('a_b_2', 3), ('a_b_2_2', 4)]),
    ({'?': 1, '!': 2, '': 3}, [('field', 1), ('field_2', 2), ('field_3', 3)]),
    ({'a b': 1, 'a_b': 1.0}, [('a_b', 1), ('a_b_2', 1.0)]),
    ({'a b': 1, 'a_b': True}, [('a_b', 1), ('a_b_2', True)]),
    ({'a b': 1, 'a_b': '1'}, [('a_b', 1), ('a_b_2', '1')]),
    ({'a b': {}, 'a_b': []}, [('a_b', {}), ('a_b_2', [])]),
    ({'a b': 2 ** 70, 'a_b': 2 ** 70}, [('a_b', 2 ** 70)]),
    ({'a b': None, 'a_b': ''}, [('a_b', None), ('a_b_2', '')])])
def test_fields_that_get_one_name_lose_no_value(event: dict[str, Any], expected: list[tuple[str, Any]]) -> None:
    renamed = list(rename_fields(event).items())

    assert [(name, repr(value)) for name, value in renamed] == [(name, repr(value)) for name, value in expected]


@pytest.mark.parametrize(('mapping', 'event', 'expected'), [
    ({'a': 'UserId'}, {'a': 1, 'userid': 2}, [('UserId', 1), ('userid_2', 2)]),
    ({'a': 'UserId'}, {'userid': 2, 'a': 1}, [('userid', 2), ('UserId_2', 1)]),
    ({'a': 'UserId'}, {'a': 1, 'userid': 1}, [('UserId', 1)]),
    ({'a': 'UserId', 'b': 'USERID_2'}, {'a': 1, 'userid': 2, 'b': 3},
     [('UserId', 1), ('userid_3', 2), ('USERID_2', 3)])])
def test_names_that_differ_by_case_only_are_one_name(
        mapping: dict[str, str | None], event: dict[str, Any], expected: list[tuple[str, Any]]) -> None:
    assert list(rename_fields(event, Rules(mapping)).items()) == expected


def test_many_fields_that_get_one_name_are_numbered_in_linear_time() -> None:
    renamed = rename_fields({'?' * (index % 7) + ' ' * index: index for index in range(1500)})

    assert list(renamed) == ['field', *(f'field_{number}' for number in range(2, 1501))]


def test_the_argument_is_not_changed() -> None:
    event = {'A': 1, 'drop': 2}
    rename_fields(event, Rules({'drop': None}))

    assert event == {'A': 1, 'drop': 2}


def test_many_fields_may_be_dropped() -> None:
    assert rename_fields({'a': 1, 'b': 2, 'c': 3}, Rules({'a': None, 'b': None})) == {'c': 3}


def test_a_known_shape_of_event_gets_the_same_names_again() -> None:
    rules = Rules({'c': 'd'})

    for value in (1, 2):
        assert list(rename_fields({'appVersion': value, 'b': 0, 'c': value}, rules).items()) == [
            ('app_version', value), ('b', 0), ('d', value)]
        assert list(rename_fields({'b': value, 'appVersion': 0}, rules).items()) == [('b', value), ('app_version', 0)]
        assert rename_fields({'b': value}, rules) == {'b': value}
        assert rename_fields({'c': value, 'd': 0}, rules) == {'d': value, 'd_2': 0}


def test_dropped_fields_are_kept_aside_by_the_name_they_would_have_had() -> None:
    event = {'Platform': 'ios', 'eventTime': 1, 'Event Time': 2, 'x': 3}
    mapping: dict[str, str | None] = {'Platform': None, 'eventTime': None, 'Event Time': None}

    assert rename._dropped(event, Rules(mapping)) == {'platform': 'ios', 'event_time': 1}
    assert rename._dropped(event, Rules(mapping, convention=False)) == {
        'Platform': 'ios', 'eventTime': 1, 'Event Time': 2}
    assert rename_fields(event, Rules(mapping)) == {'x': 3}


EVENTS = st.dictionaries(
    st.text(max_size=4) | st.text(alphabet='aB _2', max_size=4), st.integers(0, 2) | st.text(max_size=1), max_size=8)


@given(EVENTS)
def test_renaming_keeps_every_value_under_a_name_of_its_own_and_is_done_once(event: dict[str, Any]) -> None:
    renamed = rename_fields(event)

    assert rename_fields(renamed) == renamed
    assert all(name == name.lower() for name in renamed)
    for name, value in event.items():
        new = snake_case(name)
        assert json.dumps(value) in [json.dumps(other) for key, other in renamed.items() if key.startswith(new)]
    assert len(renamed) == len({(snake_case(name), json.dumps(value)) for name, value in event.items()})


@given(EVENTS)
def test_without_a_mapping_and_the_convention_nothing_changes(event: dict[str, Any]) -> None:
    assert list(rename_fields(event, Rules(convention=False)).items()) == list(event.items())
