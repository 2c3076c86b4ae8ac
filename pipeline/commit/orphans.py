"""Orphans: objects that a run with other settings wrote and did not commit. No manifest lists them."""
from __future__ import annotations

import re
from collections.abc import Mapping

from pipeline.commit.manifests import manifests_between
from pipeline.paths import window_stamp
from pipeline.stores.base import Store

_NAME = re.compile(r'(\d{8}T\d{6}Z)-p\d{5,}-\d{5}-of-\d{5}\.json(?:\.gz)?')


def remove_orphans(store: Store, stores: Mapping[str, Store], start_ms: int, end_ms: int) -> int:
    """Remove the objects of windows that start in [start, end) and that no manifest in `store` lists.

    Return how many were removed. A run that writes these windows again with the same settings puts the same objects in
    their places. A run with other settings may put them elsewhere, and the former ones would stay as doubles. An event
    may have any hour, so all keys are listed, a thousand a call.
    """
    first, end = window_stamp(start_ms), window_stamp(end_ms)
    found = [(place, path) for kind, place in stores.items() for path in place.list(f'{kind}/')
             if (name := _NAME.fullmatch(path.rsplit('/', 1)[-1])) and first <= name[1] < end]
    listed = {path for manifest in manifests_between(store, start_ms, end_ms) for path in manifest.hashes}
    orphans = [(place, path) for place, path in found if path not in listed]
    for place, path in orphans:
        place.delete(path)
    return len(orphans)
