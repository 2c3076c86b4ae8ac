"""Where JSON values end and how deep they nest, found without recursion and in linear time.

The scanner knows strings and brackets and nothing else of JSON: what it delimits, a parser still has to accept.
"""
from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

# Possessive throughout: a record of nothing but quotes, or without the closing one, is walked over once.
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_NO_BRACKET = rb'[^"{}\[\]]*+(?:' + _STRING + rb'[^"{}\[\]]*+)*+'
_FLAT_OBJECT = re.compile(rb'\{' + _NO_BRACKET + rb'\}', re.DOTALL)
# Objects of up to three levels, as most events are: a run of them is passed over in C.
_INNER = rb'[{\[]' + _NO_BRACKET + rb'[}\]]'
for _ in range(2):
    _INNER = rb'[{\[]' + _NO_BRACKET + rb'(?:' + _INNER + _NO_BRACKET + rb')*+[}\]]'
_SHALLOW_RUN = re.compile(rb'(?:[ \t\r\n]*+(?=\{)' + _INNER + rb'){1,1000}+', re.DOTALL)
_BRACKETS = re.compile(_NO_BRACKET + rb'(?:([{\[]++)|([}\]]++))', re.DOTALL)
_SCALAR = re.compile(_STRING + rb'|[-+.0-9A-Za-z]++', re.DOTALL)
_WHITE = re.compile(rb'[ \t\r\n]*+')


class Span(NamedTuple):
    """Where a value stands: data[start:end]; `depth` is its levels of containers, empty ones too."""

    start: int
    end: int
    depth: int


def skip_white(data: bytes, at: int) -> int:
    """Give the place of the first byte from `at` on that is not JSON's white space.

    >>> skip_white(b'{} {}', 2)
    3
    """
    found = _WHITE.match(data, at)
    return found.end() if found else at


def shallow_run(data: bytes, at: int) -> int:
    """Give the end of the next thousand objects of up to three levels, or of as many as stand there; `at` for none.

    >>> shallow_run(b'{"a":1} {"b":"}{"}{"c":[[[]]]}', 0)
    18
    """
    found = _SHALLOW_RUN.match(data, at)
    return found.end() if found else at


def objects_in(data: bytes, at: int = 0) -> Iterator[Span]:
    """Give the span of each top-level object from `at` on, up to the first thing that is none or is not closed.

    >>> list(objects_in(b'{"a":[{}]} {"b":"}{"}x{}'))
    [Span(start=0, end=10, depth=3), Span(start=11, end=21, depth=1)]
    """
    start = skip_white(data, at)
    while data.startswith(b'{', start):
        span = value_at(data, start)
        if span is None:
            return
        yield span
        start = skip_white(data, span.end)


def value_at(data: bytes, start: int) -> Span | None:
    """Delimit the value that starts at `start`; None where its end cannot be told.

    >>> value_at(b'[[],{}]true', 0), value_at(b'[[],{}]true', 7), value_at(b'{"a', 0)
    (Span(start=0, end=7, depth=2), Span(start=7, end=11, depth=0), None)
    """
    found = _FLAT_OBJECT.match(data, start)
    if found:
        return Span(start, found.end(), 1)
    if data[start:start + 1] in (b'{', b'['):
        return _container_at(data, start)
    found = _SCALAR.match(data, start)
    return Span(start, found.end(), 0) if found else None


def _container_at(data: bytes, start: int) -> Span | None:
    level = depth = 0
    at = start
    while run := _BRACKETS.match(data, at):
        kind = run.lastindex or 0
        first, at = run.span(kind)
        if kind == 1:
            level += at - first
            if level > depth:
                depth = level
        elif at - first < level:
            level -= at - first
        else:
            return Span(start, first + level, depth)
    return None


def prune(data: bytes, levels: int) -> bytes:
    """Put an empty array in the place of every container below `levels` of one balanced value.

    >>> prune(b'{"a":[1,{"b":[2]}],"c":{}}', 2)
    b'{"a":[1,[]],"c":{}}'
    """
    pieces = []
    level = copied = 0
    for run in _BRACKETS.finditer(data):
        start, end = run.span(run.lastindex or 0)
        after = level + (end - start if run.lastindex == 1 else start - end)
        if level <= levels < after:
            pieces.append(data[copied:start + levels - level] + b'[]')
        elif after <= levels < level:
            copied = start + level - levels
        level = after
    return b''.join(pieces) + data[copied:]
