"""Whole runs on stores in memory: the real plan, preparation, commits and report, with a few lines in place of Beam.

Every effect on a store is counted, and a run can be killed, or made to wait, after any of them.
"""
from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from apache_beam.transforms.window import IntervalWindow

from pipeline.commit.commit import _Commit
from pipeline.commit.commit_window import CommitSettings
from pipeline.commit.ledger import StoredObject, object_row, placed_row
from pipeline.commit.manifests import manifests_between
from pipeline.commit.resume_point import read_resume_point
from pipeline.options.options import Options
from pipeline.paths import backup_path, error_path, event_path, object_name
from pipeline.run import execute, outputs, prepare
from pipeline.run import run as run_module
from pipeline.run.plan import Plan
from pipeline.source import ShardCounts
from pipeline.stores.base import MemoryStore
from pipeline.windows import HOUR_MS, align_down
from tests.command_lines import options_of
from tests.ledgers import position, report_row
from tests.run.test_plan import ScriptedCalls, at

OUTPUT = '/tmp/lake'
CREATED = at('09:02:00')
NOW_MS, DAY_END = at('10:32:21'), at('23:00:00')


class Killed(BaseException):
    """The process is gone."""


Effect = tuple[str, str, str]


class World:
    """Stores by URI, and what is done to them: `effects` in order, by URI, call and path."""

    def __init__(self) -> None:
        self.stores: dict[str, _CountedStore] = {}
        self.effects: list[Effect] = []
        self.before_effect: Callable[[Effect], None] = lambda _: None

    def store_at(self, uri: str, _: Options | None = None) -> _CountedStore:
        return self.stores.setdefault(uri, _CountedStore(self, uri))

    def copy(self) -> World:
        """Return a world with the same contents."""
        world = World()
        for uri, store in self.stores.items():
            dict.update(world.store_at(uri), store)
        return world

    def contents(self) -> dict[str, dict[str, bytes]]:
        """Return all that is there, but for what resume.json says of the runs themselves."""
        found = {uri: dict(store) for uri, store in self.stores.items() if store}
        resume = orjson.loads(found[OUTPUT]['resume.json'])
        for name in ('generation', 'cleanup', 'replay'):
            resume.pop(name, None)
        found[OUTPUT]['resume.json'] = orjson.dumps(resume)
        return found


class _CountedStore(MemoryStore):
    def __init__(self, world: World, uri: str) -> None:
        super().__init__()
        self._world, self._uri = world, uri

    def put(self, path: str, data: bytes) -> None:
        self._count('put', path)
        super().put(path, data)

    def delete(self, path: str) -> None:
        self._count('delete', path)
        super().delete(path)

    def create(self, path: str, data: bytes) -> bool:
        return self._at_once(lambda: MemoryStore.create(self, path, data), path not in self, 'create', path)

    def swap(self, path: str, before: bytes | None, after: bytes | None) -> bool:
        return self._at_once(lambda: MemoryStore.swap(self, path, before, after),
                             self.get(path) == before != after, 'swap', path)

    def _at_once(self, call: Callable[[], bool], has_effect: bool, name: str, path: str) -> bool:
        """Do a call whose condition and effect are one: the wait comes before both."""
        if has_effect:
            self._count(name, path)
        kept, self._count = self._count, lambda *_: None  # type: ignore[method-assign]
        try:
            return call()
        finally:
            self._count = kept  # type: ignore[method-assign]

    def _count(self, call: str, path: str) -> None:
        effect = self._uri, call, path
        self._world.before_effect(effect)
        self._world.effects.append(effect)


