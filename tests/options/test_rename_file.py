from __future__ import annotations

import argparse
import pathlib

import pytest

from pipeline.errors import OptionRefused
from pipeline.options.rename_file import CONVENTION_ONLY, RenameFile, read_rename, rules_of
from transforms.rules import CONVENTION, Rules

MAPPING = {'Old Name': 'new_name', 'noise': None, 'Größe': 'size'}


@pytest.mark.parametrize('text', [
    '{"Old Name": "new_name", "noise": null, "Größe": "size"}',
    '\ufeff{"Old Name": "new_name", "noise": null, "Gr\\u00f6\\u00dfe": "size"}\n',
    '{"Old Name": "new_name", "noise": null, "Größe": "size",}',
    '# names\nOld Name: new_name\nnoise: null\nGröße: size\n',
    '---\n"Old Name": \'new_name\'\nnoise:\nGröße: "size"\n',
    '{Old Name: new_name, noise: ~, Größe: size}'])
def test_a_mapping_is_json_or_yaml(text: str, tmp_path: pathlib.Path) -> None:
    file = tmp_path / 'names'
    file.write_text(text, encoding='utf-8')

    assert read_rename(str(file)) == RenameFile(str(file), MAPPING)
    assert rules_of(read_rename(str(file))) == Rules(mapping=MAPPING)


@pytest.mark.parametrize(('data', 'reason'), [
    (b'{"a": "b", "a": "c"}', "'a' occurs twice"),
    (b'a: b\nc: d\na: e\n', "'a' occurs twice"),
    (b'', 'it is not a mapping'),
    (b'[]', 'it is not a mapping'),
    (b'"a"', 'it is not a mapping'),
    (b'- a\n- b\n', 'it is not a mapping'),
    (b'{"a": 1}', "the new name of 'a' is neither a text in quotes nor null"),
    (b'{"a": ""}', "the new name of 'a' is neither a text in quotes nor null"),
    (b'{"a": {"b": "c"}}', "the new name of 'a' is neither a text in quotes nor null"),
    (b'a: yes\n', "the new name of 'a' is neither a text in quotes nor null"),
    (b'yes: a\n', "the name 'True' is no text, put it in quotes"),
    (b'{"\\ud800": "b"}', "'\\ud800' or its new name holds half a character"),
    (b'{"a": "\\udfff"}', "'a' or its new name holds half a character"),
    (b'\xff\xfe', 'it is not UTF-8'),
    (b'[' * 100_000, 'it is nested too deeply')])
def test_what_is_no_mapping_of_names_is_refused(data: bytes, reason: str, tmp_path: pathlib.Path) -> None:
    file = tmp_path / 'names'
    file.write_bytes(data)

    with pytest.raises(argparse.ArgumentTypeError) as refused:
        read_rename(str(file))

    assert str(refused.value) == (
        f"got '{file}', must be none or a JSON or YAML file of old to new names: {reason}")


@pytest.mark.parametrize(('text', 'place'), [('{"a": "b"', 'line 1, column 10'), ('a: b\nc: [\n', 'line 3, column 1')])
def test_a_syntax_error_says_where(text: str, place: str, tmp_path: pathlib.Path) -> None:
    file = tmp_path / 'names.json'
    file.write_text(text)

    with pytest.raises(argparse.ArgumentTypeError, match=place):
        read_rename(str(file))


def test_what_cannot_be_read_is_refused(tmp_path: pathlib.Path) -> None:
    for path, reason in ((tmp_path, 'Is a directory'), (tmp_path / 'x', 'No such file or directory')):
        with pytest.raises(argparse.ArgumentTypeError, match=f'{reason}$'):
            read_rename(str(path))


def test_none_keeps_all_names_and_the_default_is_the_convention() -> None:
    assert rules_of(read_rename('none')) == Rules(convention=False)
    assert rules_of(CONVENTION_ONLY) is CONVENTION


def test_two_fields_renamed_to_one_name_are_refused() -> None:
    with pytest.raises(OptionRefused) as refused:
        rules_of(RenameFile('names.json', {'a': 'x', 'b': 'x'}))

    assert str(refused.value) == (
        "--rename: got 'names.json', must be none or a JSON or YAML file of old to new names: 'a' and 'b' are both "
        "renamed to 'x'")
