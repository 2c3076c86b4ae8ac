"""Format what the demo prints: lines of at most WIDTH columns. Pure."""
from __future__ import annotations

import base64
import json
import shlex
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from pipeline.local.accounting import Row
from pipeline.local.contents import KINDS, Contents

WIDTH = 120
LABEL = 9
FOLDER = 55


def command_line(options: Sequence[str]) -> Iterator[str]:
    """Yield the lines of the job's command as one would type it. Lines break before options, never before a value."""
    pieces = ['$ python -m pipeline']
    for option in options:
        if option.startswith('--'):
            pieces.append(option)
        else:
            pieces[-1] += f' {shlex.quote(option)}'
    line = pieces[0]
    for piece in pieces[1:]:
        if len(line) + len(piece) + 3 > WIDTH:
            yield f'{line} \\'
            line = f'   {piece}'
        else:
            line += f' {piece}'
    yield line


def section(title: str) -> Iterator[str]:
    """Yield the heading of a section."""
    yield f'-- {title} '.ljust(WIDTH, '-')


def tree(output: str, contents: Contents) -> Iterator[str]:
    """Yield a row for each folder, with its number of lines. The platforms of an hour share a row."""
    yield output
    for folder, leaves in sorted(_folders(contents).items(), key=lambda item: _order(item[0])):
        counts = '  '.join(f'{leaf} {count:,}'.strip() for leaf, count in sorted(leaves.items()))
        yield f'  {folder:<{FOLDER}} {counts}'
    yield f'  {"manifests/, resume.json":<{FOLDER}} {len(contents.manifests)} flush windows'


def _folders(contents: Contents) -> dict[str, Counter[str]]:
    folders: dict[str, Counter[str]] = defaultdict(Counter)
    for path, lines in contents.lines.items():
        folder, mark, platform = path.rpartition('/')[0].partition('platform=')
        folders[folder + (mark or '/')][platform] += len(lines)
    return folders


def _order(folder: str) -> tuple[int, str]:
    return KINDS.index(folder.split('/', 1)[0]), folder


def labelled(label: str, text: str) -> Iterator[str]:
    """Yield a text next to its label, with long lines cut into rows."""
    width = WIDTH - LABEL
    rows = [line[start:start + width] for line in text.split('\n') for start in range(0, len(line), width)]
    for number, row in enumerate(rows):
        yield f'{"" if number else label:<{LABEL}}{row}'


def error_line(line: bytes) -> Iterator[str]:
    """Yield what an error line says: what is wrong and where, and the fragment."""
    error = json.loads(line)
    where = f'byte {error["fragmentOffset"]:,} of record {error["sequenceNumber"]}, {error["shardId"]}'
    yield from labelled('error', f'{error["errorCode"]}: {error["errorMessage"]} ({where})')
    yield from labelled('rawData', f'{error["rawData"]} = {base64.b64decode(error["rawData"])!r}')


def counts(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the compared counts as a table."""
    yield from table(['', 'put', 'in manifests', 'in objects', ''], [
        [row.name, *('' if count is None else f'{count:,}' for count in (row.put, row.manifests, row.objects)),
         'equal' if row.same else 'DIFFERENT'] for row in rows])


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield rows aligned under a head: the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        first, *others = zip(row, widths, strict=True)
        yield '  '.join([f'{first[0]:<{first[1]}}', *(f'{cell:>{width}}' for cell, width in others)]).rstrip()
