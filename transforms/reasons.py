"""Explain why a fragment of a record is no document: an error code, and a message without any payload."""
from __future__ import annotations

import re

import msgspec

from transforms.decode import REFUSED, LenientDecoder
from transforms.scan import Span, is_container, prune, value_at

NO_DOCUMENT = 'no valid JSON document starts here'
#: Literals of other languages. They show what the producer did wrong, and are no payload.
_LITERALS = re.compile(rb'-?(?:NaN|Infinity|undefined|None|True|False|nan|nil)\b')
#: A word that begins like null, true or false. The parser reads as many bytes before it finds that it is another one.
_WORD = re.compile(rb'(?<=[:,\[\s])(?!(?:null|true|false)\b)[ntf]\w*')
#: Plainer words for some of the parser's reasons.
_PLAINER = {
    'trailing comma in object': 'a comma before }', 'trailing comma in array': 'a comma before ]',
    'Input data was truncated': 'cut off', 'Integer value out of range': 'an integer of more than 4,300 digits'}
#: For these reasons the parser names the byte after the one it means.
_ONE_PAST = frozenset({'trailing characters', 'invalid escape character in string'})
_CONTROLS = frozenset(bytes([byte]) for byte in range(32))  # these are malformed inside a text
_PARSER = re.compile(r'(?:JSON is malformed: )?(.+?)(?: \(byte ([0-9]+)\))?(?: - at `.*)?', re.DOTALL)
_KINDS = {b'[': 'an array', b'"': 'a text', b't': 'a boolean', b'f': 'a boolean', b'n': 'null'}


def reason_of(data: bytes, offset: int, span: Span | None) -> tuple[str, str]:
    """Return the error code and a message for people, for what is malformed at `offset` of a record.

    `span` is that of the object or array there, or None if there is none or it is not closed. The message counts bytes
    from `offset`, where the fragment begins.

    >>> reason_of(b'{"a":1}{"b":NaN}{"c":2}', 7, Span(7, 16, 1))
    ('invalid-json', 'no valid JSON document starts here: NaN is no JSON (byte 5)')
    """
    if not data.startswith(b'{', offset):
        value = span or value_at(data, offset)
        if value and _is_json(data, value):
            kind = _KINDS.get(data[offset:offset + 1], 'a number')
            return 'not-an-object', f'a JSON value that is not an object: {kind}'
    fragment = data[offset:span.end] if span else data[offset:]
    try:
        fragment.decode()
    except UnicodeDecodeError as error:
        return 'invalid-utf8', f'{NO_DOCUMENT}: byte 0x{fragment[error.start]:02X} is not UTF-8 (byte {error.start})'
    return 'invalid-json', f'{NO_DOCUMENT}: {_syntax(fragment)}'


def _is_json(data: bytes, span: Span) -> bool:
    try:
        _decode(prune(data, span))
    except REFUSED:
        return False
    return True


def _syntax(fragment: bytes) -> str:
    """Return why the parser refuses a fragment, and at which byte."""
    try:
        _decode(fragment)
    except RecursionError:
        return 'nested too deeply for the parser, and malformed'
    except ValueError as error:
        found = _PARSER.fullmatch(str(error))
        return _worded(fragment, *found.groups()) if found else 'malformed'
    return 'malformed'


def _worded(fragment: bytes, reason: str, byte: str | None) -> str:
    if byte is None:  # the parser means the end of the fragment, or no byte at all
        at_end = f' (byte {len(fragment)})' if reason == 'Input data was truncated' else ''
        return _PLAINER.get(reason, reason) + at_end
    at = int(byte) - (reason in _ONE_PAST)
    if reason == 'invalid character' and fragment[at:at + 1] not in _CONTROLS:
        at = max((word.start() for word in _WORD.finditer(fragment, max(0, at - 6), at)), default=at)
    literal = _LITERALS.match(fragment, at - 1 if fragment[at - 1:at] == b'-' else at)
    if literal:
        return f'{literal[0].decode()} is no JSON (byte {literal.start()})'
    return f'{_PLAINER.get(reason, reason)} (byte {at})'


def _decode(value: bytes) -> None:
    if is_container(value, 0):
        LenientDecoder().decode_container(value)
    else:
        msgspec.json.decode(value)
