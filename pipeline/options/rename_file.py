"""Read the file of `--rename`: JSON or YAML that maps flattened names to new names, or to null to drop the field."""
from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.errors import OptionRefused
from pipeline.options.types import shown

if TYPE_CHECKING:
    from transforms.rules import Rules


class RenameFile(NamedTuple):
    """The content of the file, not yet checked as rules. `path` is the option's value, for messages."""

    path: str
    mapping: dict[str, str | None]
    convention: bool = True


CONVENTION_ONLY = RenameFile('', {})


def read_rename(path: str) -> RenameFile:
    """Read the mapping at `path`, or take the word `none`. Raise ArgumentTypeError if it is no mapping of names."""
    if path == 'none':
        return RenameFile(path, {}, convention=False)
    try:
        with open(path, encoding='utf-8-sig') as file:
            return RenameFile(path, _mapping(_parsed(file.read())))
    except UnicodeDecodeError:
        reason = 'it is not UTF-8'
    except OSError as error:
        reason = error.strerror or type(error).__name__
    except RecursionError:
        reason = 'it is nested too deeply'
    except ValueError as error:
        reason = str(error)
    raise argparse.ArgumentTypeError(_refusal(path, reason))


def rules_of(rename: RenameFile) -> Rules:
    """Make the rules of a file, for RenameFields. Raise OptionRefused if two of them contradict each other.

    The transforms are imported only here: they import Beam, which takes a second.
    """
    from transforms.rules import CONVENTION, Rules
    if rename == CONVENTION_ONLY:
        return CONVENTION
    try:
        return Rules(mapping=rename.mapping, convention=rename.convention)
    except ValueError as error:
        raise OptionRefused(f'--rename: {_refusal(rename.path, str(error))}') from error


def _refusal(path: str, reason: str) -> str:
    return f'got {shown(path)}, must be none or a JSON or YAML file of old to new names: {reason}'


def _parsed(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        return _yaml(text, f'as JSON: {error}; as YAML: ' if text.lstrip()[:1] == '{' else '')


def _yaml(text: str, before: str) -> Any:
    import yaml
    try:
        node = yaml.compose(text, yaml.SafeLoader)
        if isinstance(node, yaml.MappingNode):  # safe_load silently takes the last of two equal keys
            _unique((key.value, None) for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(before + str(error)) from error


def _unique(pairs: Iterable[tuple[Any, Any]]) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f'{shown(str(key))} occurs twice')
        found[key] = value
    return found


def _mapping(value: Any) -> dict[str, str | None]:
    if not isinstance(value, dict):
        raise ValueError('it is not a mapping')
    for old, new in value.items():
        if not isinstance(old, str):
            raise ValueError(f'the name {shown(str(old))} is no text, put it in quotes')
        if new is not None and not (isinstance(new, str) and new):
            raise ValueError(f'the new name of {shown(old)} is neither a text in quotes nor null')
        if re.search('[\ud800-\udfff]', old + (new or '')):
            raise ValueError(f'{shown(old)} or its new name holds half a character')
    return value
