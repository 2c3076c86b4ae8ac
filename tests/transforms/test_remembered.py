from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Iterator

import pytest

from pipeline import paths
from transforms import JsonFields, Rules, parse_event, rename_fields
from transforms.letters import kinds_of
from transforms.remembered import MAX_BYTES, MAX_ENTRY, Remembered, bytes_of

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
        assert 1 <= len(memory) <= 4000 // bytes_of('a100')
    assert 'a199' in memory


def test_what_is_too_long_is_not_remembered_and_empties_nothing() -> None:
    memory = Remembered(str.upper)

    assert memory['a'] == 'A'
    assert memory['b' * MAX_ENTRY] == 'B' * MAX_ENTRY
    assert list(memory) == ['a']
    wide = Remembered(len)
    assert wide[('',) * MAX_ENTRY] == MAX_ENTRY
    assert list(wide) == []


@pytest.mark.parametrize('key', ['', 'a' * 1000, '𐐀' * 1000, ('',), ('a',) * 10, ('𐐀' * 500, 'b')])
def test_the_bytes_of_an_entry_are_not_underestimated(key: str | tuple[str, ...]) -> None:
    def fresh(number: int) -> str | tuple[str, ...]:
        return f'{key}{number}' if isinstance(key, str) else tuple(f'{name}{number}' for name in key)

    memory = Remembered(lambda key: key + 'x' if isinstance(key, str) else tuple(name + 'x' for name in key))
    tracemalloc.start()
    for number in range(200):
        memory[fresh(number)]
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()

    assert held <= sum(map(bytes_of, memory))


@pytest.mark.parametrize('name', ['K' * 1000 + '_{}', 'A_' * 500 + '{}', 'k' * 1000 + '_{}_Name', 'É' * 500 + '_{}x_y'])
def test_a_long_key_is_looked_at_once_for_all_members_of_its_value(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at = 0

    def counted(text: str) -> str:
        nonlocal looked_at
        looked_at += len(text)
        return kinds_of(text)

    monkeypatch.setattr('transforms.convention.kinds_of', counted)
    renamed = rename_fields({name.format(number): number for number in range(1000)}, Rules())

    assert len(renamed) == 1000
    assert looked_at < 10_000  # once all keys have a million characters


@pytest.mark.parametrize('kind', EVENTS)
def test_made_up_names_take_no_more_memory_than_the_bound(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bound = MAX_BYTES // 32  # tracing is slow
    monkeypatch.setattr('transforms.remembered.MAX_BYTES', bound)
    monkeypatch.setattr('transforms.remembered.MAX_ENTRY', bound // 8)
    rules, fields, make = Rules(), JsonFields(('event_value',)), EVENTS[kind]

    def run() -> None:
        event = make(next(numbers))
        rename_fields(parse_event(event, fields), rules)

    numbers: Iterator[int] = iter(range(10 ** 9))
    run()
    tracemalloc.start()
    highest = 0
    for _ in range(6):
        for _ in range({'many names': 40, 'short names': 600, 'names with capitals': 500}.get(kind, 200)):
            run()
        gc.collect()
        highest = max(highest, tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()

    # Five memories: of pieces and heads of names, of names, and of those of events before and after flattening.
    assert highest <= 5 * bound


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
