"""The ledger of a flush window: what readers, buckets and writes say of it, and whether it balances. Pure."""
from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable
from typing import Any

import orjson

#: Errors of one document each; the other codes are of a record's malformed end, but for invalid-kpl: a whole record.
DOCUMENT_ERRORS = frozenset({'too-deep', 'key-too-long', 'output-too-large'})
WHOLE_RECORD_ERRORS = frozenset({'invalid-kpl'})
Counts = collections.Counter[str]


@dataclasses.dataclass
class Ledger:
    """The rows of one window, added up: accounts by reader, counts of the bucketing, objects by path."""

    accounts: dict[int, Any] = dataclasses.field(default_factory=dict)
    counts: Counts = dataclasses.field(default_factory=collections.Counter)
    objects: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def shards(self) -> dict[str, Any]:
        """Give the account of each Kinesis shard that had records in this window."""
        merged = {key: shard for account in self.accounts.values() for key, shard in account['shards'].items()}
        return dict(sorted(merged.items()))

    @property
    def positions(self) -> dict[str, Any]:
        """Give the position that each shard had reached when the window was closed."""
        merged = {key: place for account in self.accounts.values() for key, place in account['positions'].items()}
        return dict(sorted(merged.items()))

    @property
    def errors(self) -> Counts:
        """Give the malformed fragments by error type."""
        named = ((name.partition(' '), count) for name, count in self.counts.items())
        return collections.Counter({code: count for (kind, _, code), count in named if kind == 'error'})

    def totals(self) -> dict[str, Any]:
        """Give the counts as a manifest shows them."""
        errors, counts = self.errors, self.counts
        return {
            'records': sum(shard['records'] for shard in self.shards.values()),
            'bytes': sum(shard['bytes'] for shard in self.shards.values()),
            **{name: counts[name] for name in ('user_records', 'with_documents', 'malformed', 'empty', 'documents',
                                               'lines', 'fragments')},
            'document_errors': sum(errors[code] for code in DOCUMENT_ERRORS),
            'invalid_kpl': sum(errors[code] for code in WHOLE_RECORD_ERRORS),
            'errors': dict(sorted(errors.items())),
            'backup': counts['backup'],
            'hours_of_arrival': counts['hours_of_arrival'],
            'unreadable_times': counts['unreadable_times'],
        }


def add_up(rows: Iterable[bytes]) -> Ledger:
    """Add up the rows of a window. A reader's account, or an object, that comes twice counts once."""
    ledger = Ledger()
    for row in rows:
        ((kind, value),) = orjson.loads(row).items()
        if kind == 'account':
            ledger.accounts[value['reader']] = value
        elif kind == 'bucketed':
            ledger.counts.update(value)
        else:
            ledger.objects[value['path']] = value
    return ledger


def imbalance(ledger: Ledger, backup: bool) -> str | None:
    """Say why the window is not complete, None where everything that was read is accounted for and written."""
    readers = max((account['readers'] for account in ledger.accounts.values()), default=0)
    if not readers or len(ledger.accounts) != readers:
        return f'{len(ledger.accounts)} of {readers or "?"} readers have accounted for it'
    total, counts = ledger.totals(), ledger.counts
    written: Counts = collections.Counter()
    for item in ledger.objects.values():
        written[item['path'].split('/', 1)[0]] += item['lines']
    equations = {
        'records read = records bucketed + broken KPL aggregates':
            (total['records'], counts['records'] + total['invalid_kpl']),
        'records = with documents + malformed + empty':
            (total['user_records'], total['with_documents'] + total['malformed'] + total['empty']),
        'documents = lines + document errors': (total['documents'], total['lines'] + total['document_errors']),
        'malformed ends = fragments in errors':
            (total['fragments'], ledger.errors.total() - total['document_errors'] - total['invalid_kpl']),
        'lines bucketed = lines written': (total['lines'], written['events']),
        'errors bucketed = errors written': (ledger.errors.total(), written['errors']),
        'records read = records in the backup': (total['records'] if backup else 0, written['backup']),
    }
    wrong = [f'{name}: {left} is not {right}' for name, (left, right) in equations.items() if left != right]
    return '; '.join(wrong) or None
