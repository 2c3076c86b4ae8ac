"""What a document may grow to. Its record decides nothing else: the limits are constants of the format.

A document that passes one of them is malformed. Too deep outweighs the other reasons, for a parser may refuse such a
document before it can be measured.
"""
from __future__ import annotations

from typing import Any

import msgspec

from transforms.records import Document, MalformedRecord
from transforms.scan import LEVELS, Span, prune

#: The top object is level 1; event_value counts on.
MAX_LEVELS = LEVELS
#: UTF-8 bytes of a flattened key.
MAX_KEY_BYTES = 1024
#: The lines of a record may take so many times its bytes, and so many bytes more.
MAX_GROWTH = 16
SPARE_BYTES = 64 << 10

#: Of each member of a nested container: the quotes, the colon and the comma in the line.
MEMBER_BYTES = 4
#: A text of at most so many characters cannot pass MAX_KEY_BYTES.
_SURELY_SHORT = MAX_KEY_BYTES // 4

MESSAGES = {
    'too-deep': f'nested deeper than {MAX_LEVELS} levels',
    'key-too-long': f'a flattened key is longer than {MAX_KEY_BYTES} bytes',
    'output-too-large': f'the lines of the record pass {MAX_GROWTH} times its size and {SPARE_BYTES >> 10} KiB',
}


def malformed(code: str) -> MalformedRecord:
    """Make the exception for a limit that is passed; its message is the same for every document."""
    return MalformedRecord(code, MESSAGES[code])


def is_too_deep(value: Any, level: int = 1) -> bool:
    """Tell whether any container in `value`, itself at `level`, lies below MAX_LEVELS. Needs no recursion."""
    left = [(value, level)]
    while left:
        value, level = left.pop()
        if level > MAX_LEVELS:
            return True
        members = value.values() if isinstance(value, dict) else value
        left.extend((member, level + 1) for member in members if isinstance(member, (dict, list)))
    return False


def decode_deep(data: bytes, span: Span, level: int = 1) -> Any:
    """Decode one balanced container, itself at `level`, with cuts below MAX_LEVELS; None where it is too deep.

    Most are. Not if what is too deep was the first of two equal keys: the last wins, here as in the parser.
    """
    try:
        value = msgspec.json.decode(prune(data, span))
    except (ValueError, RecursionError):
        return None
    return None if is_too_deep(value, level) else value


def line_budget(record_bytes: int) -> int:
    """Return how many bytes the lines of a record may take."""
    return MAX_GROWTH * record_bytes + SPARE_BYTES


class Limits:
    """What the documents of one record may still take, estimated while they are flattened.

    This keeps a bomb from taking memory. The lines as they are written are held to `line_budget` once they are encoded.
    Only a repeated key makes more output than there was input, so a nested container is charged when it is entered,
    before its members are made: the bytes of their common prefix, and 4, for each. `left` is what may still be charged.
    """

    def __init__(self, record_bytes: int) -> None:
        self.collisions = 0
        self.left = line_budget(record_bytes)

    def settle(self, event: Document, flat: Document, leaves: int, left: int) -> None:
        """Take a flattened event of so many leaves if its names are short enough; raises MalformedRecord."""
        names = ''.join(flat)
        if (len(names) > MAX_KEY_BYTES or not names.isascii()) and _longest(flat) > MAX_KEY_BYTES:
            raise self.refusal('key-too-long', event)
        self.left = left
        self.collisions += leaves - len(flat)

    def refusal(self, code: str, event: Document) -> MalformedRecord:
        """Give the reason to refuse an event that passes a limit; output that is too large ends its record."""
        if code == 'output-too-large':
            self.left = -1
        return malformed('too-deep' if is_too_deep(event) else code)


def _longest(names: Document) -> int:
    """Give the bytes of the longest name, or its characters where they are too few to matter."""
    characters = max(map(len, names))
    return max(map(utf8_bytes, names)) if characters > _SURELY_SHORT else characters


def utf8_bytes(text: str) -> int:
    """Count the bytes of a text, lone surrogates too."""
    return len(text) if text.isascii() else len(text.encode('utf-8', 'surrogatepass'))
