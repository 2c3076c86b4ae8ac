from __future__ import annotations

import ast
import base64
import hashlib
import pathlib
import sys
import unicodedata
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.transforms import unicode_table
from transforms.convention import snake_case
from transforms.letters import KINDS, kinds_of, lower
from transforms.unicode_14 import PACKED

TRANSFORMS = sorted((pathlib.Path(__file__).parents[2] / 'transforms').glob('*.py'))
#: They ask the Unicode data of the Python that runs.
OF_PYTHON = {'casefold', 'upper', 'title', 'capitalize', 'swapcase', 'isalnum', 'isalpha', 'isdecimal', 'isdigit',
             'isidentifier', 'islower', 'isnumeric', 'isprintable', 'isspace', 'istitle', 'isupper', 'lower',
             'unicodedata', 'normalize', 'category'}


@pytest.mark.skipif(unicodedata.unidata_version != unicode_table.VERSION, reason='only Python 3.11 has Unicode 14')
def test_the_table_is_that_of_the_oldest_python() -> None:
    assert zlib.decompress(base64.b85decode(PACKED)).decode() == unicode_table.table()


def test_every_character_has_its_kind_on_every_python() -> None:
    small = ''.join(lower(char) for char, kind in zip(map(chr, range(0x110000)), KINDS, strict=True) if kind in 'USC')

    assert len(KINDS) == sys.maxunicode + 1
    assert hashlib.md5(KINDS.encode()).hexdigest() == 'be453760e93db4249004bd7a00f446f1'
    assert hashlib.md5(small.encode()).hexdigest() == '6ae811b1f19578cdda602c6138b16a79'


@pytest.mark.parametrize(('name', 'expected'), [
    # Unicode 15 and 16 made letters of these. A Python that knows them must not find letters in them either.
    ('a\U0001e4d0b', 'a_b'), ('a\U00010d50', 'a'), ('\ua7dcx', 'x'), ('\U0001df25', 'field'),
    ('event\U000323b0value', 'event_value')])
def test_characters_after_unicode_14_are_no_letters(name: str, expected: str) -> None:
    assert snake_case(name) == expected
    assert lower(name) == name


@pytest.mark.parametrize('file', TRANSFORMS, ids=lambda file: file.name)
def test_no_transform_asks_the_unicode_data_of_python(file: pathlib.Path) -> None:
    tree = ast.parse(file.read_text(encoding='utf-8'))
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    used |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    patterns = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]

    assert used & OF_PYTHON <= ({'lower'} if file.name == 'letters.py' else set())  # there for ASCII alone
    assert [text for text in patterns if any(part in text for part in (r'\w', r'\W', r'\d', r'\s', r'\b'))] == []


@pytest.mark.skipif(unicodedata.unidata_version != unicode_table.VERSION, reason='only Python 3.11 has Unicode 14')
@given(st.text() | st.text('ΣσΑα\'. _\u0301\u0903\u02b0İⒶⅧ𝐀ª'))
def test_small_letters_are_those_of_python(text: str) -> None:
    assert lower(text) == text.lower()


def test_a_text_has_as_many_kinds_as_characters() -> None:
    assert kinds_of('aB1_ \u0301\U0010ffff') == 'lUd..m.'
