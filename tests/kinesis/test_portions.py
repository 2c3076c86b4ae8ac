from __future__ import annotations

import pytest

from pipeline.kinesis.deaggregate import PORTION_BYTES, portions
from pipeline.source import Batch, RawRecord

HALF = PORTION_BYTES // 2


@pytest.mark.parametrize(('sizes', 'expected'), [
    ([], []), ([0], [1]), ([HALF, HALF], [2]), ([HALF, HALF, 1], [2, 1]), ([PORTION_BYTES * 3, 1, 1], [1, 2]),
    ([1] * 5, [5]), ([HALF, PORTION_BYTES], [2])])
def test_a_batch_passes_in_portions_of_64_kib_each_record_once_in_order(sizes: list[int], expected: list[int]) -> None:
    records = [RawRecord(str(place), 1, None, b'x' * size) for place, size in enumerate(sizes)]
    batch = Batch('app', 'shardId-0', 300_000, 7, records)

    cut = list(portions(batch))

    assert [len(portion.records) for portion in cut] == expected
    assert [record for portion in cut for record in portion.records] == records
    assert {portion[:4] for portion in cut} <= {batch[:4]}
