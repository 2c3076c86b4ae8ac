from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import OverlapError
from pipeline.write.chunks import Chunk, Position, decode_chunk, encode_chunk, encode_loose_chunk, join_chunks

BIG = 49_590_338_271_490_256_608_559_692_538_361_571_095_921_575_989_136_588_898


def at(sequence: int, index: int = 0, shard: str = 'shardId-0', sub: int = 0) -> Position:
    return Position('app', shard, sequence, sub, index)


def chunk(first: int, last: int, shard: str = 'shardId-0') -> bytes:
    """Return a chunk whose lines are their own sequence numbers."""
    lines = [str(number).encode() for number in range(first, last + 1)]
    return encode_chunk(at(first, shard=shard), at(last, shard=shard), lines)


def test_a_chunk_is_decoded_with_sequence_numbers_over_64_bits() -> None:
    encoded = encode_chunk(at(BIG), at(BIG + 1, 3), [b'{"a":1}', b'', b'{}'])

    assert decode_chunk(encoded) == [Chunk(at(BIG), at(BIG + 1, 3), 3, b'{"a":1}\n\n{}\n')]


def test_a_loose_chunk_is_decoded_line_by_line() -> None:
    encoded = encode_loose_chunk([at(BIG, 1), at(2)], [b'{"a":1}', b'{}'])

    assert decode_chunk(encoded) == [Chunk(at(BIG, 1), at(BIG, 1), 1, b'{"a":1}\n'), Chunk(at(2), at(2), 1, b'{}\n')]


def test_chunks_are_joined_in_stream_order_whatever_order_they_arrive_in() -> None:
    chunks = [chunk(9, 10), chunk(100, 101), chunk(1, 2), chunk(3, 3, 'shardId-1')]

    assert join_chunks(chunks) == (b'1\n2\n9\n10\n100\n101\n3\n', 7)
    assert join_chunks(reversed(chunks)) == (b'1\n2\n9\n10\n100\n101\n3\n', 7)


def test_sequence_numbers_compare_as_numbers_not_as_text() -> None:
    assert join_chunks([chunk(10, 10), chunk(9, 9)]) == (b'9\n10\n', 2)


def test_documents_and_sub_records_of_one_record_keep_their_order() -> None:
    chunks = [encode_chunk(at(1, 0, sub=1), at(1, 4, sub=1), [b'c']), encode_chunk(at(1, 2), at(1, 3), [b'b']),
              encode_chunk(at(1, 0), at(1, 1), [b'a'])]

    assert join_chunks(chunks) == (b'a\nb\nc\n', 3)


@pytest.mark.parametrize('chunks', [
    [chunk(1, 3), chunk(3, 4)], [chunk(1, 9), chunk(4, 5)], [chunk(1, 1), chunk(1, 1)],
    [encode_loose_chunk([at(1), at(2)], [b'a', b'b']), encode_loose_chunk([at(2)], [b'b'])]],
    ids=['at the border', 'within', 'the same', 'the same line'])
def test_overlapping_chunks_are_an_error(chunks: list[bytes]) -> None:
    with pytest.raises(OverlapError, match='two chunks of shard shardId-0 of stream app overlap at sequence number '):
        join_chunks(chunks)


def test_the_lines_of_loose_chunks_may_alternate() -> None:
    chunks = [encode_loose_chunk([at(1), at(9)], [b'1', b'9']), encode_loose_chunk([at(4, 1), at(2)], [b'4', b'2'])]

    assert join_chunks(chunks) == (b'1\n2\n4\n9\n', 4)


@given(st.data(), st.lists(st.integers(0, 60), unique=True, min_size=1))
def test_an_object_does_not_depend_on_how_its_lines_are_spread_over_chunks(data: st.DataObject,
                                                                           sequences: list[int]) -> None:
    ordered = sorted(sequences)
    cuts = sorted(data.draw(st.sets(st.integers(1, max(1, len(ordered) - 1)))))
    pieces = [piece for start, end in zip([0, *cuts], [*cuts, len(ordered)], strict=True)
              if (piece := ordered[start:end])]
    strict = [encode_chunk(at(piece[0]), at(piece[-1]), [str(number).encode() for number in piece])
              for piece in pieces]
    mixed = data.draw(st.permutations(ordered))
    loose = [encode_loose_chunk([at(number) for number in part], [str(number).encode() for number in part])
             for part in (mixed[:len(mixed) // 2], mixed[len(mixed) // 2:])]

    expected = b''.join(b'%d\n' % number for number in ordered), len(ordered)

    assert join_chunks(data.draw(st.permutations(strict))) == expected
    assert join_chunks(loose) == expected
