from __future__ import annotations

import subprocess
import sys

import pytest

from pipeline import paths
from pipeline.options.types import iso_ms


def at(text: str) -> int:
    ms = iso_ms(text)
    assert ms is not None
    return ms


HOUR = at('2022-06-21T00:00:00Z')
WINDOW = at('2026-11-23T10:15:00Z')


@pytest.mark.parametrize(('window', 'part', 'shard', 'shards', 'compression', 'expected'), [
    ('2026-11-23T10:15:00Z', 0, 0, 1, 'gzip', '20261123T101500Z-p00000-00000-of-00001.json.gz'),
    ('2026-11-23T10:15:00Z', 0, 0, 1, 'none', '20261123T101500Z-p00000-00000-of-00001.json'),
    ('2026-11-23T10:15:01Z', 12, 0, 1, 'gzip', '20261123T101501Z-p00012-00000-of-00001.json.gz'),
    ('2026-11-23T10:15:00Z', 0, 7, 16, 'gzip', '20261123T101500Z-p00000-00007-of-00016.json.gz'),
    ('2026-11-23T10:15:00Z', 99_999, 999, 1000, 'gzip', '20261123T101500Z-p99999-00999-of-01000.json.gz'),
    ('2000-01-01T00:00:00Z', 0, 0, 1, 'none', '20000101T000000Z-p00000-00000-of-00001.json'),
])
def test_a_name_says_window_part_and_output_shard(window: str, part: int, shard: int, shards: int, compression: str,
                                                  expected: str) -> None:
    assert paths.object_name(at(window), part, shard, shards, compression) == expected


@pytest.mark.parametrize(('path', 'expected'), [
    (paths.event_path(HOUR, 'ios', 'N'), 'events/year=2022/month=06/day=21/hour=00/platform=ios/N'),
    (paths.event_path(HOUR + 23 * 3_600_000, 'other', 'N'),
     'events/year=2022/month=06/day=21/hour=23/platform=other/N'),
    (paths.event_path(0, '_-', 'N'), 'events/year=1970/month=01/day=01/hour=00/platform=_-/N'),
    (paths.error_path('too-deep', WINDOW, 'N'), 'errors/too-deep/year=2026/month=11/day=23/hour=10/N'),
    (paths.backup_path(WINDOW, 'N'), 'backup/year=2026/month=11/day=23/hour=10/N'),
    (paths.manifest_path(WINDOW), 'manifests/year=2026/month=11/day=23/20261123T101500Z.json'),
    (paths.manifest_day(WINDOW), 'manifests/year=2026/month=11/day=23/'),
])
def test_a_path_is_a_pure_function_of_its_arguments(path: str, expected: str) -> None:
    assert path == expected


@pytest.mark.parametrize(('stream', 'shard', 'shards', 'expected'), [
    ('events', 'shardId-000000000000', 1, 0), ('events', 'shardId-000000000000', 4, 0),
    ('events', 'shardId-000000000001', 4, 1), ('other', 'shardId-000000000000', 4, 2)])
def test_output_shards_never_change_because_object_names_contain_them(stream: str, shard: str, shards: int,
                                                                 expected: int) -> None:
    assert paths.output_shard(stream, shard, shards) == expected


def test_a_stable_hash_is_the_same_in_every_process() -> None:
    program = "from pipeline.paths import stable_hash; print(stable_hash('events/shardId-000000000000'))"

    printed = subprocess.run([sys.executable, '-c', program], env={'PYTHONHASHSEED': '7'}, capture_output=True,
                             text=True, check=True).stdout

    assert int(printed) == paths.stable_hash('events/shardId-000000000000')
