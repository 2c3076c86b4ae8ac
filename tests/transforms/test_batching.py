from __future__ import annotations

import apache_beam as beam
import pytest

from transforms import Failure, Origin, Record
from transforms.batching import RecordCoder

ORIGIN = Origin('app', 'shardId-0', '49590338271490256608559692538361571095', 3, 'key', 1, 'ios', 2, 4)


@pytest.mark.parametrize(('value', 'size'), [
    (Record(ORIGIN, b'{"a":1}{', [{'a': 1}], [0], 1, True, [{'b': None}]), 8),
    (Failure(ORIGIN, 'split', 'invalid-json', 'no JSON', b'{"\xff', 1, 7), 3)])
def test_elements_survive_the_coder_and_their_size_is_that_of_their_bytes(value: Record | Failure, size: int) -> None:
    coder = beam.coders.registry.get_coder(Record)

    assert type(coder) is RecordCoder
    assert coder.decode(coder.encode(value)) == value
    assert type(coder.decode(coder.encode(value))) is type(value)
    assert coder.estimate_size(value) == size
