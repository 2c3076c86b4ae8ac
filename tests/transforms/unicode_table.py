"""Make transforms/unicode_14.py from the Unicode data of a Python: `python3.11 -m tests.transforms.unicode_table`."""
from __future__ import annotations

import base64
import itertools
import pathlib
import unicodedata
import zlib

VERSION = '14.0.0'
FILE = pathlib.Path(__file__).parents[2] / 'transforms/unicode_14.py'


def table() -> str:
    """Return two lines of runs: the kind of every code point, and how far the small letter of each capital is from it.

    Only a Python whose `unicodedata` is VERSION gives the table of the program: Python 3.11.
    """
    characters = list(map(chr, range(0x110000)))
    offsets = [ord(char.lower()[0]) - ord(char) for char in characters if char.lower() != char]
    return '\n'.join(' '.join(f'{value}:{len([*run])}' for value, run in itertools.groupby(values))
                     for values in (map(kind_of, characters), offsets))


def kind_of(char: str) -> str:
    """Return the kind of a character; transforms/letters.py says what the kinds are."""
    category = unicodedata.category(char)
    # Python makes no secret of which characters the rule of the final sigma skips, and which count as a letter.
    cased = (char + 'Σ').lower().endswith('ς')
    skipped = not cased and ('A' + char + 'Σ').lower().endswith('ς')
    if char == 'Σ':
        return 'S'
    if category[0] not in 'LMN':
        return '-' if skipped else '.' if not cased else 'C' if char.lower() != char else 'c'
    if category[0] == 'M':
        return 'm' if skipped else 'M'
    if char.lower() != char:
        return 'U'
    if category == 'Ll':
        return 'l'
    if category[0] == 'N':
        return 'D' if cased else 'd'
    return 'O' if cased else 'i' if skipped else 'o'


def source() -> str:
    """Return the text of transforms/unicode_14.py."""
    packed = base64.b85encode(zlib.compress(table().encode(), 9)).decode()
    lines = '\n'.join(f"    '{packed[at:at + 110]}'" for at in range(0, len(packed), 110))
    return f'''"""Unicode 14, packed: what letters.py knows. tests/transforms/unicode_table.py makes it."""
PACKED = (
{lines})
'''


if __name__ == '__main__':
    assert unicodedata.unidata_version == VERSION, f'needs Unicode {VERSION}: Python 3.11'
    FILE.write_text(source(), encoding='utf-8')
