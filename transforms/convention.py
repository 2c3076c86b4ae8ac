"""The naming convention of fields: words in lower case, joined by `_`."""
from __future__ import annotations

import re
import unicodedata

#: The new name of a field whose name has no word in it.
NAMELESS = 'field'
_HUMP = re.compile('(?<=[ld])(?=U)|(?<=U)(?=Ul)')
_JOINTS = re.compile('__+')


def snake_case(name: str) -> str:
    """Return the name of a field by the convention: split at white space, punctuation and camelCase.

    Words are made of the letters, marks and numbers of every script. A name that consists of words without capitals
    and of `_` stays as it is; so does every result. If no word is left, the name is `field`.

    >>> [snake_case(name) for name in ('SDKVersion', 'Media Source (pid)', 'a__b', '?')]
    ['sdk_version', 'media_source_pid', 'a__b', 'field']
    """
    letters = _letters(name)
    kinds = ''.join(map(_kind, letters))
    if name and ' ' not in kinds and 'U' not in kinds:
        return name
    pieces = [letter if kind not in ' _' else '_' for letter, kind in zip(letters, kinds, strict=True)]
    for hump in _HUMP.finditer(kinds):
        pieces[hump.start()] = '_' + pieces[hump.start()]
    return _JOINTS.sub('_', ''.join(pieces)).strip('_').lower() or NAMELESS


def _letters(name: str) -> list[str]:
    """Split a name into letters, each with its combining marks, since a name is never split before a mark."""
    letters: list[str] = []
    for char in name:
        if letters and unicodedata.category(char)[0] == 'M' and _kind(letters[-1]) not in ' _':
            letters[-1] += char
        else:
            letters.append(char)
    return letters


def _kind(letter: str) -> str:
    """Return `_`, or one of: ` ` any other separator, `U` a capital, `l` a small letter, `d` a number, `o` no case."""
    category = unicodedata.category(letter[0])
    if letter[0] == '_' or category[0] not in 'LMN':
        return '_' if letter[0] == '_' else ' '
    if letter[0].lower() != letter[0]:
        return 'U'
    return 'l' if category == 'Ll' else 'd' if category[0] == 'N' else 'o'
