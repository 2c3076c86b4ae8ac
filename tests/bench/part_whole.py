"""Measure the whole job in this process, with a stub of Kinesis and a store in memory, against its kernel alone."""
from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterator

from pipeline.write.objects import LEVEL
from tests.bench.documents import documents, records
from tests.bench.kernel import ours
from tests.bench.memory_kinesis import StubCalls
from tests.bench.rounds import Row, take_turns
from tests.bench.whole import run_whole

EACH, SHARDS, SPREAD_MS = 5, 4, 3_000_000


def whole_rows(count: int, rounds: int) -> Iterator[Row]:
    """Measure data of one hour and six platforms, and of 24 hours and eight, with and without the backup."""
    for hours, platforms, target in ((1, 6, '<= 2.5'), (24, 8, '<= 4')):
        made = list(records(documents('medium', count, hours=hours, platforms=platforms), EACH))
        calls = StubCalls(made, SHARDS, SPREAD_MS)
        measured = take_turns({
            'kernel': lambda made=made: _kernel_and_gzip(made),
            'job': _cpu_of(lambda calls=calls: run_whole(calls)),
            'backup': _cpu_of(lambda calls=calls: run_whole(calls, backup=True))}, rounds)
        what = f'{hours} hours, {platforms} platforms' if hours > 1 else f'one hour, {platforms} platforms'
        each = {name: measured.median(name) / count * 1e6 for name in measured.seconds}
        yield Row('whole', f'{what}: job without backup against kernel and gzip', measured.ratio('job', 'kernel'), 'x',
                  target, f'{each["job"]:.1f} us a document against {each["kernel"]:.1f}')
        yield Row('whole', f'{what}: job with backup against job without', measured.ratio('backup', 'job'), 'x', '',
                  _backup_bytes(calls) if hours == 1 else '')


def _kernel_and_gzip(made: list[bytes]) -> float:
    began = time.process_time()
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, 31)
    for at in range(0, len(made), 20):
        packer.compress(b'\n'.join(ours(made[at:at + 20])))
    packer.flush()
    return time.process_time() - began


def _cpu_of(function: Callable[[], object]) -> Callable[[], float]:
    def run() -> float:
        began = time.process_time()
        function()
        return time.process_time() - began

    return run


def _backup_bytes(calls: StubCalls) -> str:
    written = run_whole(calls, backup=True)
    sizes = {kind: sum(len(data) for path, data in written.items() if path.startswith(kind))
             for kind in ('events/', 'backup/')}
    return f'backup/ takes {sizes["backup/"] / sizes["events/"]:.1f} x the bytes of events/'
