"""Find where JSON values end and how deep they nest, without recursion and in linear time.

The scanner knows only the strings and brackets of JSON. What it delimits may still be malformed: a parser decides.
"""
from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

#: The top object is level 1; a container below this one, even an empty one, is too deep.
LEVELS = 64

# Every quantifier is possessive, so a record of nothing but quotes, or with an unclosed quote, is scanned only once.
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_NO_BRACKET = rb'[^"{}\[\]]*+(?:' + _STRING + rb'[^"{}\[\]]*+)*+'
_FLAT = rb'\{' + _NO_BRACKET + rb'\}'
_FLAT_OBJECT = re.compile(_FLAT, re.DOTALL)
# Objects of up to 24 levels, which nearly all events are. A run of them is skipped in C; flat ones twice as fast.
_INNER = rb'[{\[]' + _NO_BRACKET + rb'[}\]]'
for _ in range(23):
    _INNER = rb'[{\[]' + _NO_BRACKET + rb'(?:' + _INNER + _NO_BRACKET + rb')*+[}\]]'
_SHALLOW_RUN = re.compile(rb'(?:[ \t\r\n]*+(?:' + _FLAT + rb'|(?=\{)' + _INNER + rb')){1,1000}+', re.DOTALL)
_BRACKETS = re.compile(_NO_BRACKET + rb'(?:([{\[]++)|([}\]]++))', re.DOTALL)
_OPENING, _CLOSING = 1, 2  # its groups
_SCALAR = re.compile(_STRING + rb'|[-+.0-9A-Za-z]++', re.DOTALL)
_WHITE = re.compile(rb'[ \t\r\n]*+')
#: A byte order mark. RFC 8259 allows a parser to skip one before a document.
BOM = b'\xef\xbb\xbf'
_BETWEEN = re.compile(rb'(?:[ \t\r\n]|' + BOM + rb')*+')


class Span(NamedTuple):
    """The bytes of a value, data[start:end]. `depth` is its number of levels; empty containers count.

    `cuts` holds the start and end of each container below the last level that was asked for.
    """

    start: int
    end: int
    depth: int
    cuts: Sequence[tuple[int, int]] = ()


def skip_white(data: bytes, at: int) -> int:
    """Return the index of the first byte from `at` on that is not JSON's white space.

    >>> skip_white(b'{} {}', 2)
    3
    """
    found = _WHITE.match(data, at)
    return found.end() if found else at


def skip_between(data: bytes, at: int) -> int:
    """Return the index of the first byte from `at` on that is neither white space nor part of a byte order mark.

    >>> skip_between(b'{} \\xef\\xbb\\xbf{}', 2)
    6
    """
    found = _BETWEEN.match(data, at)
    return found.end() if found else at


def shallow_run(data: bytes, at: int) -> int:
    """Return the end of the next objects of up to 24 levels, a thousand at most. Return `at` if there are none.

    >>> shallow_run(b'{"a":1} {"b":"}{"}{"c":[}', 0)
    18
    """
    found = _SHALLOW_RUN.match(data, at)
    return found.end() if found else at


def is_container(data: bytes, at: int) -> bool:
    """Return whether an object or an array seems to start at `at`."""
    return data.startswith((b'{', b'['), at)


def containers_in(data: bytes, at: int = 0) -> Iterator[Span]:
    """Yield the span of each top-level object or array from `at` on. Stop at anything else, and at an unclosed one.

    >>> list(containers_in(b'{"a":[{}]} {"b":"}{"}x{}'))
    [Span(start=0, end=10, depth=3, cuts=[]), Span(start=11, end=21, depth=1, cuts=())]
    """
    start = skip_between(data, at)
    while is_container(data, start):
        span = value_at(data, start)
        if span is None:
            return
        yield span
        start = skip_between(data, span.end)


def value_at(data: bytes, start: int, levels: int = LEVELS) -> Span | None:
    """Return the span of the value that starts at `start`, or None if it has no end.

    >>> value_at(b'[[],{}]', 0, levels=1), value_at(b'[[],{}]true', 7), value_at(b'{"a', 0)
    (Span(start=0, end=7, depth=2, cuts=[(1, 3), (4, 6)]), Span(start=7, end=11, depth=0, cuts=()), None)
    """
    found = _FLAT_OBJECT.match(data, start)
    if found:
        return Span(start, found.end(), 1)
    if is_container(data, start):
        return _container_at(data, start, levels)
    found = _SCALAR.match(data, start)
    return Span(start, found.end(), 0) if found else None


def _container_at(data: bytes, start: int, levels: int) -> Span | None:
    """Count brackets, one run of the same kind at a time, until the container that opens at `start` is closed.

    In `[[{}],1]` the run `[[{` opens the levels 1 to 3, `}]` closes 3 and 2, and `]` closes 1.
    """
    level = depth = cut_start = 0
    cuts: list[tuple[int, int]] = []
    end = start
    while run := _BRACKETS.match(data, end):
        if run.lastindex == _OPENING:
            first, end = run.span(_OPENING)
            opened = level + end - first
            if level <= levels < opened:
                cut_start = first + levels - level  # the bracket that opens the first level to cut
            level = opened
            if level > depth:
                depth = level
        else:
            first, end = run.span(_CLOSING)
            closed = level - (end - first)
            if closed <= levels < level:
                cuts.append((cut_start, first + level - levels))
            if closed <= 0:
                return Span(start, first + level, depth, cuts)
            level = closed
    return None


def prune(data: bytes, span: Span) -> bytes:
    """Return the bytes of a value with `[]` in place of every container below the last level.

    >>> prune(b'{"a":[1,{"b":[2]}],"c":{}}', Span(0, 26, 4, [(8, 17)]))
    b'{"a":[1,[]],"c":{}}'
    """
    pieces, at = [], span.start
    for start, end in span.cuts:
        pieces += [data[at:start], b'[]']
        at = end
    return b''.join(pieces) + data[at:span.end]
