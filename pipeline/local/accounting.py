"""Three independent counts side by side: what was put, what the manifests say, what the objects hold."""
from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from pipeline.local.contents import KINDS, Contents
from pipeline.local.events import ID, Sample
from pipeline.local.servers import Put


class Row(NamedTuple):
    """One thing counted three times; `put` is None where the producer cannot know."""

    name: str
    put: int | None
    manifests: int
    objects: int
    same: bool


def account(samples: Sequence[Sample], puts: Sequence[Put], contents: Contents) -> list[Row]:
    """Compare what was put with the manifests and the objects, the contents too and not only the figures.

    `same` of records and bytes: the backup holds each record once, byte for byte; of events: each id is there as often
    as it was sent.
    """
    counts = sum((Counter(_figures(manifest['counts'])) for manifest in contents.manifests), Counter[str]())
    backup = [((line['shardId'], line['sequenceNumber']), base64.b64decode(line['data']))
              for line in contents.of('backup')]
    whole = sorted(backup) == sorted(((put.shard, put.sequence), put.data) for put in puts)
    sent = Counter(name for sample in samples for name in sample.ids)
    found = Counter(line.get(ID, '') for line in contents.of('events'))
    listed = {item['path'] for manifest in contents.manifests for item in manifest['objects']}
    stored = {path for kind in KINDS for path in contents.paths(kind)}
    return [
        _row('records', len(puts), counts['records'], len(backup), whole),
        _row('bytes', sum(len(put.data) for put in puts), counts['bytes'], sum(len(data) for _, data in backup), whole),
        _row('events', sent.total(), counts['lines'], found.total(), sent == found),
        _row('malformed', sum(sample.broken for sample in samples), counts['errors'],
             sum(1 for _ in contents.of('errors')), True),
        _row('objects', None, len(listed), len(stored), listed == stored),
    ]


def _figures(counts: dict[str, int | dict[str, int]]) -> dict[str, int]:
    return {name: sum(count.values()) if isinstance(count, dict) else count for name, count in counts.items()}


def _row(name: str, put: int | None, manifests: int, objects: int, same: bool) -> Row:
    return Row(name, put, manifests, objects, same and manifests == objects and put in (None, objects))
