"""Chunks: lines of one shard for one object, with the position of the first and the last one.

Only chunks cross the shuffle. One chunk is a JSON header, a newline, and lines that each end in a newline.
"""
from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import orjson

SEPARATOR = b'\n'


class Position(NamedTuple):
    """Where a line came from; compares in stream order, the sequence number as the integer it is."""

    stream: str
    shard: str
    sequence: int
    sub_sequence: int
    index: int  # type: ignore[assignment]  # hides the method of tuples


class Chunk(NamedTuple):
    """`lines` lines in `body`, from `first` to `last`, both included."""

    first: Position
    last: Position
    lines: int
    body: bytes


class OverlapError(Exception):
    """Two chunks of one object hold the same stretch of a shard: the object would hold lines twice."""


def encode_chunk(first: Position, last: Position, lines: list[bytes]) -> bytes:
    """Join lines (each without its newline) into a chunk; sequence numbers travel as text, they exceed 64 bits."""
    header = orjson.dumps([_texts(first), _texts(last), len(lines)])
    return SEPARATOR.join([header, *lines, b''])


def decode_chunk(data: bytes) -> Chunk:
    """Take a chunk apart again."""
    header, _, body = data.partition(SEPARATOR)
    first, last, lines = orjson.loads(header)
    return Chunk(_position(first), _position(last), lines, body)


def join_chunks(chunks: Iterable[bytes]) -> tuple[bytes, int]:
    """Sort chunks by position and join them: the object's bytes before compression, and its number of lines.

    Raises OverlapError when two chunks of a shard overlap.
    """
    ordered = sorted((decode_chunk(chunk) for chunk in chunks), key=lambda chunk: chunk.first)
    for before, after in zip(ordered, ordered[1:], strict=False):
        if after.first <= before.last:
            raise OverlapError(f'two chunks of shard {after.first.shard} of stream {after.first.stream} overlap '
                               f'at sequence number {after.first.sequence}')
    return b''.join(chunk.body for chunk in ordered), sum(chunk.lines for chunk in ordered)


def _texts(position: Position) -> tuple[str, str, str, int, int]:
    return position.stream, position.shard, str(position.sequence), position.sub_sequence, position.index


def _position(texts: list[str | int]) -> Position:
    stream, shard, sequence, sub_sequence, index = texts
    return Position(str(stream), str(shard), int(sequence), int(sub_sequence), int(index))
