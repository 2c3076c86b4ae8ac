from __future__ import annotations

import pathlib
import pickle
import subprocess
import sys

import pytest

from transforms.rename import rename_fields
from transforms.rules import CONVENTION, Rules

ROOT = pathlib.Path(__file__).parents[2]


def test_shapes_of_events_that_make_up_names_take_a_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('transforms.shapes.MAX_SHAPE_CHARACTERS', 100)
    rules = Rules()

    for number in range(100, 200):
        assert rename_fields({f'A{number}': number, 'b': 0}, rules) == {f'a{number}': number, 'b': 0}
        assert len(rules.shapes) <= 100 // 7
    assert rename_fields({'C' * 101: 1}, rules) == {'c' * 101: 1}
    assert len(rules.shapes) == 0


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


def test_remembered_names_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('transforms.rules.MAX_NAMES', 10)
    rules = Rules()

    for index in range(95):
        assert rename_fields({f'A{index}': 1, 'B' * 300: 2}, rules) == {f'a{index}': 1, 'b' * 300: 2}
        assert len(rules.names) <= 10
    assert list(rules.names) == [f'A{index}' for index in range(90, 95)]
