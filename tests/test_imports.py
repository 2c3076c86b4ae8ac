"""Imports go one way: transforms know nothing of the pipeline, and no folder of it imports what stands above it."""
from __future__ import annotations

import ast
import pathlib
from collections.abc import Iterator

import pytest

import transforms

ROOT = pathlib.Path(__file__).parents[1]
TRANSFORMS = sorted((ROOT / 'transforms').rglob('*.py'))
PIPELINE = sorted(file for file in (ROOT / 'pipeline').rglob('*.py'))
#: What happens to an event needs these and nothing that knows AWS, files, flags or clocks.
OUTSIDE = {'apache_beam', 'msgspec', 'orjson', '__future__', 'base64', 'collections', 'dataclasses', 'datetime',
           'functools', 'hashlib', 'json', 'math', 'pickle', 're', 'sys', 'typing', 'zlib'}
#: The rooms of the pipeline, from the top down, and what each may import beside `transforms` and itself.
BASE = {'errors', 'paths', 'windows'}
ROOMS = {
    '__init__': set[str](),
    '__main__': {'main'},
    'main': {'errors', 'gc_tuning', 'options', 'progress', 'run', 'runners'},
    'local': {'options', 'paths', 'stores', 'windows'},
    'run': {*BASE, 'aws', 'commit', 'job', 'kinesis', 'options', 'progress', 'runners', 'stores', 'write'},
    'job': {'commit', 'source', 'stores', 'write'},
    'runners': {'errors', 'options'},
    'options': {*BASE, 'endpoints'},
    'kinesis': {*BASE, 'aws', 'progress', 'source'},
    'write': {*BASE, 'commit', 'gc_tuning', 'source', 'stores'},
    'commit': {*BASE, 'progress', 'source', 'stores'},
    'stores': {'aws', 'errors'},
    'aws': {'endpoints', 'errors'},
    'endpoints': set[str](),
    'source': set[str](),
    'errors': set[str](),
    'windows': set[str](),
    'paths': {'windows'},
    'progress': set[str](),
    'gc_tuning': set[str](),
}


def imported(file: pathlib.Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield '.' * node.level + (node.module or '')
            yield from (f'{node.module}.{alias.name}' for alias in node.names if node.module == 'pipeline')


def room_of(file: pathlib.Path) -> str:
    return file.relative_to(ROOT / 'pipeline').parts[0].removesuffix('.py')


@pytest.mark.parametrize('file', TRANSFORMS, ids=lambda file: file.name)
def test_transforms_import_nothing_of_the_pipeline(file: pathlib.Path) -> None:
    rooms = {name.split('.')[0] for name in imported(file)}

    assert rooms - {'transforms'} <= OUTSIDE


@pytest.mark.parametrize('file', PIPELINE, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_room_imports_what_stands_above_it(file: pathlib.Path) -> None:
    names = [name.split('.') for name in imported(file)]
    rooms = {name[1] for name in names if name[0] == 'pipeline' and len(name) > 1}

    assert rooms - {room_of(file)} <= ROOMS[room_of(file)]


def test_the_rooms_stand_one_above_the_other() -> None:
    above: set[str] = set()
    for room in ('__init__', '__main__', 'main', 'local', 'run', 'job', 'runners', 'options', 'kinesis', 'write',
                 'commit', 'stores', 'aws', 'source', 'progress', 'gc_tuning', 'paths', 'windows', 'endpoints',
                 'errors'):
        assert ROOMS[room].isdisjoint(above), room
        above.add(room)
    assert above == set(ROOMS)


def test_public_names_are_listed_and_there() -> None:
    assert len(set(transforms.__all__)) == len(transforms.__all__)
    assert [name for name in transforms.__all__ if not hasattr(transforms, name)] == []
