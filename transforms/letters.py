"""What is a letter, and which small letter belongs to a capital: by Unicode 14, whatever Python runs.

Each Python has the Unicode of its time: 3.11 has 14, 3.13 has 15.1. If names depended on it, the lines of a window that
is written again by a newer Python would differ. Characters that came after Unicode 14 are no letters here.
"""
from __future__ import annotations

import base64
import re
import zlib

from transforms.unicode_14 import PACKED

# The kind of each code point. Letters: `U` a capital (`S` is Σ), `l` a small one, `o` one without case, `O` and `i` the
# same but for Σ. Numbers: `d`, and `D` for ⅷ. Marks: `m`, and `M` if they have a width. Anything else: `.`, or `-` `c`
# `C`, which is the same but for Σ.
_KINDS, _OFFSETS = ([run.rpartition(':') for run in line.split(' ')] for line in
                    zlib.decompress(base64.b85decode(PACKED)).decode().split('\n'))
#: The kind of each code point, by its number.
KINDS = ''.join(kind * int(count) for kind, _, count in _KINDS)
#: The kinds of what is neither letter nor mark nor number.
OTHERS = '.cC-'
_CAPITALS = [found.start() for found in re.finditer('[USC]', KINDS)]
_SMALL = dict(zip(map(chr, _CAPITALS), (chr(capital + offset) for capital, offset in zip(
    _CAPITALS, (int(offset) for offset, _, count in _OFFSETS for _ in range(int(count))), strict=True)), strict=True))
_SMALL['İ'] = 'i\u0307'
_CAPITAL = re.compile(f'[{"".join(_SMALL)}]')
# Σ ends a word if a letter with a case stands before it and none after it, whatever is in between of these kinds.
_FINAL_SIGMA = re.compile('[USlDOCc][im-]*+S(?![im-]*+[USlDOCc])')


def kinds_of(text: str) -> str:
    """Return the kind of each character of a text, in a text of the same length.

    >>> kinds_of('Größe XL2')
    'Ullll.UUd'
    """
    return text.translate(KINDS)


def lower(text: str) -> str:
    """Return a text in small letters. Σ becomes ς at the end of a word, as with `str.lower`.

    >>> lower('GRÖSSE'), lower('ΟΔΟΣ')
    ('grösse', 'οδος')
    """
    if text.isascii():
        return text.lower()
    if 'Σ' in text:
        letters = list(text)
        for found in _FINAL_SIGMA.finditer(kinds_of(text)):
            letters[found.end() - 1] = 'ς'
        text = ''.join(letters)
    return _CAPITAL.sub(lambda capital: _SMALL[capital[0]], text)
