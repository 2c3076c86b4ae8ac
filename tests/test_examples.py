"""The examples in docstrings are right."""
from __future__ import annotations

import doctest
import importlib
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parent.parent
EXAMPLES = sorted('.'.join(path.relative_to(ROOT).with_suffix('').parts) for folder in ('pipeline', 'transforms')
                  for path in (ROOT / folder).rglob('*.py') if '>>> ' in path.read_text('utf-8'))


@pytest.mark.parametrize('name', EXAMPLES)
def test_examples_give_what_they_say(name: str) -> None:
    failed, tried = doctest.testmod(importlib.import_module(name))

    assert (failed, tried > 0) == (0, True)
