"""Slices: what is read next once a slice is committed, and that nothing is if it is not."""
from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from pipeline.commit.ledger import add_up
from pipeline.commit.manifests import make_manifest, write_manifest
from pipeline.errors import Incomplete
from pipeline.kinesis.positions import Cursor
from pipeline.kinesis.settings import ReadSettings
from pipeline.kinesis.slices import note_window
from pipeline.run import execute as execute_module
from pipeline.run.execute import SLICE_BYTES, execute
from pipeline.run.plan import Plan, make_plan
from pipeline.stores.base import MemoryStore
from tests.command_lines import options_of
from tests.ledgers import balanced
from tests.run.test_plan import YOUNG, ScriptedCalls, at

OPTIONS = options_of('--start', '2026-11-23T10:00:00Z', '--stop', '2026-11-23T10:15:00Z')


@dataclasses.dataclass
class Slices:
    """Reads slices of one window each, and commits them but for the windows in `lost`."""

    store: MemoryStore
    lost: tuple[int, ...] = ()
    read: list[ReadSettings] = dataclasses.field(default_factory=list)

    def run_pipeline(self, options: Any, plan: Plan, read: ReadSettings, built: object) -> None:
        self.read.append(read)
        assert note_window(read.run_id, 0, read.start_ms + options.flush_ms, SLICE_BYTES)
        if read.start_ms not in self.lost:
            write_manifest(self.store, make_manifest(read.start_ms, options.flush_ms, add_up(balanced()),
                                                     plan.settings))


def executed(monkeypatch: pytest.MonkeyPatch, slices: Slices) -> None:
    api = ScriptedCalls({'app': YOUNG})
    monkeypatch.setattr(execute_module, '_run_pipeline', slices.run_pipeline)
    execute(OPTIONS, make_plan(OPTIONS, api, slices.store), api, slices.store, PipelineOptions([]))


def test_a_slice_goes_on_from_the_positions_of_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    slices = Slices(MemoryStore())

    executed(monkeypatch, slices)

    # A shard that the window before did not know was created later: it is read from its beginning.
    known = (Cursor('app', 'a', 0, '5', 5),)
    assert [(read.start_ms, read.since_ms, read.cursors) for read in slices.read] == [
        (at('10:00:00'), at('10:00:00'), ()), (at('10:05:00'), 0, known), (at('10:10:00'), 0, known)]
    assert {read.stop_ms for read in slices.read} == {at('10:15:00')}


def test_after_a_slice_with_a_window_that_is_not_committed_nothing_more_is_read(
        monkeypatch: pytest.MonkeyPatch) -> None:
    slices = Slices(MemoryStore(), lost=(at('10:05:00'),))

    with pytest.raises(Incomplete, match='^1 windows between 2026-11-23T10:05:00Z and 2026-11-23T10:10:00Z have no'):
        executed(monkeypatch, slices)

    assert [read.start_ms for read in slices.read] == [at('10:00:00'), at('10:05:00')]
