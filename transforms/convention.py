"""The naming convention of fields: words in lower case, joined by `_`."""
from __future__ import annotations

import re
import unicodedata

#: What a name becomes that has no word in it.
NAMELESS = 'field'
_HUMP = re.compile('(?<=[ld])(?=U)|(?<=U)(?=Ul)')
_JOINTS = re.compile('__+')


def snake_case(name: str) -> str:
    """Name a field by the convention: split at white space, punctuation and camelCase; `field` if nothing is left.

    Letters, marks and numbers of every script make words. A name without a capital that has nothing but words and `_`
    passes as it is, and so does every result.

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
    """Keep the marks of a letter with it: they take part in no split."""
    letters: list[str] = []
    for char in name:
        if letters and unicodedata.category(char)[0] == 'M' and _kind(letters[-1]) not in ' _':
            letters[-1] += char
        else:
            letters.append(char)
    return letters


def _kind(letter: str) -> str:
    """Tell `_` and ` ` (any other separator) from U (a capital), l (a small letter), d (a number), o (caseless)."""
    category = unicodedata.category(letter[0])
    if letter[0] == '_' or category[0] not in 'LMN':
        return '_' if letter[0] == '_' else ' '
    if letter[0].lower() != letter[0]:
        return 'U'
    return 'l' if category == 'Ll' else 'd' if category[0] == 'N' else 'o'
