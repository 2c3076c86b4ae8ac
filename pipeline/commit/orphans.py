"""Objects of windows that a run with other settings began and did not commit: no manifest lists them."""
from __future__ import annotations

import re
from collections.abc import Mapping

from pipeline.commit.manifests import manifests_between
from pipeline.paths import window_stamp
from pipeline.stores.base import Store

_NAME = re.compile(r'(\d{8}T\d{6}Z)-p\d{5,}-\d{5}-of-\d{5}\.json(?:\.gz)?')


def remove_orphans(store: Store, stores: Mapping[str, Store], start_ms: int, end_ms: int) -> int:
    """Remove the objects of windows that start in [start, end) and that no manifest in `store` lists; gives how many.

    A run that writes these windows again with the same settings would put the same objects in their places; one with
    others may put them elsewhere, and these would stay as doubles. An event may have any hour, so every key is looked
    at: a call for each thousand.
    """
    first, end = window_stamp(start_ms), window_stamp(end_ms)
    found = [(where, path) for kind, where in stores.items() for path in where.list(f'{kind}/')
             if (name := _NAME.fullmatch(path.rsplit('/', 1)[-1])) and first <= name[1] < end]
    listed = {path for manifest in manifests_between(store, start_ms, end_ms) for path in manifest.hashes}
    left = [(where, path) for where, path in found if path not in listed]
    for where, path in left:
        where.delete(path)
    return len(left)
