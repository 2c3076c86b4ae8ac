from __future__ import annotations

import ast
import pathlib
from collections.abc import Iterator

import pytest

import transforms

ROOT = pathlib.Path(__file__).parent.parent
FILES = sorted((ROOT / 'transforms').rglob('*.py'))
#: What happens to an event needs these and nothing that knows AWS, files, flags or clocks.
OUTSIDE = {'apache_beam', 'msgspec', 'orjson', '__future__', 'base64', 'collections', 'dataclasses', 'datetime',
           'functools', 'hashlib', 'json', 'math', 'pickle', 're', 'typing', 'unicodedata'}


def imported(file: pathlib.Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield '.' * node.level + (node.module or '')


@pytest.mark.parametrize('file', FILES, ids=lambda file: file.name)
def test_transforms_import_nothing_of_the_pipeline(file: pathlib.Path) -> None:
    rooms = {name.split('.')[0] for name in imported(file)}

    assert rooms - {'transforms'} <= OUTSIDE


def test_public_names_are_listed_and_there() -> None:
    assert len(set(transforms.__all__)) == len(transforms.__all__)
    assert [name for name in transforms.__all__ if not hasattr(transforms, name)] == []
