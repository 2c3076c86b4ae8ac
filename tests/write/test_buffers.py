from __future__ import annotations

import pytest

from pipeline.write.buffers import LineBuffers
from pipeline.write.chunks import decode_chunk
from transforms import Origin

WINDOW = 1_763_893_500_000


def origin(sequence: int, shard: str = 'shardId-0', window_ms: int = WINDOW, sub: int = 0) -> Origin:
    return Origin('app', shard, str(sequence), sub, 'key', window_ms + 1, '', window_ms, 0)


def test_a_full_chunk_is_emitted_and_the_next_line_begins_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('pipeline.write.buffers.CHUNK_BYTES', 10)
    buffers = LineBuffers()

    full = [[decode_chunk(keyed.value[1]) for keyed in buffers.add('a', origin(number), 0, line)]
            for number, line in enumerate([b'12345', b'1234', b'1', b'x'])]

    assert [len(chunks) for chunks in full] == [0, 0, 1, 0]
    assert full[2][0][0].body == b'12345\n1234\n1\n'
    assert [decode_chunk(keyed.value[1])[0].body for keyed in buffers.flush()] == [b'x\n']
    assert list(buffers.flush()) == []


def test_a_full_bundle_emits_all_of_its_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('pipeline.write.buffers.BUNDLE_BYTES', 10)
    buffers = LineBuffers()

    full = [[keyed.value[0] for keyed in buffers.add(path, origin(number), 0, line)]
            for number, (path, line) in enumerate([('a', b'12345'), ('b', b'1234'), ('a', b'1'), ('a', b'x')])]

    assert full == [[], [], [b'a', b'b'], []]
    assert [keyed.value[0] for keyed in buffers.flush()] == [b'a']
