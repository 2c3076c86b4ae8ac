"""Measure the kernel against the Lambda handler and the plain draft, and compare their lines."""
from __future__ import annotations

import gc
import json
import math
from collections.abc import Iterator

from tests.bench.documents import SIZES, documents, records
from tests.bench.kernel import AS_THEY_ARE, draft, ours, timed
from tests.bench.node import Lambda
from tests.bench.rounds import Row, take_turns

#: Documents per batch on both sides. The Lambda is invoked with this many records of one document each.
BATCH = 100
TARGETS = {'small': 1.3, 'medium': 1.3, 'wide': 1.8}


def kernel_rows(count: int, rounds: int) -> Iterator[Row]:
    """Measure 1, 5 and 50 documents per record. The Lambda has one per record, and renames nothing."""
    gc.collect()
    gc.freeze()  # as a worker does, see pipeline/gc_tuning.py
    with Lambda() as handler:
        for size in SIZES:
            made = list(documents(size, count))
            handler.load(made)
            candidates = {'lambda': handler.run, 'draft': timed(draft, made, BATCH)}
            for each in (1, 5, 50):
                candidates[f'{each}'] = timed(ours, list(records(iter(made), each)), BATCH // each)
            candidates['as they are'] = timed(
                lambda batch: ours(batch, AS_THEY_ARE), list(records(iter(made), 5)), BATCH // 5)
            measured = take_turns(candidates, rounds)
            yield Row('kernel', f'{size}, 5 a record, names left alone as the Lambda does: speed against it',
                      1 / measured.ratio('as they are', 'lambda'), 'x', f'>= {TARGETS[size]}')
            for each in (1, 5, 50):
                seconds = measured.median(f'{each}')
                note = f'{seconds / count * 1e6:.1f} us a document'
                yield Row('kernel', f'{size}, {each} a record: speed against the Lambda handler',
                          1 / measured.ratio(f'{each}', 'lambda'), 'x', f'>= {TARGETS[size]}', note)
                yield Row('kernel', f'{size}, {each} a record: speed against the plain draft',
                          1 / measured.ratio(f'{each}', 'draft'), 'x', '>= 3')


def equality_rows(count: int) -> Iterator[Row]:
    """Compare each line, without renaming, with that of the Lambda handler."""
    with Lambda() as handler:
        for size in SIZES:
            made = list(documents(size, count, seed=2))
            handler.load(made)
            pairs = list(zip(handler.lines(), ours(records(iter(made), 5), AS_THEY_ARE), strict=True))
            spelt = sum(theirs != mine for theirs, mine in pairs)
            wrong = sum(not same_but_for_spelling(theirs, mine) for theirs, mine in pairs)
            yield Row('equality', f'{size}: lines that differ from the Lambda handler\'s', wrong, f'of {count}', '= 0',
                      f'{spelt} spell a number in another way (12.0 for 12)')


def same_but_for_spelling(theirs: bytes, mine: bytes) -> bool:
    """Return whether two lines have the same members in the same order.

    Numbers may be spelt differently, and null stands for the Lambda's empty containers.
    """
    if theirs == mine:
        return True
    left, right = json.loads(theirs), json.loads(mine)
    return list(left) == list(right) and all(_same(left[key], right[key]) for key in left)


def _same(theirs: object, mine: object) -> bool:
    if theirs in ({}, []):
        return mine is None
    if isinstance(theirs, (int, float)) and isinstance(mine, (int, float)):
        return math.isclose(theirs, mine, rel_tol=0) and isinstance(theirs, bool) == isinstance(mine, bool)
    return type(theirs) is type(mine) and theirs == mine
