"""A producer that writes while jobs read."""
from __future__ import annotations

import json
import random
import threading

from tests.integration.lake import Lake
from tests.waiting import TIMEOUT_S


def _record_of(number: int, rng: random.Random) -> bytes:
    """Return a record of two concatenated documents; one of fifty ends malformed."""
    parts = [json.dumps({'eventName': 'Install', 'platform': rng.choice(['ios', 'android']), 'number': f'{number}.{at}',
                         'eventTime': f'2026-11-24 1{rng.randint(0, 1)}:10:00'}) for at in range(2)]
    return (''.join(parts) + ('{"cut":' if rng.random() < 0.02 else '')).encode()


class Producer(threading.Thread):
    """Put records until the block ends."""

    def __init__(self, lake: Lake, seed: int) -> None:
        super().__init__(name='producer', daemon=True)
        self._lake, self._rng, self._ended = lake, random.Random(seed), threading.Event()

    def __enter__(self) -> None:
        self.start()

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self.join(TIMEOUT_S)

    def run(self) -> None:
        while not self._ended.wait(0.2):
            batch = [(f'key-{self._rng.randint(0, 999)}', _record_of(len(self._lake.puts) + at, self._rng))
                     for at in range(10)]
            self._lake.puts += self._lake.aws.put_records(self._lake.stream, batch)
