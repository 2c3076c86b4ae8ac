"""The limits of a document: its levels, the length of its keys, and how much its record may grow.

The limits are constants of the format. A document that exceeds one of them is malformed. If it exceeds several, the
reason is `too-deep`, because a parser may refuse such a document before it can be measured.
"""
from __future__ import annotations

from typing import Any

import msgspec

from transforms.records import Document, MalformedRecord
from transforms.scan import LEVELS, Span, prune

#: The top object is level 1. The levels inside `event_value` are added to it.
MAX_LEVELS = LEVELS
#: Of a flattened key, in UTF-8.
MAX_KEY_BYTES = 1024
#: The lines of a record may take MAX_GROWTH times its bytes, and SPARE_BYTES more; but not over SMALL_GROWTH times its
#: bytes, so that many small records cannot grow more than that together.
MAX_GROWTH = 16
SPARE_BYTES = 64 << 10
SMALL_GROWTH = 20
#: So many error lines of one type a record may have from one stage. The last one stands for all further documents.
MAX_ERROR_LINES = 100

#: What a member of a nested container adds to the line besides its key and value: quotes, a colon and a comma.
MEMBER_BYTES = 4
#: A text of at most this many characters cannot exceed MAX_KEY_BYTES.
_SURELY_SHORT = MAX_KEY_BYTES // 4

MESSAGES = {
    'too-deep': f'nested deeper than {MAX_LEVELS} levels',
    'key-too-long': f'a flattened key is longer than {MAX_KEY_BYTES} bytes',
    'output-too-large': f'the lines of the record pass {SMALL_GROWTH} times its size, or {MAX_GROWTH} times and '
                        f'{SPARE_BYTES >> 10} KiB',
}


def malformed(code: str) -> MalformedRecord:
    """Make the exception for an exceeded limit. Its message is the same for every document."""
    return MalformedRecord(code, MESSAGES[code])


def is_too_deep(value: Any, level: int = 1) -> bool:
    """Return whether any container in `value`, which is at `level` itself, is below MAX_LEVELS. Use no recursion."""
    stack = [(value, level)]
    while stack:
        value, level = stack.pop()
        if level > MAX_LEVELS:
            return True
        members = value.values() if isinstance(value, dict) else value
        stack.extend((member, level + 1) for member in members if isinstance(member, (dict, list)))
    return False


def decode_deep(data: bytes, span: Span, level: int = 1) -> Any:
    """Decode a balanced container, which is at `level` itself. Return None if it is too deep.

    `span` has cuts below MAX_LEVELS. A container with cuts may still be fine: if the value that is too deep belongs to
    the first of two equal keys, the last one replaces it, as in the parser.
    """
    try:
        value = msgspec.json.decode(prune(data, span))
    except (ValueError, RecursionError):
        return None
    return None if is_too_deep(value, level) else value


def line_budget(record_bytes: int) -> int:
    """Return how many bytes the lines of a record of `record_bytes` may take."""
    return min(SMALL_GROWTH * record_bytes, MAX_GROWTH * record_bytes + SPARE_BYTES)


class Limits:
    """How many bytes the documents of one record may still take, estimated while they are flattened.

    The estimate keeps a bomb from filling the memory; the encoded lines are checked against `line_budget` again. Output
    outgrows input only by repeating keys. So a nested container is charged when it is entered, before its members are
    made: for each member but the first the bytes of their common prefix, and MEMBER_BYTES. The first one takes the
    place of the container itself, and adds its key only, which the record has. `left` is what may still be charged,
    and `collisions` counts the leaves that another leaf of the same name replaced.
    """

    def __init__(self, record_bytes: int) -> None:
        self.collisions = 0
        self.left = line_budget(record_bytes)

    def settle(self, event: Document, flat: Document, leaves: int, left: int) -> None:
        """Accept a flattened event of `leaves` leaves, after which `left` bytes are left.

        Raise MalformedRecord if one of its names is too long.
        """
        names = ''.join(flat)
        if (len(names) > MAX_KEY_BYTES or not names.isascii()) and _longest(flat) > MAX_KEY_BYTES:
            raise self.refusal('key-too-long', event)
        self.left = left
        self.collisions += leaves - len(flat)

    def refusal(self, code: str, event: Document) -> MalformedRecord:
        """Return the exception for an event that exceeds a limit. Output that is too large ends the record."""
        if code == 'output-too-large':
            self.left = -1
        return malformed('too-deep' if code == 'too-deep' or is_too_deep(event) else code)


def _longest(names: Document) -> int:
    """Return the bytes of the longest name, or its characters if they are too few to matter."""
    characters = max(map(len, names))
    return max(map(utf8_bytes, names)) if characters > _SURELY_SHORT else characters


def utf8_bytes(text: str) -> int:
    """Return the number of bytes of a text. Lone surrogates count too."""
    return len(text) if text.isascii() else len(text.encode('utf-8', 'surrogatepass'))
