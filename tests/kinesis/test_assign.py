"""Pages are assigned to windows: effective arrivals, parts, the cut at the end, records that were read before."""
from __future__ import annotations

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from pipeline.kinesis.api import Page
from pipeline.kinesis.assign import AssignedPage, assign_page
from pipeline.kinesis.limits import UNLIMITED, ShardLimit
from pipeline.kinesis.positions import Cursor
from pipeline.source import Batch, RawRecord

CURSOR = Cursor('events', 'shardId-000000000000', since_ms=1000, iterator='this')


def page_of(*records: tuple[int, int], following: str | None = 'next', behind_ms: int = 0, size: int = 1) -> Page:
    return Page([RawRecord(str(sequence), arrival_ms, 'key', bytes(size)) for sequence, arrival_ms in records],
                following, behind_ms, now_ms=50_000)


def assign(page: Page, cursor: Cursor = CURSOR, window_ms: int = 10_000, flush_bytes: int = 100,
           limit: ShardLimit = UNLIMITED) -> AssignedPage:
    return assign_page(cursor, page, window_ms, window_ms + 10_000, flush_bytes, limit)


def sequences(assigned: AssignedPage) -> list[str]:
    return [record.sequence for batch in assigned.batches for record in batch.records]


def test_records_of_the_window_make_one_batch_and_move_the_cursor() -> None:
    page = page_of((1, 10_000), (2, 19_999))

    assigned = assign(page)

    assert assigned.batches == [Batch('events', CURSOR.shard, 10_000, 0, page.records)]
    assert assigned.cursor == dataclasses.replace(
        CURSOR, sequence='2', arrival_ms=19_999, iterator='next', records=2, bytes=2, first='1', walked_ms=50_000)
    assert (assigned.rest, assigned.overtaken) == (None, 0)


def test_a_record_that_arrived_before_its_predecessor_takes_the_arrival_of_the_predecessor() -> None:
    assigned = assign(page_of((1, 15_000), (2, 20_000), (3, 14_000)))

    assert sequences(assigned) == ['1']
    assert assigned.rest is not None
    assert sequences(assign(assigned.rest, assigned.cursor, 20_000)) == ['2', '3']


def test_records_beyond_the_window_are_the_rest_and_the_shard_has_passed_its_end() -> None:
    page = page_of((1, 10_000), (2, 20_000), (3, 20_001))

    assigned = assign(page)

    assert assigned.rest == page._replace(records=page.records[1:])
    assert assigned.cursor.reached_ms == 20_000
    assert assigned.cursor.iterator == 'this'  # it returns this page again after a restore


def test_a_page_beyond_the_window_does_not_move_the_sequence_number() -> None:
    assigned = assign(page_of((1, 20_000)))

    assert (assigned.batches, assigned.cursor.sequence, assigned.cursor.reached_ms) == ([], '', 20_000)


def test_records_with_an_effective_arrival_before_the_start_are_skipped() -> None:
    cursor = dataclasses.replace(CURSOR, since_ms=10_000)

    assigned = assign(page_of((1, 9_999), (2, 10_000), (3, 9_000)), cursor)

    assert sequences(assigned) == ['2', '3']
    assert (assigned.cursor.first, assigned.cursor.records, assigned.overtaken) == ('2', 2, 0)


def test_skipped_records_move_the_cursor_so_that_they_are_not_read_again() -> None:
    cursor = dataclasses.replace(CURSOR, since_ms=10_000)

    assert assign(page_of((1, 9_000)), cursor).cursor.sequence == '1'


def test_an_overtaken_record_goes_to_the_open_window_and_is_counted() -> None:
    assigned = assign(page_of((1, 9_999), (2, 10_000)))

    assert sequences(assigned) == ['1', '2']
    assert (assigned.batches[0].window_ms, assigned.overtaken) == (10_000, 1)


def test_a_record_past_the_limit_is_beyond_the_window_though_it_arrived_in_it() -> None:
    page = page_of((9, 10_000), (10, 10_001), (11, 10_002))

    assigned = assign(page, limit=ShardLimit(9))

    assert sequences(assigned) == ['9']
    assert assigned.rest == page._replace(records=page.records[1:])
    assert assigned.cursor.reached_ms == 20_000


