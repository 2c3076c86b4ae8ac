"""What the other tests rely on: a wait that says what it waited for, and helper modules with names of their own."""
from __future__ import annotations

import collections
import pathlib

import pytest

from tests.waiting import wait_until

ROOT = pathlib.Path(__file__).parents[1]


def test_a_wait_returns_what_it_waited_for() -> None:
    values = iter([None, '', 'there'])

    assert wait_until(lambda: next(values), 'a value', every_s=0) == 'there'


def test_a_wait_in_vain_names_what_it_waited_for_and_the_last_value() -> None:
    with pytest.raises(AssertionError) as error:
        wait_until(lambda: [], 'a manifest', timeout_s=0.01, every_s=0.001)

    assert str(error.value) == 'waited 0.01 s for a manifest, which is still []'


def test_no_two_helper_modules_have_one_name() -> None:
    helpers = collections.Counter(
        file.name for folder in ('tests', 'pipeline/local') for file in (ROOT / folder).rglob('*.py')
        if not file.name.startswith(('test_', '__', 'conftest')))

    assert [name for name, count in helpers.items() if count > 1] == []
