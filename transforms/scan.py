"""Where JSON values end and how deep they nest, found without recursion and in linear time.

The scanner knows strings and brackets and nothing else of JSON: what it delimits, a parser still has to accept.
"""
from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

#: The top object is level 1; a container below this one, even an empty one, is too deep.
LEVELS = 64

# Possessive throughout: a record of nothing but quotes, or without the closing one, is walked over once.
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_NO_BRACKET = rb'[^"{}\[\]]*+(?:' + _STRING + rb'[^"{}\[\]]*+)*+'
_FLAT = rb'\{' + _NO_BRACKET + rb'\}'
_FLAT_OBJECT = re.compile(_FLAT, re.DOTALL)
# Objects of up to 24 levels, as nearly all events are: a run of them is passed over in C, flat ones twice as fast.
_INNER = rb'[{\[]' + _NO_BRACKET + rb'[}\]]'
for _ in range(23):
    _INNER = rb'[{\[]' + _NO_BRACKET + rb'(?:' + _INNER + _NO_BRACKET + rb')*+[}\]]'
_SHALLOW_RUN = re.compile(rb'(?:[ \t\r\n]*+(?:' + _FLAT + rb'|(?=\{)' + _INNER + rb')){1,1000}+', re.DOTALL)
_BRACKETS = re.compile(_NO_BRACKET + rb'(?:([{\[]++)|([}\]]++))', re.DOTALL)
_SCALAR = re.compile(_STRING + rb'|[-+.0-9A-Za-z]++', re.DOTALL)
_WHITE = re.compile(rb'[ \t\r\n]*+')
#: A byte order mark; RFC 8259 lets a parser pass over one before a document.
BOM = b'\xef\xbb\xbf'
_BETWEEN = re.compile(rb'(?:[ \t\r\n]|' + BOM + rb')*+')


class Span(NamedTuple):
    """Where a value stands: data[start:end]; `depth` is its levels of containers, empty ones too.

    `cuts` are the places of the containers below the last level that was asked for.
    """

    start: int
    end: int
    depth: int
    cuts: Sequence[tuple[int, int]] = ()


def skip_white(data: bytes, at: int) -> int:
    """Give the place of the first byte from `at` on that is not JSON's white space.

    >>> skip_white(b'{} {}', 2)
    3
    """
    found = _WHITE.match(data, at)
    return found.end() if found else at


def skip_between(data: bytes, at: int) -> int:
    """Return the place of the first byte from `at` on that is neither white space nor of a byte order mark.

    >>> skip_between(b'{} \\xef\\xbb\\xbf{}', 2)
    6
    """
    found = _BETWEEN.match(data, at)
    return found.end() if found else at


def shallow_run(data: bytes, at: int) -> int:
    """Give the end of the next thousand objects of up to 24 levels, or of as many as stand there; `at` for none.

    >>> shallow_run(b'{"a":1} {"b":"}{"}{"c":[}', 0)
    18
    """
    found = _SHALLOW_RUN.match(data, at)
    return found.end() if found else at


def is_container(data: bytes, at: int) -> bool:
    """Return whether an object or an array seems to start at `at`."""
    return data.startswith((b'{', b'['), at)


def containers_in(data: bytes, at: int = 0) -> Iterator[Span]:
    """Yield the span of each top-level object or array from `at` on, up to the first thing that is none or not closed.

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
    """Delimit the value that starts at `start`; None where its end cannot be told.

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
    level = depth = cut = 0
    cuts: list[tuple[int, int]] = []
    at = start
    while run := _BRACKETS.match(data, at):
        kind = run.lastindex or 0
        first, at = run.span(kind)
        after = level + at - first if kind == 1 else level - at + first
        if after > depth:
            depth = after
        if level <= levels < after:
            cut = first + levels - level
        elif after <= levels < level:
            cuts.append((cut, first + level - levels))
        if after <= 0:
            return Span(start, first + level, depth, cuts)
        level = after
    return None


def prune(data: bytes, span: Span) -> bytes:
    """Give a value with an empty array in the place of every container below the last level.

    >>> prune(b'{"a":[1,{"b":[2]}],"c":{}}', Span(0, 26, 4, [(8, 17)]))
    b'{"a":[1,[]],"c":{}}'
    """
    pieces, at = [], span.start
    for start, end in span.cuts:
        pieces += [data[at:start], b'[]']
        at = end
    return b''.join(pieces) + data[at:span.end]
