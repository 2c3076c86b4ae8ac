"""Batches become records with origins: sub-sequence numbers, labels, broken aggregates, portions."""
from __future__ import annotations

import pytest

from pipeline.kinesis.deaggregate import (
    ERROR_LINE_BYTES,
    MAX_ERROR_GROWTH,
    PORTION_BYTES,
    SPARE_ERROR_BYTES,
    DeaggregateBatches,
    Deaggregated,
    deaggregate_batch,
    portions,
)
from pipeline.source import Batch, RawRecord
from tests.kinesis.aggregates import aggregate, sealed
from transforms import Failure, Origin, Record, encode_failure

SHARD = 'shardId-000000000000'
HALF = PORTION_BYTES // 2


def batch_of(*datas: bytes, key: str | None = 'outer') -> Batch:
    return Batch('events', SHARD, 10_000, 2,
                 [RawRecord(str(number), 10_000 + number, key, data) for number, data in enumerate(datas)])


def origin_of(sequence: int, sub_sequence: int = 0, key: str | None = 'outer') -> Origin:
    return Origin('events', SHARD, str(sequence), sub_sequence, key, 10_000 + sequence, 'ios', 10_000, 2)


def test_a_plain_record_has_its_origin_and_the_label_of_its_stream() -> None:
    assert deaggregate_batch(batch_of(b'a', b''), {'events': 'ios', 'other': 'web'}) == (
        [Record(origin_of(0), b'a'), Record(origin_of(1), b'')], [])


def test_an_aggregate_becomes_numbered_records_with_their_own_keys() -> None:
    batch = batch_of(aggregate(('k1', b'a'), ('k2', b'b')), b'c')

    assert deaggregate_batch(batch, {'events': 'ios'}).records == [
        Record(origin_of(0, 0, 'k1'), b'a'), Record(origin_of(0, 1, 'k2'), b'b'), Record(origin_of(1), b'c')]


def test_a_broken_aggregate_is_one_failure_of_the_whole_record() -> None:
    broken = sealed(b'\x1a\x7f')

    deaggregated = deaggregate_batch(batch_of(broken, b'c'), {'events': 'ios'})

    assert deaggregated.failures == [Failure(origin_of(0), 'read', 'invalid-kpl',
                                     'not a KPL aggregate, although its MD5 is right', broken, 0, 0)]
    assert deaggregated.records == [Record(origin_of(1), b'c')]


def broken_among(good: int, broken: int, key: str = 'k') -> bytes:
    """Return an aggregate of so many tiny records, good and then broken ones."""
    return aggregate(*[(key, b'{}'.ljust(18))] * good, *[(key, b'{'.ljust(18))] * broken)


@pytest.mark.parametrize('key', ['k' * 16, '\x01' * 256])
@pytest.mark.parametrize('good', [0, 20])
def test_tiny_broken_records_are_error_lines_of_their_own_up_to_a_multiple_of_their_aggregate(
        key: str, good: int) -> None:
    allowed = max(number for number in range(1, 150) if deaggregate(broken_among(good, number, key)).records)

    assert len(deaggregate(broken_among(good, allowed, key)).records) == good + allowed
    refused = deaggregate(broken_among(good, allowed + 1, key))
    assert refused.records == []
    (failure,) = refused.failures
    assert (failure.code, failure.message, failure.fragment) == (
        'invalid-kpl', 'the error lines of its malformed records would take more than 16 times its size and 8 KiB',
        broken_among(good, allowed + 1, key))


@pytest.mark.parametrize('key', ['k' * 16, '\x01' * 256, 'é' * 256])
@pytest.mark.parametrize('data', [b'{', b'{"n":' * 20, b'\xff', b'[]'])
def test_the_error_lines_of_an_aggregate_take_at_most_a_multiple_of_its_bytes(key: str, data: bytes) -> None:
    for count in (2, 10, 100, 2000):
        packed = aggregate(*[(key, data)] * count)
        deaggregated = deaggregate(packed)
        lines = [*deaggregated.failures, *(Failure(record.origin, 'split', 'invalid-json', 'x' * 80, record.data, 0, 0)
                                           for record in deaggregated.records)]

        assert sum(len(encode_failure(line)) for line in lines) <= (
            MAX_ERROR_GROWTH * len(packed) + SPARE_ERROR_BYTES + ERROR_LINE_BYTES)


@pytest.mark.parametrize('data', [b'{}', b'', b'\xef\xbb\xbf{}', b'{"a":"\\ud800"}', b'{"":1e400}'])
def test_any_number_of_small_records_that_are_not_malformed_is_taken(data: bytes) -> None:
    assert len(deaggregate(aggregate(*[('k', data.ljust(18))] * 5000)).records) == 5000


def deaggregate(data: bytes) -> Deaggregated:
    return deaggregate_batch(batch_of(data), {'events': 'ios'})


def test_a_record_without_a_partition_key_is_read() -> None:
    assert deaggregate_batch(batch_of(b'a', key=None), {'events': 'ios'}).records == [
        Record(origin_of(0, 0, None), b'a')]


def test_records_and_failures_are_two_lists() -> None:
    records, failures = DeaggregateBatches({'events': 'ios'}).process(batch_of(b'a', sealed(b'\x1a\x7f')))

    assert records == [Record(origin_of(0), b'a')]
    assert (failures.tag, len(failures.value)) == ('malformed', 1)


@pytest.mark.parametrize(('sizes', 'expected'), [
    ([], []), ([0], [1]), ([HALF, HALF], [2]), ([HALF, HALF, 1], [2, 1]), ([PORTION_BYTES * 3, 1, 1], [1, 2]),
    ([1] * 5, [5]), ([HALF, PORTION_BYTES], [2])])
def test_a_batch_is_cut_into_portions_of_64_kib_with_each_record_once_and_in_order(
        sizes: list[int], expected: list[int]) -> None:
    records = [RawRecord(str(index), 1, None, b'x' * size) for index, size in enumerate(sizes)]
    batch = Batch('app', 'shardId-0', 300_000, 7, records)

    cut = list(portions(batch))

    assert [len(portion.records) for portion in cut] == expected
    assert [record for portion in cut for record in portion.records] == records
    assert {portion[:4] for portion in cut} <= {batch[:4]}
