from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Iterator

import pytest

from pipeline import paths
from transforms import JsonFields, Rules, parse_event, rename_fields
from transforms.remembered import MAX_BYTES, MAX_LENGTH, Remembered

#: Made-up names of several kinds: short, long, of four bytes a character, and many in one event.
EVENTS: dict[str, Callable[[int], dict[str, int]]] = {
    'short names': lambda number: {f'{number:x}': 1},
    'names with capitals': lambda number: {f'A{number:x}B': 1},
    'long names': lambda number: {f'Long{number}' * 60: 1},
    'names of wide characters': lambda number: {f'𐐀{number}' * 20: 1},
    'many names': lambda number: {f'K{number}{index}': 1 for index in range(50)}}


def test_what_was_found_is_remembered() -> None:
    found: list[str] = []

    def find(key: str) -> str:
        found.append(key)
        return key.upper()

    memory = Remembered(find)

    assert [memory['a'], memory['a'], memory['b']] == ['A', 'A', 'B']
    assert found == ['a', 'b']


def test_a_full_memory_is_emptied_and_remembers_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('transforms.remembered.MAX_BYTES', 4000)
    memory = Remembered(str.upper)

    for number in range(100, 200):
        assert memory[f'a{number}'] == f'A{number}'
        assert len(memory) <= 4000 // 150
    assert 'a199' in memory


def test_what_is_too_long_is_not_remembered_and_empties_nothing() -> None:
    memory = Remembered(str.upper)

    assert memory['a'] == 'A'
    assert memory['b' * (MAX_LENGTH + 1)] == 'B' * (MAX_LENGTH + 1)
    assert list(memory) == ['a']
    wide = Remembered(len)
    wide[tuple(f'{number}' * 100 for number in range(MAX_LENGTH))]
    assert list(wide) == []


@pytest.mark.parametrize('kind', EVENTS)
def test_made_up_names_take_no_more_memory_than_the_bound(kind: str) -> None:
    rules, fields, make = Rules(), JsonFields(('event_value',)), EVENTS[kind]

    def run() -> None:
        event = make(next(numbers))
        rename_fields(parse_event(event, fields), rules)

    numbers: Iterator[int] = iter(range(10 ** 9))
    run()
    tracemalloc.start()
    highest = 0
    for _ in range(6):
        for _ in range(60 if kind == 'many names' else 2000):
            run()
        gc.collect()
        highest = max(highest, tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()

    # Four memories: of words, of names, and of the names of events before and after they are flattened.
    assert highest <= 4 * MAX_BYTES


def test_the_memories_of_paths_stay_within_a_few_mebibytes() -> None:
    tracemalloc.start()
    for number in range(10_000):
        paths.event_path(number * 3_600_000, f'{number:032}', f'{number:060}')
        paths.object_name(number * 300_000, number, 0, 1, 'gzip')
        paths.output_shard('s' * 128, f'shardId-{number:012}', 2)
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    for memory in (paths.event_path, paths.object_name, paths.output_shard, paths._hour_folder):
        memory.cache_clear()

    assert held <= 8 << 20