def test_a_limit_that_is_not_exact_stands_beside_the_arrival() -> None:
    assert sequences(assign(page_of((1, 10_000), (2, 20_000)), limit=ShardLimit(2))) == ['1']


def test_up_to_an_exact_limit_records_belong_to_the_window_whatever_their_arrival() -> None:
    assigned = assign(page_of((1, 9_000), (2, 20_000), (3, 10_000), (4, 10_000)), limit=ShardLimit(3, exact=True))

    assert sequences(assigned) == ['1', '2', '3']
    assert (assigned.cursor.arrival_ms, assigned.overtaken) == (20_000, 1)


def test_records_before_the_start_are_not_skipped_if_the_window_held_them() -> None:
    cursor = dataclasses.replace(CURSOR, since_ms=10_000)
    page = page_of((8, 7000), (9, 8000), (10, 9000), (11, 10_000))

    assert sequences(assign(page, cursor, limit=ShardLimit(held=(10, 11)))) == ['10', '11']
    assert sequences(assign(page, cursor, limit=ShardLimit(held=(20, 21)))) == ['11']


def test_parts_are_numbered_by_the_bytes_before_a_record_in_its_window() -> None:
    first = assign(page_of((1, 10_000), (2, 10_000), (3, 10_000), size=4), flush_bytes=8)
    second = assign(page_of((4, 10_000), size=4), first.cursor, flush_bytes=8)

    assert [(batch.part, len(batch.records)) for batch in [*first.batches, *second.batches]] == [(0, 2), (1, 1), (1, 1)]


def test_sequence_numbers_are_compared_as_numbers_not_as_text() -> None:
    cursor = dataclasses.replace(CURSOR, sequence='9', arrival_ms=10_000)

    assert sequences(assign(page_of((8, 10_000), (9, 10_000), (10, 10_000)), cursor)) == ['10']


def test_a_shard_without_a_next_iterator_closes_once_all_records_are_taken() -> None:
    cut = assign(page_of((1, 10_000), (2, 20_000), following=None))
    assert cut.rest is not None
    ended = assign(cut.rest, cut.cursor, 20_000)

    assert not cut.cursor.closed
    assert ended.cursor.closed
    assert (ended.cursor.iterator, sequences(ended)) == ('', ['2'])


def test_an_empty_page_behind_the_tip_moves_walked_ms() -> None:
    assigned = assign(page_of(behind_ms=30_000))

    assert (assigned.cursor.walked_ms, assigned.cursor.reached_ms, assigned.cursor.iterator) == (20_000, 0, 'next')


@given(st.lists(st.tuples(st.integers(0, 40_000), st.integers(0, 30)), max_size=40), st.data())
def test_page_borders_change_no_window_or_part(log: list[tuple[int, int]], data: st.DataObject) -> None:
    records = [RawRecord(str(number + 1), arrival_ms, 'key', bytes(size)) for number, (arrival_ms, size)
               in enumerate(log)]
    whole = _read([records])
    borders = sorted(data.draw(st.lists(st.integers(0, len(records)), max_size=8)))
    ends = [*borders, len(records)]
    pages = [records[start:end] for start, end in zip([0, *borders], ends, strict=True)]

    assert _read(pages) == whole


def _read(pages: list[list[RawRecord]]) -> list[tuple[str, int, int]]:
    """Assign pages window by window, as a reader does; return (sequence number, window, part) of each record."""
    cursor, found, window_ms = dataclasses.replace(CURSOR, since_ms=5_000), [], 0
    for records in pages:
        rest: Page | None = Page(records, 'next', 0, 50_000)
        while rest:
            assigned = assign(rest, cursor, window_ms, flush_bytes=25)
            found += [(record.sequence, batch.window_ms, batch.part) for batch in assigned.batches
                      for record in batch.records]
            cursor, rest = assigned.cursor, assigned.rest
            if rest:
                window_ms += 10_000
                cursor = dataclasses.replace(cursor, records=0, bytes=0, first='')
    return found
