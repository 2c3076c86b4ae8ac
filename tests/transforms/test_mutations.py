"""Change one byte of a record: every document that comes out is an original one, or the changed bytes alone give it."""
from __future__ import annotations

import json
import os
import random

import pytest

from pipeline.local.events import sample_records
from transforms import split_record
from transforms.scan import containers_in

NOW_MS = 1_795_429_025_117
#: 100,000 take twenty seconds.
MUTATIONS = int(os.environ.get('MMP_MUTATIONS', '20000'))
#: The new bytes: brackets, quotes and separators, which change the structure, and bytes of other encodings.
BYTES = b'{}[]"\\,: \n\x000aN\xe9\xff'


def documents_of(data: bytes) -> set[str]:
    return {json.dumps(document) for document in split_record(data).documents}


def mutated(rng: random.Random, data: bytes) -> tuple[bytes, int, int]:
    """Replace, insert or delete a byte. Return the record, the index, and by how many bytes it is longer."""
    index, byte = rng.randrange(len(data)), bytes([rng.choice(BYTES)])
    kind = rng.randrange(3)
    return data[:index] + (b'' if kind == 2 else byte) + data[index + (kind != 1):], index, (0, 1, -1)[kind]


@pytest.mark.timeout(240)
def test_mutated_records_give_no_document_that_nobody_sent() -> None:
    rng = random.Random(2026)
    records = [(sample.data, documents_of(sample.data)) for sample in sample_records(1500, NOW_MS)
               if len(sample.ids) > 1 and not sample.broken]
    alone = whole = 0
    for _ in range(MUTATIONS):
        data, sent = rng.choice(records)
        changed, index, longer = mutated(rng, data)
        split = split_record(changed)
        alone += bool(split.skipped)
        whole += split.rest is not None
        lines = {json.dumps(document) for document in split.documents} - sent
        if lines:
            # A byte may make another good document. Then its own bytes, without their neighbours, give it too.
            span = next(span for span in containers_in(data) if index < span.end)
            assert lines <= documents_of(changed[span.start:span.end + longer]), changed
    assert min(alone, whole) > MUTATIONS // 7  # both kinds of fragments occur often