class Runs:
    """Runs of command lines in a world, at AWS's time `now_ms`.

    A window of `incomplete` is cut short in the next run. The next run begins `rewinds` windows before its
    plan, as one does that was restored from an old savepoint.
    """

    def __init__(self, world: World, patch: pytest.MonkeyPatch, now_ms: int = NOW_MS) -> None:
        self.world, self.now_ms = world, now_ms
        self.incomplete: set[int] = set()
        self.rewinds = 0
        self.lines: list[str] = []
        patch.setattr(outputs, 'store_at', world.store_at)
        patch.setattr(prepare, 'store_at', world.store_at)
        patch.setattr(run_module, 'connect', lambda *_: ScriptedCalls({'app': CREATED}, now_ms=self.now_ms))
        patch.setattr(run_module, 'execute', self._execute)

    def run(self, *args: str) -> None:
        """Run a command line to its end. Raise what it raises."""
        run_module.run(_options(*args), self.lines.append)

    def _execute(self, options: Options, plan: Plan, *_: Any) -> None:
        """Put the objects of all windows, then commit them, as a slice does."""
        conf = execute._job(options, plan, None).commit  # type: ignore[arg-type]
        assert plan.stop_ms is not None
        start_ms = plan.start_ms - self.rewinds * options.flush_ms
        windows = range(start_ms, plan.stop_ms, options.flush_ms)
        rows = [_write(conf, options, window_ms, cut=window_ms in self.incomplete) for window_ms in windows]
        for window_ms, ledger in zip(windows, rows, strict=True):
            window = IntervalWindow(window_ms / 1000, (window_ms + options.flush_ms) / 1000)
            _Commit(conf).process((b'', ledger), window)


@functools.cache
def _options(*args: str) -> Options:
    return options_of('--aws_region', 'us-east-1', '--flush_interval_s', '900', *args)


def _write(conf: CommitSettings, options: Options, window_ms: int, cut: bool) -> list[bytes]:
    """Put the objects of a window, and return the rows of its ledger: 5 records with 4 documents, one of them refused.

    The mapping decides one of the platforms and one of the errors. In a window that is cut short lines are missing.
    """
    named, hour_ms = options.rules.convention, align_down(window_ms, HOUR_MS)
    name = object_name(window_ms, 0, 0, options.output_shards, options.compression)
    lines = {event_path(hour_ms, 'ios', name): 2, event_path(hour_ms, 'android' if named else 'web', name): 1,
             error_path('invalid-json', window_ms, name): 1,
             error_path('too-deep' if named else 'key-too-long', window_ms, name): 1}
    if options.backup:
        lines[backup_path(window_ms, name)] = 5
    number = window_ms // 60_000
    rows = [report_row(0, 1, {'app/a': ShardCounts(5, 50, str(number), str(number))}, {'app/a': position(str(number))}),
            placed_row({'records': 5, 'user_records': 5, 'with_documents': 3, 'malformed': 1, 'empty': 1,
                        'documents': 4, 'lines': 3, 'fragments': 1, 'backup': 5 * options.backup,
                        'document_errors': 1, 'error invalid-json': 1,
                        f'error {"too-deep" if named else "key-too-long"}': 1})]
    for path, count in lines.items():
        count -= cut
        data = f'{options.rules.digest()} {options.flush_ms} {count} {path}'.encode()
        conf.put_object(path, data, window_ms)
        rows.append(object_row(StoredObject(path, count, len(data), hashlib.sha256(data).hexdigest())))
    return rows


def faults_of(world: World) -> list[str]:
    """Return what is wrong in a lake: windows that overlap or are missing, objects that are not as manifests say or are
    listed by none.
    """
    store, found = world.store_at(OUTPUT), []
    resume_point = read_resume_point(store)
    assert resume_point
    there = {(uri, path): data for uri, one in world.stores.items() for path, data in one.items()
             if path.split('/')[0] in ('events', 'errors', 'backup')}
    reached_ms = None
    for manifest in manifests_between(store, align_down(CREATED, 900_000), DAY_END):
        if reached_ms not in (None, manifest.window_ms):
            found.append(f'{manifest.window} does not follow the window before it')
        reached_ms = manifest.end_ms
        for item in manifest.objects:
            place = manifest.moved.get(item.path.split('/')[0], OUTPUT)
            data = there.pop((place, item.path), b'')
            if hashlib.sha256(data).hexdigest() != item.sha256:
                found.append(f'{item.path} is not as {manifest.window} says')
    if reached_ms != resume_point.end_ms:
        found.append('resume.json is not behind the last window')
    return found + [f'{path} is listed by no manifest' for _, path in sorted(there)]
