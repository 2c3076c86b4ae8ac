from __future__ import annotations

import pytest

from transforms.rename import rename_fields
from transforms.rules import Rules


def test_remembered_shapes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('transforms.shapes.MAX_SHAPE_CHARACTERS', 100)
    rules = Rules()

    for number in range(100, 200):
        assert rename_fields({f'A{number}': number, 'b': 0}, rules) == {f'a{number}': number, 'b': 0}
        assert len(rules.shapes) <= 100 // 7
    assert rename_fields({'C' * 101: 1}, rules) == {'c' * 101: 1}
    assert len(rules.shapes) == 0
    assert rename_fields({'D': 1}, rules) == {'d': 1}
    assert list(rules.shapes) == [('D',)]  # emptied, it remembers again
