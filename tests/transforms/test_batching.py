from __future__ import annotations

import weakref
from collections.abc import Sequence

import apache_beam as beam
import orjson
import pytest

from transforms import Document, Failure, MalformedRecord, Origin, Record, encode_failure
from transforms.batching import RecordCoder, Stage, convert
from transforms.flatten import _FlattenEvents
from transforms.limits import MAX_ERROR_LINES
from transforms.split import _SplitRecords

ORIGIN = Origin('app', 'shardId-0', '49590338271490256608559692538361571095', 3, 'key', 1, 'ios', 2, 4)


@pytest.mark.parametrize(('value', 'size'), [
    (Record(ORIGIN, b'{"a":1}{', [{'a': 1}], [0], 1, True, [{'b': None}]), 8),
    (Failure(ORIGIN, 'split', 'invalid-json', 'no JSON', b'{"\xff', 1, 7), 3)])
def test_elements_survive_the_coder_and_their_size_is_that_of_their_bytes(value: Record | Failure, size: int) -> None:
    coder = beam.coders.registry.get_coder(Record)

    assert type(coder) is RecordCoder
    assert coder.decode(coder.encode(value)) == value
    assert type(coder.decode(coder.encode(value))) is type(value)
    assert coder.estimate_size(value) == size


def deep(levels: int) -> bytes:
    return b'{"k":' * levels + b'1' + b'}' * levels


def refused_by(stage: Stage, texts: Sequence[bytes]) -> tuple[Record, list[Failure]]:
    """Take the record of these documents through one stage."""
    documents = [] if isinstance(stage, _SplitRecords) else list(map(orjson.loads, texts))
    given = Record(ORIGIN, b' '.join(texts), documents, range(len(documents)), len(documents))
    (done,), failures = stage._work_all([given])
    return done, failures


@pytest.mark.parametrize(('stage', 'levels'), [
    (_SplitRecords('split'), 2000),  # the parser refuses this
    (_FlattenEvents('flatten'), 65)])
def test_the_hundredth_error_line_of_a_record_stands_for_all_further_documents(stage: Stage, levels: int) -> None:
    text = deep(levels)
    done, failures = refused_by(stage, [*[text] * 99, b'{"n":1}', *[text] * 51])

    assert (done.documents, list(done.indices), done.found, done.broken) == ([{'n': 1}], [99], 151, False)
    assert [item[1:] for item in failures] == [
        *(('flatten', 'too-deep', 'nested deeper than 64 levels', text, index, index * (len(text) + 1), 1)
          for index in range(99)),
        ('flatten', 'too-deep', 'nested deeper than 64 levels (51 documents)', text * 51, 100, 99 * (len(text) + 1) + 8,
         51)]
    assert all(item.documents == 1 for item in refused_by(stage, [text] * MAX_ERROR_LINES)[1])


def test_each_error_type_of_a_record_has_its_own_hundred_lines() -> None:
    long = b'{"%s":1}' % (b'k' * 1025)
    _, failures = refused_by(_FlattenEvents('flatten'), [deep(65), long] * 101)

    assert [(item.code, item.index, item.documents) for item in failures if item.documents > 1] == [
        ('too-deep', 198, 2), ('key-too-long', 199, 2)]
    assert len(failures) == 200


BOMB = b'{"%s":[%s]}' % (b'k' * 1000, b','.join([b'0'] * 20_000))


@pytest.mark.parametrize('texts', [
    [deep(65)] * 670, [b'{"%s":1}' % (b'k' * 1025)] * 255, [BOMB, *[b'{}'] * 90_000], [b'{}', *[BOMB] * 6]],
    ids=['65 levels', 'long keys', 'a bomb before tiny documents', 'bombs'])
def test_the_error_lines_of_a_large_record_take_less_than_twice_its_size(texts: list[bytes]) -> None:
    done, failures = refused_by(_FlattenEvents('flatten'), texts)

    assert sum(len(encode_failure(item)) for item in failures) < 2 * len(done.data) < 2 << 19
    assert sum(item.documents for item in failures) == len(texts) - len(done.documents) >= len(texts) - 6


def test_what_was_made_of_a_refused_document_is_freed_before_the_next_one() -> None:
    made: list[weakref.ref[object]] = []

    def refuse(document: Document) -> Document:
        assert [kept for kept in made if kept() is not None] == []
        half_done = Layer()
        made.append(weakref.ref(half_done))
        raise MalformedRecord('too-deep', 'nested deeper than 64 levels')

    class Layer:
        pass

    record = Record(ORIGIN, b'{}' * 3, [{}, {}, {}], range(3), 3)
    done, failures = convert(record, refuse, 'flatten')

    assert (done.documents, len(failures), len(made)) == ([], 3, 3)
