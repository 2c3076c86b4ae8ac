from __future__ import annotations

import pathlib
import pickle
import subprocess
import sys
from typing import Any

import pytest

from transforms.rename import rename_fields
from transforms.rules import CONVENTION, Rules

ROOT = pathlib.Path(__file__).parents[2]


def test_rules_are_values() -> None:
    mapping: dict[str, str | None] = {'a': 'b', 'c': None}
    rules = Rules(mapping)
    mapping['d'] = 'e'
    rename_fields({'Some Name': 1}, rules)

    assert rules == Rules({'c': None, 'a': 'b'}) != CONVENTION
    assert hash(rules) == hash(Rules({'c': None, 'a': 'b'}))
    assert pickle.loads(pickle.dumps(rules)) == rules
    assert rename_fields({'a': 1, 'd': 2}, pickle.loads(pickle.dumps(rules))) == {'b': 1, 'd': 2}


def test_the_digest_tells_rules_apart_in_any_process() -> None:
    rules = [Rules({'a': 'b', 'c': None}), Rules({'a': 'b', 'c': 'None'}), Rules({'a': 'b'}, convention=False),
             CONVENTION]
    code = "from transforms import Rules; print(Rules({'c': None, 'a': 'b'}).digest())"
    other = subprocess.run([sys.executable, '-W', 'ignore', '-c', code], cwd=ROOT, stdout=subprocess.PIPE, check=True)

    assert len({each.digest() for each in rules}) == 4
    assert other.stdout.decode().strip() == rules[0].digest()


@pytest.mark.parametrize(('mapping', 'message'), [
    ({'old': 'new', 'x': 'y', 'other old': 'new'}, "'old' and 'other old' are both renamed to 'new'"),
    ({'old': 'UserId', 'x': 'userid'}, "'old' is renamed to 'UserId' and 'x' to 'userid', which differ by case only: "
                                       'query engines take them for one column'),
    ({'old': ''}, "the new name of 'old' is neither a text nor null"),
    ({'old': 1}, "the new name of 'old' is neither a text nor null"),
    ({'old': ['a']}, "the new name of 'old' is neither a text nor null")])
def test_rules_that_contradict_each_other_are_refused(mapping: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as raised:
        Rules(mapping)

    assert str(raised.value) == message
