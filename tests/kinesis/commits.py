"""Manifests of what drivers have read, and settings of a run that writes windows again."""
from __future__ import annotations

import collections
from collections.abc import Collection, Iterable
from typing import Any, NamedTuple, TypeVar

import msgspec

from pipeline.commit.committed import CommittedWindows
from pipeline.commit.ledger import Ledger
from pipeline.commit.manifests import Settings, StreamSettings, make_manifest, write_manifest
from pipeline.kinesis.settings import ReadSettings
from pipeline.run.start import Start, from_committed
from pipeline.source import ReaderReport
from pipeline.stores.base import MemoryStore
from tests.kinesis.driver import Outcome
from tests.ledgers import PLACEMENT, SETTINGS

Stored = TypeVar('Stored', bound=MemoryStore)


class Read(NamedTuple):
    """A record that was read: its shard, sequence number, window (epoch ms) and part."""

    shard: str
    sequence: str
    window_ms: int
    part: int


def records_of(outcomes: Iterable[Outcome]) -> list[Read]:
    """Return the records that were read, in the order of their shards."""
    found = [Read(batch.shard, record.sequence, batch.window_ms, batch.part)
             for outcome in outcomes for batch in outcome.batches for record in batch.records]
    return sorted(found, key=lambda record: record.shard)


def reports_of(start_ms: int, flush_ms: int, outcomes: Iterable[Outcome]) -> dict[int, list[dict[str, Any]]]:
    """Return the reports of each window that all readers have closed, by its start."""
    ends: collections.defaultdict[int, int] = collections.defaultdict(lambda: start_ms)
    windows: collections.defaultdict[int, list[dict[str, Any]]] = collections.defaultdict(list)
    for report in (report for outcome in outcomes for report in outcome.reports):
        windows[ends[report['reader']]].append(report)
        ends[report['reader']] += flush_ms
    return {window_ms: reports for window_ms, reports in windows.items() if len(reports) == reports[0]['readers']}


def commit(store: Stored, settings: ReadSettings, outcomes: Iterable[Outcome],
           without: Collection[int] = ()) -> Stored:
    """Put a manifest of each window that all readers have closed, but of those `without`; return the store."""
    streams = {stream.name: StreamSettings(stream.label, stream.created_ms) for stream in settings.streams}
    known = Settings(msgspec.structs.replace(PLACEMENT, streams=streams), SETTINGS.content)
    for window_ms, reports in reports_of(settings.start_ms, settings.flush_ms, outcomes).items():
        if window_ms not in without:
            ledger = Ledger({report['reader']: msgspec.convert(report, ReaderReport) for report in reports})
            write_manifest(store, make_manifest(window_ms, settings.flush_ms, ledger, known))
    return store


def again(store: MemoryStore, settings: ReadSettings, start_ms: int, stop_ms: int | None) -> dict[str, Any]:
    """Return the changes of settings for a run that begins at a time on an output that has manifests."""
    start = from_committed(Start(start_ms, start_ms), store, settings.streams)
    return {'start_ms': start.ms, 'stop_ms': stop_ms, 'since_ms': start.since_ms, 'cursors': start.cursors,
            'committed': CommittedWindows(store)}
