from __future__ import annotations

import msgspec
import pytest

from pipeline.commit.ledger import add_up, imbalance, placed_row
from pipeline.source import ShardCounts
from tests.ledgers import BACKUP, EVENTS, balanced, position, report, written


def test_a_ledger_of_complete_rows_balances() -> None:
    assert imbalance(add_up(balanced()), backup=True) is None


def test_an_empty_window_balances_on_its_accounts_alone() -> None:
    assert imbalance(add_up([report(0, 2), report(1, 2)]), backup=True) is None


def test_the_order_of_rows_does_not_matter() -> None:
    assert add_up(balanced()) == add_up(reversed(balanced()))


@pytest.mark.parametrize(('rows', 'reason'), [
    ([], '0 of ? readers have reported it'),
    ([report(0, 3), report(2, 3)], '2 of 3 readers have reported it'),
    ([report(0, 2), report(1, 3)], '2 of 3 readers have reported it'),
    ([report(0, 1), report(1, 1)], '2 of 1 readers have reported it'),
    ([written(EVENTS, 3)], '0 of ? readers have reported it')])
def test_a_window_is_not_complete_without_the_account_of_every_reader(rows: list[bytes], reason: str) -> None:
    assert imbalance(add_up(rows), backup=True) == reason


@pytest.mark.parametrize(('extra', 'reason'), [
    ([{'records': 1}], 'records read = records placed + broken KPL aggregates: 5 is not 6'),
    ([{'user_records': 1}], 'records = with documents + malformed + empty: 6 is not 5'),
    ([{'empty': -1}], 'records = with documents + malformed + empty: 5 is not 4'),
    ([{'documents': 1}], 'documents = lines + document errors: 5 is not 4'),
    ([{'fragments': 1}], 'malformed fragments = fragments in errors: 2 is not 1'),
    ([{'lines': 1, 'documents': 1}], 'lines placed = lines written: 4 is not 3'),
    ([{'document_errors': 1}], 'documents = lines + document errors: 4 is not 5'),
    ([{'error too-deep': 1}], 'errors placed = errors written: 3 is not 2'),
    ([{'error invalid-json': -1, 'fragments': -1}], 'errors placed = errors written: 1 is not 2')])
def test_each_equation_fails_for_its_own_reason(extra: list[dict[str, int]], reason: str) -> None:
    rows = [*balanced(), *(placed_row(counts) for counts in extra)]

    assert imbalance(add_up(rows), backup=True) == reason


def test_a_record_missing_from_the_backup_is_told_unless_there_is_no_backup() -> None:
    rows = [*balanced(), written(BACKUP, 4)]

    assert imbalance(add_up(rows), backup=True) == 'records read = records in the backup: 5 is not 4'
    assert imbalance(add_up(balanced()), backup=False) == 'records read = records in the backup: 0 is not 5'
    assert imbalance(add_up([item for item in balanced() if b'backup' not in item]), backup=False) is None


def test_every_equation_that_fails_is_told() -> None:
    rows = [*balanced(), placed_row({'lines': 1})]

    assert imbalance(add_up(rows), backup=True) == (
        'documents = lines + document errors: 4 is not 5; lines placed = lines written: 4 is not 3')


def test_a_broken_aggregate_is_a_record_of_its_own() -> None:
    rows = [*balanced(), report(a=6), placed_row({'error invalid-kpl': 1}), written(BACKUP, 6),
            written('errors/invalid-kpl/x', 1)]

    ledger = add_up(rows)

    assert imbalance(ledger, backup=True) is None
    assert (ledger.counts().records, ledger.counts().invalid_kpl) == (6, 1)


@pytest.mark.parametrize('code', ['too-deep', 'key-too-long', 'output-too-large'])
def test_a_document_that_passes_a_limit_is_no_malformed_fragment(code: str) -> None:
    ledger = add_up([row.replace(b'too-deep', code.encode()) for row in balanced()])

    assert imbalance(ledger, backup=True) is None
    assert (ledger.counts().document_errors, ledger.counts().fragments) == (1, 1)


def test_one_error_line_may_stand_for_several_documents() -> None:
    ledger = add_up([*balanced(), placed_row({'documents': 7, 'document_errors': 7})])

    assert imbalance(ledger, backup=True) is None
    assert (ledger.counts().document_errors, ledger.counts().errors['too-deep']) == (8, 1)


def test_reports_and_objects_that_come_twice_count_once() -> None:
    assert add_up([*balanced(), report(a=5), written(EVENTS, 3)]) == add_up(balanced())


def test_shards_and_positions_of_all_readers_are_merged_and_sorted() -> None:
    ledger = add_up([report(1, 2, b=2, a=1), report(0, 2, c=3)])

    assert list(ledger.shards) == list(ledger.positions) == ['app/a', 'app/b', 'app/c']
    assert ledger.shards['app/c'] == ShardCounts(3, 30, '1', '3')
    assert ledger.positions['app/c'] == position('3')


def test_totals_are_what_a_manifest_shows() -> None:
    assert msgspec.to_builtins(add_up(balanced()).counts()) == {
        'records': 5, 'bytes': 50, 'user_records': 5, 'with_documents': 3, 'malformed': 1, 'empty': 1, 'documents': 4,
        'lines': 3, 'fragments': 1, 'document_errors': 1, 'invalid_kpl': 0,
        'errors': {'invalid-json': 1, 'too-deep': 1}, 'backup': 5, 'hours_of_arrival': 2,
        'unreadable_times': 1, 'old_times': 0}
