"""Decode JSON as JavaScript's `JSON.parse` does, for data that the strict parser refuses.

The strict parser refuses two things that RFC 8259 allows: an escape of half a surrogate pair, and a number beyond the
range of a double. Producers send both, and `JSON.parse` reads both. Here they are replaced and counted.
"""
from __future__ import annotations

import functools
import math
import re
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from transforms.records import Document

T = TypeVar('T')

#: What the decoders raise: msgspec's own errors are ValueErrors, and so is that for bytes that are not UTF-8.
REFUSED = (ValueError, RecursionError)
#: The most digits of an integer: a longer one is no valid JSON here. It is the parser's own limit.
MAX_DIGITS = 4300
# Python's limit is the same, unless the environment lowers it (PYTHONINTMAXSTRDIGITS): which documents are valid must
# not depend on that.
if 0 < sys.get_int_max_str_digits() < MAX_DIGITS:
    sys.set_int_max_str_digits(MAX_DIGITS)
_LONE, _HUGE = 'lone_surrogates', 'huge_numbers'
# A pair, half of a pair, or any other escape. An escaped backslash is one too, so `\\ud800` stays as it is.
_ESCAPE = re.compile(rb'\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}'
                     rb'|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)', re.DOTALL)


class LenientDecoder:
    """Decode JSON objects. A lone surrogate becomes U+FFFD, and a number beyond a double becomes None.

    `mended` counts both, as `lone_surrogates` and `huge_numbers`, in data that was decoded completely.

    >>> decoder = LenientDecoder()
    >>> decoder.decode_lines(b'{"a":"\\\\ud83d!"}{"b":[1e400]}'), dict(decoder.mended)
    ([{'a': '\ufffd!'}, {'b': [None]}], {'lone_surrogates': 1, 'huge_numbers': 1})
    """

    def __init__(self) -> None:
        self.mended = Counter[str]()
        self._huge = 0

    # Making a decoder takes longer than decoding a small document, and few records need both.
    @functools.cached_property
    def _objects(self) -> msgspec.json.Decoder[Document]:
        return msgspec.json.Decoder(dict[str, Any], float_hook=self._float)

    @functools.cached_property
    def _container(self) -> msgspec.json.Decoder[Document | list[Any]]:
        return msgspec.json.Decoder(dict[str, Any] | list[Any], float_hook=self._float)

    def decode_lines(self, data: bytes) -> list[Document]:
        """Decode concatenated objects. Raise one of REFUSED if any part is malformed."""
        return self._decode(self._objects.decode_lines, data)

    def decode_container(self, data: bytes) -> Document | list[Any]:
        """Decode one object or array. Raise one of REFUSED if it is malformed."""
        value: Document | list[Any] = self._decode(self._container.decode, data)
        return value

    def _decode(self, decode: Callable[[bytes], T], data: bytes) -> T:
        data, lone = _without_lone_surrogates(data)
        self._huge = 0
        value = decode(data)
        if lone or self._huge:
            self.mended += Counter({_LONE: lone, _HUGE: self._huge})  # `+=` drops counts of 0
        return value

    def _float(self, text: str) -> float | None:
        number = float(text)
        if math.isinf(number):
            self._huge += 1
            return None
        return number


def _without_lone_surrogates(data: bytes) -> tuple[bytes, int]:
    """Replace each half of a pair by `\\ufffd`, which is as long. Return the data and the number of replacements."""
    if b'\\ud' not in data and b'\\uD' not in data:
        return data, 0
    lone = 0

    def replace(escape: re.Match[bytes]) -> bytes:
        nonlocal lone
        lone += escape[1] is not None
        return escape[0] if escape[1] is None else b'\\ufffd'

    return _ESCAPE.sub(replace, data), lone
