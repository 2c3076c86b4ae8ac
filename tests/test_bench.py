from __future__ import annotations

import json
import pathlib
import shutil
from collections.abc import Iterator

import pytest

from tests.bench.documents import SIZES, documents, records
from tests.bench.kernel import AS_THEY_ARE, draft, ours
from tests.bench.memory_kinesis import StubCalls
from tests.bench.node import MODULES, Lambda
from tests.bench.part_hostile import KINDS, written_of
from tests.bench.part_kernel import same_but_for_spelling
from tests.bench.rounds import take_turns
from tests.bench.whole import run_whole

DATA = pathlib.Path(__file__).parent / 'data'


@pytest.fixture(scope='module')
def handler() -> Iterator[Lambda]:
    if not (shutil.which('node') and (MODULES / 'flat').is_dir()):
        pytest.skip('needs Node and npm flat: tests/tools/install.sh installs them')
    with Lambda() as running:
        yield running


@pytest.mark.parametrize('size', SIZES)
def test_the_lambda_gives_the_same_lines_but_for_numbers_and_empty_containers(handler: Lambda, size: str) -> None:
    made = list(documents(size, 300))

    handler.load(made)

    pairs = list(zip(handler.lines(), ours(records(iter(made), 5), AS_THEY_ARE), strict=True))
    assert [pair for pair in pairs if not same_but_for_spelling(*pair)] == []


def test_the_lambda_gives_the_lines_of_the_example(handler: Lambda) -> None:
    record = (DATA / 'seed_before.txt').read_bytes()
    decoder, text = json.JSONDecoder(), record.decode()
    end = decoder.raw_decode(text)[1]

    handler.load([text[:end].encode(), text[end:].encode()])

    expected = (DATA / 'seed_after.ndjson').read_bytes().splitlines()
    assert handler.lines() == ours([record]) == expected


def test_spelling_is_all_that_may_differ() -> None:
    assert same_but_for_spelling(b'{"a":12,"b":true}', b'{"a":12.0,"b":true}')
    assert not same_but_for_spelling(b'{"a":12,"b":1}', b'{"a":12.0,"b":true}')
    assert not same_but_for_spelling(b'{"a":12,"b":1}', b'{"b":1,"a":12}')
    assert not same_but_for_spelling(b'{"a":12}', b'{"a":"12"}')
    assert same_but_for_spelling(b'{"a":{},"b":[]}', b'{"a":null,"b":null}')
    assert not same_but_for_spelling(b'{"a":{}}', b'{"a":{}}'.replace(b'{}', b'""'))


@pytest.mark.parametrize('size', SIZES)
def test_the_draft_gives_the_same_lines(size: str) -> None:
    made = list(records(documents(size, 50), 5))

    assert draft(made) == ours(made)


def test_the_stub_gives_the_whole_job_every_document() -> None:
    made = list(documents('medium', 200, hours=2, platforms=3))

    written = run_whole(StubCalls(records(iter(made), 5), shards=3, spread_ms=3_000_000), backup=True)

    manifests = [json.loads(data) for path, data in written.items() if path.startswith('manifests/')]
    assert sum(manifest['counts']['lines'] for manifest in manifests) == len(made)
    assert sum(manifest['counts']['backup'] for manifest in manifests) == len(made) // 5


@pytest.mark.parametrize('kind', KINDS)
def test_hostile_records_keep_to_the_bounds_of_their_lines_and_error_lines(kind: str) -> None:
    assert written_of(KINDS[kind](1 << 16)).count > 0


def test_candidates_take_turns() -> None:
    order: list[str] = []

    measured = take_turns({'a': lambda: order.append('a') or 1.0, 'b': lambda: order.append('b') or 2.0}, rounds=3)

    assert [sorted(order[at:at + 2]) for at in range(0, 8, 2)] == [['a', 'b']] * 4
    assert (measured.ratio('b', 'a'), measured.median('b')) == (2.0, 2.0)
