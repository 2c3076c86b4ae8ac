"""Compare three independent counts: what was put, what the manifests say, and what the objects contain."""
from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from pipeline.local.contents import KINDS, Contents
from pipeline.local.events import ID, Sample
from pipeline.local.servers import Put


class Row(NamedTuple):
    """One thing, counted three times. `put` is None if the producer cannot know it. `same` is whether all agree."""

    name: str
    put: int | None
    manifests: int
    objects: int
    same: bool


def compare_counts(samples: Sequence[Sample], puts: Sequence[Put], contents: Contents) -> list[Row]:
    """Count what was put, what the manifests say and what the objects contain, and compare the contents too.

    Records and bytes are the same only if the backup has each record once, byte for byte. Events are the same only if
    each id occurs as often as it was sent.
    """
    counts = sum((Counter(_figures(manifest['counts'])) for manifest in contents.manifests), Counter[str]())
    backup = [((line['shardId'], line['sequenceNumber']), base64.b64decode(line['data']))
              for line in contents.of('backup')]
    identical = sorted(backup) == sorted(((put.shard, put.sequence), put.data) for put in puts)
    sent = Counter(name for sample in samples for name in sample.ids)
    found = Counter(line.get(ID, '') for line in contents.of('events'))
    listed = {item['path'] for manifest in contents.manifests for item in manifest['objects']}
    stored = {path for kind in KINDS for path in contents.paths(kind)}
    return [
        _row('records', len(puts), counts['records'], len(backup), identical),
        _row('bytes', sum(len(put.data) for put in puts), counts['bytes'], sum(len(data) for _, data in backup),
             identical),
        _row('events', sent.total(), counts['lines'], found.total(), sent == found),
        _row('malformed', sum(sample.broken for sample in samples), counts['errors'],
             sum(1 for _ in contents.of('errors')), True),
        _row('objects', None, len(listed), len(stored), listed == stored),
    ]


def _figures(counts: dict[str, int | dict[str, int]]) -> dict[str, int]:
    return {name: sum(count.values()) if isinstance(count, dict) else count for name, count in counts.items()}


def _row(name: str, put: int | None, manifests: int, objects: int, same: bool) -> Row:
    return Row(name, put, manifests, objects, same and manifests == objects and put in (None, objects))
