from __future__ import annotations

import msgspec

from pipeline.commit.ledger import add_up
from pipeline.commit.manifests import Settings, make_manifest, write_manifest
from pipeline.options.types import iso_ms
from pipeline.run.report import Report, sum_up
from pipeline.stores.base import MemoryStore
from tests.ledgers import OTHER, PLACEMENT, SETTINGS, balanced

FLUSH_MS = 300_000
START = iso_ms('2026-11-23T10:15:00Z') or 0


def store_with(*places: int) -> MemoryStore:
    store = MemoryStore()
    for place in places:
        write_manifest(store, make_manifest(START + place * FLUSH_MS, FLUSH_MS, add_up(balanced()), SETTINGS))
    return store


def test_a_report_adds_up_the_manifests_of_the_run() -> None:
    report = sum_up(store_with(-1, 0, 1, 2), START, START + 2 * FLUSH_MS, FLUSH_MS, SETTINGS)
    report.seconds, report.notes = 0.5, ['one thing', 'another']

    assert report.text() == '\n'.join([
        'windows    2 committed, from 2026-11-23T10:15:00Z to 2026-11-23T10:25:00Z',
        'records    10 (100 bytes), 2 without a document',
        'documents  8',
        'lines      6',
        'errors     invalid-json 2, too-deep 2',
        'times      2 unreadable, 2 absent: by the hour of arrival',
        'objects    8 (400 bytes before compression)',
        'time       0.5 s, 20 records/s',
        'note       one thing',
        'note       another'])


def test_events_that_are_too_old_are_told_of_with_the_other_times() -> None:
    report = Report(START, START, FLUSH_MS)
    report.counts.update(hours_of_arrival=1004, old_times=1001, unreadable_times=2)

    assert 'times      2 unreadable, 1,001 too old, 1 absent: by the hour of arrival' in report.text()


def test_windows_without_a_manifest_are_told() -> None:
    report = sum_up(store_with(0, 2), START, START + 4 * FLUSH_MS, FLUSH_MS, SETTINGS)

    assert report.missing == 2
    assert '2 committed, from 2026-11-23T10:15:00Z to 2026-11-23T10:35:00Z; 2 incomplete' in report.text()


def test_windows_of_other_settings_are_still_to_be_replaced() -> None:
    store, longer = MemoryStore(), Settings(msgspec.structs.replace(PLACEMENT, flush_interval_s=600), OTHER.content)
    for place, (flush_ms, settings) in enumerate([(FLUSH_MS, SETTINGS)] * 2 + [(2 * FLUSH_MS, longer)]):
        write_manifest(store, make_manifest(START + place * FLUSH_MS, flush_ms, add_up(balanced()), settings))

    report = sum_up(store, START, START + 4 * FLUSH_MS, 2 * FLUSH_MS, longer)

    assert (report.windows, report.missing, report.counts['records']) == (1, 1, 5)


def test_a_run_without_windows_has_a_report_too() -> None:
    report = Report(START, START, FLUSH_MS)

    assert report.missing == 0
    assert 'errors     none' in report.text()
    assert 'times' not in report.text()
    assert 'time       0.0 s, 0 records/s' in report.text()
