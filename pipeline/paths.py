"""Paths of objects below the output: pure functions of hour, platform, flush window, part and output shard."""
from __future__ import annotations

import functools
import hashlib

from pipeline.windows import utc

EXTENSIONS = {'gzip': 'json.gz', 'none': 'json'}
MANIFESTS = 'manifests/'
RESUME = 'resume.json'


@functools.lru_cache(maxsize=4096)
def event_path(hour_ms: int, platform: str, name: str) -> str:
    """Return the path for one event hour and platform: `events/year=2022/month=06/day=21/hour=00/platform=ios/NAME`."""
    return f'events/{_hour_folder(hour_ms)}/platform={platform}/{name}'


def error_path(code: str, window_ms: int, name: str) -> str:
    """Return the path for malformed fragments of one error code that arrived in the flush window."""
    return f'errors/{code}/{_hour_folder(window_ms)}/{name}'


def backup_path(window_ms: int, name: str) -> str:
    """Return the path for untouched records that arrived in the flush window."""
    return f'backup/{_hour_folder(window_ms)}/{name}'


def manifest_path(window_ms: int) -> str:
    """Return the path of a window's manifest: `manifests/year=2026/month=11/day=23/20261123T101500Z.json`."""
    return f'{manifest_day(window_ms)}{window_stamp(window_ms)}.json'


def manifest_day(window_ms: int) -> str:
    """Return the folder of the manifests of that day, with a closing slash."""
    return f'{MANIFESTS}{utc(window_ms):year=%Y/month=%m/day=%d}/'


@functools.lru_cache(maxsize=4096)
def object_name(window_ms: int, part: int, shard: int, shards: int, compression: str) -> str:
    """Return the name of an object, which is unique within its folder by flush window, part and output shard.

    `object_name(0, 0, 0, 1, 'gzip') == '19700101T000000Z-p00000-00000-of-00001.json.gz'`
    """
    return f'{window_stamp(window_ms)}-p{part:05d}-{shard:05d}-of-{shards:05d}.{EXTENSIONS[compression]}'


@functools.lru_cache(maxsize=4096)
def output_shard(stream: str, shard: str, shards: int) -> int:
    """Return the output shard of a Kinesis shard, from 0 to `shards` - 1: the same on every machine and run."""
    return stable_hash(f'{stream}/{shard}') % shards


def stable_hash(text: str) -> int:
    """Return a hash of 64 bits that, unlike Python's own, is the same in every process."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), 'big')


@functools.lru_cache(maxsize=4096)
def _hour_folder(ms: int) -> str:
    return f'{utc(ms):year=%Y/month=%m/day=%d/hour=%H}'


def window_stamp(ms: int) -> str:
    """Return the start of a window as names of objects begin with it: `20261123T101500Z`. It sorts by time."""
    return f'{utc(ms):%Y%m%dT%H%M%SZ}'
