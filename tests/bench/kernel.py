"""From the bytes of a record to JSON lines: by the functions of the four stages, and by a plain draft of the same."""
from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from transforms import CONVENTION, Rules, encode_event, flatten_event, parse_event, rename_fields, split_record
from transforms.limits import Limits

AS_THEY_ARE = Rules(convention=False)
_decoder = json.JSONDecoder()


def ours(records: Iterable[bytes], rules: Rules = CONVENTION) -> list[bytes]:
    """Do what the stages do to each record, limits and all, without Beam."""
    lines = []
    for data in records:
        limits = Limits(len(data))
        for document in split_record(data).documents:
            lines.append(encode_event(rename_fields(flatten_event(parse_event(document), limits), rules)))
    return lines


def draft(records: Iterable[bytes]) -> list[bytes]:
    """Do the same by the `json` module alone, as one would write it first; good documents only, no limits."""
    return [json.dumps({_snake(name): value for name, value in _leaves(_parsed(document), '')},
                       ensure_ascii=False, separators=(',', ':')).encode()
            for data in records for document in _documents(data.decode())]


def timed(kernel: Callable[[list[bytes]], object], records: list[bytes], batch: int) -> Callable[[], float]:
    """Make a candidate of a kernel: run it batch by batch, keep nothing, give the CPU seconds that it took."""
    batches = [records[at:at + batch] for at in range(0, len(records), batch)]

    def run() -> float:
        began = time.process_time()
        for one in batches:
            kernel(one)
        return time.process_time() - began

    return run


def _documents(text: str) -> Iterator[dict[str, Any]]:
    at = 0
    while at < len(text):
        document, at = _decoder.raw_decode(text, at)
        yield document


def _parsed(event: dict[str, Any]) -> dict[str, Any]:
    value = event.get('event_value')
    return {**event, 'event_value': json.loads(value)} if value else event


def _leaves(value: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    members = value.items() if isinstance(value, dict) else ((str(place), item) for place, item in enumerate(value))
    for key, member in members:
        if isinstance(member, (dict, list)) and member:
            yield from _leaves(member, f'{prefix}{key}_')
        else:
            yield prefix + key, None if member in ({}, []) else member


def _snake(name: str) -> str:
    words = re.sub(r'(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])', '_', name)
    return re.sub(r'\W+', '_', words).strip('_').lower()
