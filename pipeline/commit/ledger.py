"""The ledger of a flush window: what readers, line buffers and writes report of it, and whether it balances. Pure."""
from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Mapping

import msgspec

from pipeline.source import ReaderReport, ShardCounts, ShardPosition

#: Errors of refused documents, of which one line may stand for several. The other codes are of a malformed fragment,
#: but for invalid-kpl: a whole record.
DOCUMENT_ERRORS = frozenset({'too-deep', 'key-too-long', 'output-too-large'})
WHOLE_RECORD_ERRORS = frozenset({'invalid-kpl'})


class PlacedCounts(msgspec.Struct, frozen=True, tag='placed', tag_field='row'):
    """A row of the ledger: what a bundle placed in objects, by name; `error CODE` counts error lines of that type."""

    counts: dict[str, int]


class StoredObject(msgspec.Struct, frozen=True):
    """An object of a window: its lines, and its bytes and SHA-256 before compression."""

    path: str
    lines: int
    bytes: int
    sha256: str


class WrittenObject(msgspec.Struct, frozen=True, tag='object', tag_field='row'):
    """A row of the ledger: an object that was written."""

    stored: StoredObject


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """The counts of a window as its manifest shows them. `errors` is by error type."""

    records: int
    bytes: int
    user_records: int
    with_documents: int
    malformed: int
    empty: int
    documents: int
    lines: int
    fragments: int
    document_errors: int
    invalid_kpl: int
    errors: dict[str, int]
    backup: int
    hours_of_arrival: int
    unreadable_times: int = 0
    old_times: int = 0


_ROWS = msgspec.json.Decoder(ReaderReport | PlacedCounts | WrittenObject)
#: Those that are counted while lines are placed; the others follow from the reports and the errors.
_PLACED = ('user_records', 'with_documents', 'malformed', 'empty', 'documents', 'lines', 'fragments',
           'document_errors', 'backup', 'hours_of_arrival', 'unreadable_times', 'old_times')


@dataclasses.dataclass
class Ledger:
    """The rows of one window, added up: reports by reader, counts of what was placed, objects by path."""

    reports: dict[int, ReaderReport] = dataclasses.field(default_factory=dict)
    placed: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    objects: dict[str, StoredObject] = dataclasses.field(default_factory=dict)

    @property
    def shards(self) -> dict[str, ShardCounts]:
        """Return what each shard brought that had records in this window, by `stream/shard`."""
        merged = {key: counts for report in self.reports.values() for key, counts in report.shards.items()}
        return dict(sorted(merged.items()))

    @property
    def positions(self) -> dict[str, ShardPosition]:
        """Return the position that each shard had reached when the window was closed, by `stream/shard`."""
        merged = {key: position for report in self.reports.values() for key, position in report.positions.items()}
        return dict(sorted(merged.items()))

    @property
    def errors(self) -> collections.Counter[str]:
        """Return the number of error lines by error type."""
        named = ((name.partition(' '), count) for name, count in self.placed.items())
        return collections.Counter({code: count for (kind, _, code), count in named if kind == 'error'})

    def counts(self) -> Counts:
        """Return the counts as a manifest shows them."""
        errors, shards = self.errors, self.shards.values()
        return Counts(
            records=sum(shard.records for shard in shards), bytes=sum(shard.bytes for shard in shards),
            invalid_kpl=sum(errors[code] for code in WHOLE_RECORD_ERRORS), errors=dict(sorted(errors.items())),
            **{name: self.placed[name] for name in _PLACED})


def placed_row(counts: Mapping[str, int]) -> bytes:
    """Return the encoded row of what a bundle placed."""
    return msgspec.json.encode(PlacedCounts(dict(counts)))


def object_row(stored: StoredObject) -> bytes:
    """Return the encoded row of an object that was written."""
    return msgspec.json.encode(WrittenObject(stored))


def add_up(rows: Iterable[bytes]) -> Ledger:
    """Add up the encoded rows of a window. A reader's report, or an object, that comes twice counts once."""
    ledger = Ledger()
    for row in map(_ROWS.decode, rows):
        match row:
            case ReaderReport():
                ledger.reports[row.reader] = row
            case PlacedCounts():
                ledger.placed.update(row.counts)
            case WrittenObject():
                ledger.objects[row.stored.path] = row.stored
    return ledger


def imbalance(ledger: Ledger, backup: bool) -> str | None:
    """Say why the window is not complete; return None if all that was read is accounted for and written."""
    readers = max((report.readers for report in ledger.reports.values()), default=0)
    if not readers or len(ledger.reports) != readers:
        return f'{len(ledger.reports)} of {readers or "?"} readers have reported it'
    counts, errors = ledger.counts(), ledger.errors.total()
    lines_of_documents = sum(ledger.errors[code] for code in DOCUMENT_ERRORS)
    written = collections.Counter[str]()
    for item in ledger.objects.values():
        written[item.path.split('/', 1)[0]] += item.lines
    equations = {
        'records read = records placed + broken KPL aggregates':
            (counts.records, ledger.placed['records'] + counts.invalid_kpl),
        'records = with documents + malformed + empty':
            (counts.user_records, counts.with_documents + counts.malformed + counts.empty),
        'documents = lines + document errors': (counts.documents, counts.lines + counts.document_errors),
        'malformed fragments = fragments in errors':
            (counts.fragments, errors - lines_of_documents - counts.invalid_kpl),
        'lines placed = lines written': (counts.lines, written['events']),
        'errors placed = errors written': (errors, written['errors']),
        'records read = records in the backup': (counts.records if backup else 0, written['backup']),
    }
    wrong = [f'{name}: {left} is not {right}' for name, (left, right) in equations.items() if left != right]
    return '; '.join(wrong) or None
