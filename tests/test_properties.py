"""What holds for all data: paths keep their form, no document is lost or doubled, equal streams give equal bytes."""
from __future__ import annotations

import collections
import functools
import json
import re
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from pipeline.write.buffers import LineBuffers
from pipeline.write.chunks import join_chunks
from pipeline.write.layout import Layout
from pipeline.write.window import _WindowEvents
from transforms import (
    ERROR_CODES,
    MalformedRecord,
    Origin,
    Record,
    encode_event,
    encode_failure,
    flatten_event,
    parse_event,
    rename_fields,
    split_record,
)
from transforms.batching import convert, failure
from transforms.limits import Limits
from transforms.split import indices_of

WINDOW = 1_763_893_500_000
NAME = '20251123T102500Z-p00000-00000-of-00001[.]json[.]gz'
PATH = re.compile('events/year=[0-9]{4}/month=[0-9]{2}/day=[0-9]{2}/hour=[0-9]{2}/platform=[a-z0-9_-]{1,32}/' + NAME)
ERROR_PATH = re.compile('errors/[a-z0-9-]+/year=2025/month=11/day=23/hour=10/' + NAME)

texts = st.text(st.characters(exclude_categories=['Cs']), max_size=12) | st.sampled_from([
    '..', '../../x', 'a/b', 'ios', 'iOS', '\x00', 'platform=x/hour=1', '2025-11-23 10:00:00', '0000-01-01T00:00:00Z',
    '9999-12-31 23:59:59', '1763893500', '-1', '{"a":[1,{"b":2}]}', '[' * 100 + ']' * 100, '\u2028', '\n'])
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
names = texts | st.sampled_from(['platform', 'Platform', 'event_time', 'eventTime', 'event_value', 'a_b', 'a', 'A B'])
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
                      max_leaves=8)
events = st.dictionaries(names, values, max_size=5)
damage = st.sampled_from([b'', b'', b'', b'{', b'{"a":NaN}', b'[]{}', b'\xff', b'}', b'null', b'"\\ud800"'])
glue = st.sampled_from([b'', b'\n', b' \r\n\t'])


@st.composite
def records(draw: st.DrawFn) -> bytes:
    documents = draw(st.lists(events.map(lambda event: json.dumps(event).encode()), max_size=5))
    return draw(glue).join(documents) + draw(damage)


def origin(sequence: int) -> Origin:
    return Origin('app', 'shardId-0', str(sequence), arrival_ms=WINDOW + 7, window_ms=WINDOW)


def worked(data: bytes, sequence: int = 1) -> tuple[Record, list[bytes]]:
    """Take a record through all stages. Return it renamed, and the error lines of its malformed documents."""
    split = split_record(data)
    record = Record(origin(sequence), data, split.documents, indices_of(split), len(split.documents),
                    split.rest is not None)
    refused = (*split.skipped, split.rest) if split.rest else split.skipped
    lines = [encode_failure(failure(record.origin, 'split', *malformed)) for malformed in refused]
    limits = Limits(len(data))
    for function in (parse_event, functools.partial(flatten_event, limits=limits), rename_fields):
        record, failures = convert(record, function, 'any')
        lines += map(encode_failure, failures)
    return record, lines


@given(st.dictionaries(names, scalars, max_size=6), st.integers(0, 1 << 42), texts)
def test_no_event_changes_the_form_of_its_path(event: dict[str, Any], arrival_ms: int, key: str) -> None:
    layout = Layout()
    placed = Origin('app', 'shardId-0', '1', 0, key, arrival_ms, '', WINDOW)

    assert PATH.fullmatch(layout.event(event, {}, placed, layout.hour_of(event, {}, placed), layout.name(placed)))


@given(st.binary(max_size=200) | records())
def test_no_bytes_of_a_record_change_the_form_of_a_path_or_raise(data: bytes) -> None:
    record, _ = worked(data)
    layout = Layout()

    for event in record.documents:
        hour_ms = layout.hour_of(event, {}, record.origin)
        assert PATH.fullmatch(layout.event(event, {}, record.origin, hour_ms, layout.name(record.origin)))
    for code in ERROR_CODES:
        assert ERROR_PATH.fullmatch(layout.failure(code, record.origin))


@given(records())
def test_every_document_is_one_line_or_one_error(data: bytes) -> None:
    split = split_record(data)

    record, errors = worked(data)

    assert len(split.documents) + len(split.skipped) + (split.rest is not None) == len(record.documents) + len(errors)
    for line in map(encode_event, record.documents):
        assert b'\n' not in line
        assert isinstance(msgspec.json.decode(line), dict)


@given(st.lists(events, max_size=5))
def test_concatenated_documents_give_the_same_lines_as_single_ones(given_events: list[dict[str, Any]]) -> None:
    texts_of = [json.dumps(event) for event in given_events]

    def alone(text: str) -> list[bytes]:
        return [encode_event(event) for event in worked(text.encode())[0].documents]

    together, _ = worked(''.join(texts_of).encode())

    # Only the limit on the output of a record looks at more than one document, and these are far below it.
    assert [encode_event(event) for event in together.documents] == [line for text in texts_of for line in alone(text)]


@given(events)
def test_no_value_is_lost_by_renaming(event: dict[str, Any]) -> None:
    try:
        flat = flatten_event(event, Limits(1 << 20))
    except MalformedRecord:
        return

    def texts_in(document: dict[str, Any]) -> set[bytes]:
        return {encode_event({'v': value}) for value in document.values()}

    renamed = rename_fields(flat)

    assert texts_in(renamed) == texts_in(flat)
    assert len({name.lower() for name in renamed}) == len(renamed)  # readers such as Athena do not tell case apart


@given(st.data(), st.lists(records(), min_size=1, max_size=6))
def test_objects_do_not_depend_on_bundles_or_on_the_order_of_their_chunks(
        data: st.DataObject, contents: list[bytes]) -> None:
    worked_records = [worked(content, sequence)[0] for sequence, content in enumerate(contents)]
    cuts = data.draw(st.sets(st.integers(1, len(contents))))

    whole, cut = _objects(worked_records, set()), _objects(worked_records, cuts)
    shuffled = {path: data.draw(st.permutations(chunks)) for path, chunks in cut.items()}

    assert {path: join_chunks(chunks) for path, chunks in shuffled.items()} == {
        path: join_chunks(chunks) for path, chunks in whole.items()}


def _objects(given_records: list[Record], cuts: set[int]) -> dict[str, list[bytes]]:
    """Return the chunks by path. A new bundle begins after each of these numbers of records."""
    dofn, chunks = _WindowEvents(Layout()), collections.defaultdict(list)
    dofn._buffers = LineBuffers()
    for number, record in enumerate(given_records, 1):
        given_chunks = list(dofn.process(record))
        if number in cuts or number == len(given_records):
            given_chunks += list(dofn._buffers.flush())
            dofn._buffers = LineBuffers()
        for keyed in given_chunks:
            chunks[keyed.value[0].decode()].append(keyed.value[1])
    return chunks
