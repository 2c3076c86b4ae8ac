"""The naming convention of fields: words in lower case, joined by `_`."""
from __future__ import annotations

import re

from transforms.letters import OTHERS, kinds_of, lower
from transforms.remembered import Remembered

#: The new name of a field whose name has no word in it.
NAMELESS = 'field'
_PLAIN = re.compile('[a-z0-9_]++')
_CHANGES = re.compile(f'[US{OTHERS}]')
# A word, by the kinds of its characters. It ends before what is no letter, number or mark, and between the `a` and `B`
# of `aB` and the `A` and `B` of `ABc`. It never ends before a mark.
_INSIDE = '(?:[oOimM]|[ldD][mM]*+(?![US])|[US][mM]*+(?![US][mM]*+l))'
_WORD = re.compile(f'{_INSIDE}*+[USldD][mM]*+|{_INSIDE}++')


def snake_case(name: str) -> str:
    """Return the name of a field by the convention: split at white space, punctuation and camelCase.

    Words are made of the letters, marks and numbers of every script in Unicode 14. A name that consists of words
    without capitals and of `_` stays as it is; so does every result. If no word is left, the name is `field`.

    >>> [snake_case(name) for name in ('SDKVersion', 'Media Source (pid)', 'a__b', '?')]
    ['sdk_version', 'media_source_pid', 'a__b', 'field']
    """
    if _PLAIN.fullmatch(name):
        return name
    head, _, last = name.rpartition('_')
    if not _PLAIN.fullmatch(last):
        return _by_pieces(name) or NAMELESS
    # Members of an array differ in nothing but their index. A record of 1 MiB has half a million of them.
    new = _heads[head]
    return name if new == head else f'{new}_{last}' if new else last


def _by_pieces(name: str) -> str:
    """Return the new name of a field, or an empty text if there is no word in it.

    What stands between two `_` is renamed by itself and remembered, because the leaves of an object share the names of
    all that is around them.
    """
    olds = name.split('_')
    news = list(map(_pieces.__getitem__, olds))
    return name if news == olds else '_'.join(filter(None, news))


def _renamed(old: str) -> str:
    """Return the new name of what has no `_` in it; it may be empty."""
    if _PLAIN.fullmatch(old):
        return old
    kinds = kinds_of(old)
    if not _CHANGES.search(kinds):
        return old
    return lower('_'.join([old[word.start():word.end()] for word in _WORD.finditer(kinds)]))


_heads = Remembered(_by_pieces)
_pieces = Remembered(_renamed)
