"""Measure the memory of a long run in which new platforms, hours and keys keep coming."""
from __future__ import annotations

import json
import os
import pathlib
import random
import statistics
import time
from collections.abc import Iterator

from tests.bench.documents import records
from tests.bench.memory_kinesis import StubCalls
from tests.bench.rounds import Row, say
from tests.bench.whole import run_whole


def memory_rows(seconds: float) -> Iterator[Row]:
    """Run slices for `seconds`, as a continuous job on DirectRunner does, and measure the resident memory."""
    rng, curve, ends = random.Random(1), list[float](), time.monotonic() + seconds
    while len(curve) < 12 or time.monotonic() < ends:
        run_whole(StubCalls(records(_ever_new(rng, 2000), 5), 4, 3_000_000))
        curve.append(_resident_mib())
        say(f'{len(curve)} slices of 2,000 documents, {curve[-1]:.0f} MiB')
    third = len(curve) // 3
    early, late = statistics.median(curve[third:2 * third]), statistics.median(curve[-third:])
    sampled = curve[::max(1, len(curve) // 12)]
    yield Row('memory', f'resident in the last third of {len(curve)} slices against the second', late / early, 'x',
              '<= 1.05', 'MiB: ' + ' '.join(f'{mib:.0f}' for mib in sampled))


def _ever_new(rng: random.Random, count: int) -> Iterator[bytes]:
    for number in range(count):
        day = f'20{rng.randrange(10, 22)}-{rng.randrange(1, 13):02d}-{rng.randrange(1, 29):02d}'
        event = {'platform': f'p-{rng.randrange(16 ** 8):x}' if number % 50 == 0 else 'ios',
                 'event_time': f'{day} {rng.randrange(24):02d}:00' if number % 50 == 1 else '2022-06-21 00:00:00',
                 f'Key {rng.randrange(16 ** 8):x}': 1,
                 'event_value': json.dumps({f'key{rng.randrange(16 ** 8):x}': [1, {'a': 2}]})}
        yield json.dumps(event).encode()


def _resident_mib() -> float:
    pages = int(pathlib.Path('/proc/self/statm').read_text().split()[1])
    return pages * os.sysconf('SC_PAGE_SIZE') / (1 << 20)
