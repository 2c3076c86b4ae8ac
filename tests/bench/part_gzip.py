"""Measure what writing costs: levels and libraries of gzip, sorting chunks, hashes, and a manifest."""
from __future__ import annotations

import hashlib
import importlib
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import orjson

from pipeline.write.chunks import Position, encode_chunk, join_chunks
from pipeline.write.objects import LEVEL
from tests.bench.documents import documents, records
from tests.bench.kernel import ours
from tests.bench.rounds import Row, take_turns

#: Libraries that are measured if they are installed. The job does not use them: their bytes would differ.
OTHERS = {'isal': ('isal.isal_zlib', (1, 2, 3)), 'zlib-ng': ('zlib_ng.zlib_ng', (1, 6))}


def gzip_rows(count: int, rounds: int) -> Iterator[Row]:
    """Measure each as a multiple of what the job does: zlib, level 6."""
    lines = ours(list(records(documents('medium', count), 5)))
    body = b'\n'.join(lines)
    candidates: dict[str, Callable[[], object]] = {
        f'zlib level {level}': _compressing(zlib, level, body) for level in (1, 3, 6, 9)}
    for name, (module, levels) in OTHERS.items():
        try:
            library = importlib.import_module(module)
        except ImportError:
            continue
        candidates.update({f'{name} level {level}': _compressing(library, level, body) for level in levels})
    chunks = [encode_chunk(_position(first), _position(first + 99), lines[first:first + 100])
              for first in range(0, len(lines), 100)]
    manifest = {'objects': [{'path': f'events/{number}', 'lines': 1, 'bytes': 1, 'sha256': 'a' * 64}
                            for number in range(100)]}
    measured = take_turns({**{name: _timed(run) for name, run in candidates.items()},
                           'SHA-256': _timed(lambda: hashlib.sha256(body).digest()),
                           'sorting and joining chunks': _timed(lambda: join_chunks(chunks)),
                           'one manifest of 100 objects': _timed(lambda: orjson.dumps(manifest))}, rounds)
    base = f'zlib level {LEVEL}'
    size = len(candidates[base]())  # type: ignore[arg-type]
    for name in measured.seconds:
        packed = f'{len(candidates[name]()) / size:.2f} x its bytes' if name in candidates else ''  # type: ignore[arg-type]
        yield Row('gzip', f'{name} against {base}', measured.ratio(name, base), 'x', '',
                  ', '.join(filter(None, (f'{measured.median(name) / count * 1e6:.2f} us a document', packed))))


def _compressing(library: Any, level: int, body: bytes) -> Callable[[], bytes]:
    def run() -> bytes:
        packer = library.compressobj(level, zlib.DEFLATED, 31)
        return bytes(packer.compress(body) + packer.flush())

    return run


def _timed(function: Callable[[], object]) -> Callable[[], float]:
    def run() -> float:
        began = time.process_time()
        function()
        return time.process_time() - began

    return run


def _position(sequence: int) -> Position:
    return Position('bench', 'shardId-000000000000', sequence, 0, 0)
