"""Orphans: objects that a run with other settings wrote and did not commit. No manifest lists them."""
from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from pipeline.commit.manifests import Manifest, manifests_between
from pipeline.paths import manifest_path, window_stamp
from pipeline.stores.base import Store

_HOUR = r'year=\d{4}/month=\d\d/day=\d\d/hour=\d\d'
#: Whole paths of objects that this program writes: nothing else is ever removed, wherever it lies.
_PATH = re.compile(
    rf'(?:events/{_HOUR}/platform=[a-z0-9_-]+|errors/[a-z-]+/{_HOUR}|backup/{_HOUR})/'
    r'(?P<window>\d{8}T\d{6}Z)-p\d{5,}-\d{5}-of-\d{5}\.json(?:\.gz)?')


class Place(NamedTuple):
    """A store that objects of one kind (`events`, `errors` or `backup`) may be in.

    `uri` is that of a moved place, '' for the output itself.
    """

    kind: str
    uri: str
    store: Store


def remove_orphans(store: Store, places: Iterable[Place], start_ms: int, end_ms: int,
                   committed_ms: int | None = None) -> int:
    """Remove the objects of windows that start in [start, end) and that no manifest in `store` lists.

    Return how many were removed. A run that writes these windows again with the same settings puts the same objects in
    their places. A run with other settings may put them elsewhere, and the former ones would stay as doubles. An event
    may have any hour, so all keys are listed, a thousand a call.

    Windows from `committed_ms` on are not committed. A manifest among them whose objects are not all there was written
    by a run that was being fenced: it goes first, for it proves nothing.
    """
    first, end = window_stamp(start_ms), window_stamp(end_ms)
    found = {(place.uri, path): place.store for place in places for path in place.store.list(f'{place.kind}/')
             if (name := _PATH.fullmatch(path)) and first <= name['window'] < end}
    listed: set[tuple[str, str]] = set()
    for manifest in manifests_between(store, start_ms, end_ms):
        objects = _objects_of(manifest)
        if committed_ms is not None and manifest.window_ms >= committed_ms and not objects <= found.keys():
            store.delete(manifest_path(manifest.window_ms))
        else:
            listed |= objects
    orphans = [(path, where) for (uri, path), where in found.items() if (uri, path) not in listed]
    for path, where in orphans:
        where.delete(path)
    return len(orphans)


def _objects_of(manifest: Manifest) -> set[tuple[str, str]]:
    """Return the objects that a manifest lists, each with the URI of its place."""
    return {(manifest.moved.get(path.split('/', 1)[0], ''), path) for path in manifest.hashes}
