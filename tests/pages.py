"""The pages of the documentation, and how to take them apart."""
from __future__ import annotations

import pathlib
import re
import shlex

ROOT = pathlib.Path(__file__).parents[1]
FILES = [ROOT / 'README.md', ROOT / 'CHANGELOG.md', ROOT / 'deploy' / 'README.md', *sorted(ROOT.glob('docs/*.md'))]
PAGES = {file.relative_to(ROOT).as_posix(): file.read_text(encoding='utf-8') for file in FILES}
README = PAGES['README.md']
ARCHITECTURE, LAYOUT, OPTIONS, RUNBOOK, RUNNERS = (
    PAGES[f'docs/{name}.md'] for name in ('architecture', 'layout', 'options', 'runbook', 'runners'))
OURS = re.compile(r'^(?:\./run\.sh|python -m pipeline) (?=-)')


def blocks(text: str, language: str) -> list[str]:
    """Return the code blocks of one language, '' for those of none."""
    found = re.findall(r'^```(\w*)\n(.*?)^```$', text, re.MULTILINE | re.DOTALL)
    return [block for name, block in found if name == language]


def section(text: str, title: str) -> str:
    """Return the text under a heading, up to the next heading of any level."""
    return text.partition(f'# {title}\n')[2].partition('\n#')[0]


def rows(text: str) -> list[list[str]]:
    """Return the cells of a table, without its head."""
    lines = [line for line in text.splitlines() if line.startswith('| ')]
    return [[cell.strip() for cell in line.strip('|').split(' | ')] for line in lines[1:]]


def command_lines(text: str) -> list[str]:
    """Return the lines in shell blocks, each with its continuation."""
    return [line for block in blocks(text, 'sh') for line in block.replace('\\\n', ' ').splitlines()
            if not line.startswith('#')]


def commands(text: str) -> list[list[str]]:
    """Return the arguments of each command line of the job in shell blocks."""
    return [shlex.split(OURS.sub('', line)) for line in command_lines(text) if OURS.match(line)]


def headings(text: str) -> list[str]:
    """Return the anchors of a page as GitHub makes them of its headings."""
    titles = re.findall('^#+ (.+)$', re.sub(r'^```.*?^```$', '', text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    return [re.sub(r'[^\w\- ]', '', title.lower()).replace(' ', '-') for title in titles]
