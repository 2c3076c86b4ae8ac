"""KPL aggregates are taken apart; everything that only looks like an aggregate is left as it is."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.kinesis.kpl import FREE_USER_RECORDS, UserRecord, deaggregate_record
from tests.kinesis.aggregates import MAGIC, aggregate, field, number, sealed
from transforms import MalformedRecord


@given(st.lists(st.tuples(st.text(max_size=256), st.binary(max_size=300)), min_size=1, max_size=20), st.booleans(),
       st.none() | st.integers(0, 2 ** 128 - 1).map(str))
def test_aggregated_records_are_returned_in_order(
        users: list[tuple[str, bytes]], tag: bool, explicit_hash: str | None) -> None:
    packed = aggregate(*users, explicit_hash=explicit_hash, tag=tag)

    assert deaggregate_record('outer', packed) == [UserRecord(key, data) for key, data in users]


def test_a_user_record_is_returned_whatever_its_hash_key_is() -> None:
    packed = aggregate(('a', b'1'), ('b', b'2'), explicit_hash=str(2 ** 128 - 1))

    assert [user.data for user in deaggregate_record('outer', packed)] == [b'1', b'2']


def test_an_empty_record_in_an_aggregate_is_returned() -> None:
    assert deaggregate_record('outer', aggregate(('a', b''))) == [UserRecord('a', b'')]


def test_an_aggregate_without_records_is_one_empty_record() -> None:
    assert deaggregate_record('outer', sealed(field(1, b'key'))) == [UserRecord(None, b'')]


@pytest.mark.parametrize('data', [
    b'', b'{}', MAGIC, MAGIC + b'{"a":1}', MAGIC + bytes(16), aggregate(('a', b'1'))[:-1],
    aggregate(('a', b'1'))[:-1] + b'\x00', b'\x00' + aggregate(('a', b'1')), b'\xff\xfe' * 40],
    ids=['empty', 'json', 'magic alone', 'magic by chance', 'no message', 'cut', 'wrong md5', 'magic not first',
         'binary'])
def test_a_record_that_is_no_aggregate_is_unchanged(data: bytes) -> None:
    (user,) = deaggregate_record('outer', data)

    assert user.partition_key == 'outer'
    assert user.data is data


@pytest.mark.parametrize('message', [
    b'\x1a\x7f', b'\xff' * 11, field(3, number(1, 0) + field(3, b'x')), field(1, b'k') + field(3, field(3, b'x')),
    field(1, b'k') + field(3, number(1, 0)), field(1, b'\xff') + field(3, number(1, 0) + field(3, b'x')), b'\x0b\x0c',
    b'\x1a', field(1, b'k') + field(3, number(1, 2 ** 63) + field(3, b'x')),
    field(1, b'k') + field(3, number(1, 0) + field(3, b'xy')[:-1])],
    ids=['truncated field', 'endless number', 'key not in table', 'no key', 'no data', 'key not text', 'groups',
         'tag alone', 'key far outside', 'a byte too short'])
def test_a_broken_aggregate_is_malformed(message: bytes) -> None:
    with pytest.raises(MalformedRecord) as error:
        deaggregate_record('outer', sealed(message))

    assert error.value.code == 'invalid-kpl'
    assert error.value.message == 'not a KPL aggregate, although its MD5 is right'


@given(st.binary(max_size=200))
def test_any_sealed_bytes_are_user_records_or_malformed(message: bytes) -> None:
    try:
        users = deaggregate_record('outer', sealed(message))
    except MalformedRecord as error:
        assert error.code == 'invalid-kpl'
    else:
        assert users


def test_unknown_fields_are_skipped() -> None:
    record = number(1, 0) + field(3, b'x') + number(9, 300) + b'\x51' + bytes(8) + b'\x55' + bytes(4)

    assert deaggregate_record('outer', sealed(field(1, b'k') + field(3, record) + field(15, b'new'))) == [
        UserRecord('k', b'x')]


@given(st.binary(max_size=6) | st.builds(
    lambda key, data, rest: number(1, key) + field(3, data) + rest, st.integers(0, 300), st.binary(max_size=140),
    st.just(b'') | st.binary(max_size=4)))
def test_a_short_user_record_is_read_like_any_other(message: bytes) -> None:
    """A number may be longer than it has to be: `88 00` is a tag of 8. The KPL does not write it so."""
    keys = b''.join(field(1, b'%d' % key) for key in range(301))

    def read(record: bytes) -> object:
        try:
            return deaggregate_record('outer', sealed(keys + field(3, record)))
        except MalformedRecord:
            return 'malformed'

    longer = b'\x88\x00' + message[1:] if message[:1] == b'\x08' else message
    assert read(message) == read(longer)


def test_an_aggregate_of_ten_mebibytes_is_taken_apart() -> None:
    users = [('key', bytes(1 << 20))] * 10

    assert len(deaggregate_record('outer', aggregate(*users))) == 10


@pytest.mark.parametrize('character', ['k', 'é', '😀'])
def test_a_partition_key_has_at_most_the_256_characters_that_kinesis_takes(character: str) -> None:
    allowed, longer = character * 256, character * 257

    assert deaggregate_record('outer', aggregate((allowed, b'1'))) == [UserRecord(allowed, b'1')]
    with pytest.raises(MalformedRecord) as error:
        deaggregate_record('outer', aggregate(('a', b'1'), (longer, b'2')))
    assert (error.value.code, error.value.message) == ('invalid-kpl', 'not a KPL aggregate, although its MD5 is right')


def test_a_long_partition_key_that_no_record_uses_is_malformed_too() -> None:
    record = field(3, number(1, 0) + field(3, b'x'))

    with pytest.raises(MalformedRecord):
        deaggregate_record('outer', sealed(field(1, b'k') + field(1, b'k' * 257) + record))


@pytest.mark.parametrize('data', [b'', b'{}', b'{"a":1}', b'{"a":123456789}  '])
def test_an_aggregate_of_more_records_than_events_fit_in_is_malformed_beyond_a_few(data: bytes) -> None:
    users = [('k', data)] * FREE_USER_RECORDS

    assert len(deaggregate_record('outer', aggregate(*users))) == FREE_USER_RECORDS
    assert len(deaggregate_record('outer', aggregate(*[('k', data.ljust(18))] * 9999))) == 9999
    with pytest.raises(MalformedRecord, match='its user records take less than 24 bytes each'):
        deaggregate_record('outer', aggregate(*users * 100))
