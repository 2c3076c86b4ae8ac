from __future__ import annotations

import collections
import json
import pathlib

import pytest

from pipeline.local.events import ENDINGS, EXAMPLE, ID, LATE_MS, SPAN_MS, Sample, sample_records
from pipeline.options.types import iso_ms
from pipeline.windows import HOUR_MS
from transforms import event_hour_ms, flatten_event, parse_event, platform_of, rename_fields, split_record

NOW_MS = iso_ms('2026-11-23T10:15:00Z') or 0
SEED = pathlib.Path(__file__).parents[1] / 'data' / 'seed_before.txt'


@pytest.fixture(scope='module')
def samples() -> list[Sample]:
    return list(sample_records(5000, NOW_MS))


def test_the_example_is_the_one_of_the_golden_files() -> None:
    assert EXAMPLE == SEED.read_bytes()


def test_equal_arguments_give_equal_records_another_seed_others(samples: list[Sample]) -> None:
    assert list(sample_records(5000, NOW_MS)) == samples
    assert list(sample_records(5000, NOW_MS, seed=2)) != samples


def test_every_event_has_an_id_of_its_own_and_the_example_has_none(samples: list[Sample]) -> None:
    ids = collections.Counter(name for sample in samples for name in sample.ids)

    assert (ids.pop(''), len(ids), set(ids.values())) == (2, 5000, {1})


def test_a_sample_describes_its_bytes(samples: list[Sample]) -> None:
    for sample in samples:
        split = split_record(sample.data)
        assert tuple(document.get(ID, '') for document in split.documents) == sample.ids
        assert (split.rest is not None) == sample.broken


def test_every_malformed_ending_occurs(samples: list[Sample]) -> None:
    found = {ending for sample in samples for ending in ENDINGS if sample.data.endswith(ending)}

    assert found == set(ENDINGS) and sum(sample.broken for sample in samples) < len(samples) / 50


def test_events_are_of_two_hours_some_of_the_day_before_on_four_platforms(samples: list[Sample]) -> None:
    lines = [rename_fields(flatten_event(parse_event(document)))
             for sample in samples if sample.data != EXAMPLE for document in split_record(sample.data).documents]
    hours = collections.Counter(event_hour_ms(line['event_time'], NOW_MS) for line in lines)
    first_ms = NOW_MS - NOW_MS % HOUR_MS - SPAN_MS
    late_ms = first_ms + SPAN_MS - LATE_MS

    assert sorted(hour for hour in hours if hour) == [late_ms, *range(first_ms, NOW_MS, HOUR_MS)]
    assert 50 < hours[late_ms] < 250
    assert {platform_of(line['platform'], '') for line in lines} == {'ios', 'android', 'web', 'other'}


def test_renaming_gives_the_fields_of_all_apps_the_same_names(samples: list[Sample]) -> None:
    documents = [document for sample in samples if sample.data != EXAMPLE
                 for document in split_record(sample.data).documents]
    names = collections.Counter(name for document in documents for name in document)

    assert 0 < names['eventName'] < names['event_name']
    assert all('event_name' in rename_fields(flatten_event(document)) for document in documents)


@pytest.mark.parametrize('events', [0, 1, 2, 7])
def test_the_number_of_events_is_as_requested(events: int) -> None:
    ids = [name for sample in sample_records(events, NOW_MS) for name in sample.ids if name]

    assert len(ids) == events and json.dumps(ids).isascii()
