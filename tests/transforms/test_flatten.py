from __future__ import annotations

import json
import pathlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.flatten import flatten_event

DATA = pathlib.Path(__file__).parents[1] / 'data'


def cases() -> list[Any]:
    with open(DATA / 'flat_cases.ndjson', encoding='utf-8') as file:
        rows = [json.loads(line) for line in file]
    return [row for row in rows if not any(tag.startswith('js:') for tag in row['tags'])]


def test_no_case_is_missing() -> None:
    assert len(cases()) == 119


@pytest.mark.parametrize('case', cases(), ids=lambda case: case['name'])
def test_documents_are_flattened_as_npm_flat_does_except_for_empty_containers(case: dict[str, Any]) -> None:
    assert list(flatten_event(case['input']).items()) == list(case['expected'].items())


@pytest.mark.parametrize(('event', 'expected'), [
    ({'': {'x': 1}}, {'_x': 1}),
    ({'a': {'': {'b': 1}}}, {'a__b': 1}),
    ({'': {'': 1}}, {'_': 1}),
    ({'__proto__': 1, 'a': 2}, {'__proto__': 1, 'a': 2}),
    ({'b': 1, '2': 2, '1': {'x': 3}}, {'b': 1, '2': 2, '1_x': 3}),
    ({'a': 0, 'b': '', 'c': None, 'd': False}, {'a': 0, 'b': '', 'c': None, 'd': False}),
    ({'a': 36893488147419103233}, {'a': 36893488147419103233}),
    ({}, {})])
def test_peculiarities_of_javascript_are_not_copied(event: dict[str, Any], expected: dict[str, Any]) -> None:
    assert list(flatten_event(event).items()) == list(expected.items())


@pytest.mark.parametrize(('event', 'expected'), [
    ({'a': {}, 'b': [], 'c': {'d': {}, 'e': [[]]}}, {'a': None, 'b': None, 'c_d': None, 'c_e_0': None}),
    ({'a': [{}, 1]}, {'a_0': None, 'a_1': 1}),
    ({'a': {}, '': []}, {'a': None, '': None})])
def test_an_empty_container_becomes_null(event: dict[str, Any], expected: dict[str, Any]) -> None:
    assert list(flatten_event(event).items()) == list(expected.items())


def test_the_last_of_two_leaves_with_one_name_takes_the_place_of_the_first() -> None:
    assert list(flatten_event({'a_b': 1, 'x': 0, 'a': {'b': 2}}).items()) == [('a_b', 2), ('x', 0)]
    assert list(flatten_event({'a': {'b': 2}, 'x': 0, 'a_b': 1}).items()) == [('a_b', 1), ('x', 0)]


def test_a_document_of_any_depth_is_flattened() -> None:
    event: dict[str, Any] = {'k': 1}
    for _ in range(4999):
        event = {'k': event}

    assert flatten_event(event) == {'_'.join('k' * 5000): 1}


LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=3)
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3))


@given(st.dictionaries(st.text(max_size=3), JSON, max_size=4))
def test_flattening_equals_its_recursive_definition(event: dict[str, Any]) -> None:
    def leaves(value: Any, path: tuple[str, ...]) -> Any:
        if isinstance(value, (dict, list)) and value:
            for key, member in value.items() if isinstance(value, dict) else enumerate(value):
                yield from leaves(member, (*path, str(key)))
        else:
            yield '_'.join(path), None if value in ({}, []) else value

    expected = dict(leaves(event, ())) if event else {}

    assert list(flatten_event(event).items()) == list(expected.items())


@given(st.dictionaries(st.text(max_size=3), LEAVES, max_size=4))
def test_a_flat_event_stays_as_it_is(event: dict[str, Any]) -> None:
    assert list(flatten_event(event).items()) == list(event.items())
