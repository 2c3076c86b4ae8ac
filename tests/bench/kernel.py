"""Convert records to JSON lines, with the functions of the four stages, and with a plain first draft."""
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
    """Do what the stages do to each record, with their limits, without Beam."""
    lines = []
    for data in records:
        limits = Limits(len(data))
        for document in split_record(data).documents:
            lines.append(encode_event(rename_fields(flatten_event(parse_event(document), limits), rules)))
    return lines


def draft(records: Iterable[bytes]) -> list[bytes]:
    """Do the same with only the `json` module, as a first draft would: for good documents, without limits."""
    return [json.dumps({_snake(name): value for name, value in _leaves(_parsed(document), '')},
                       ensure_ascii=False, separators=(',', ':')).encode()
            for data in records for document in _documents(data.decode())]


def timed(kernel: Callable[[list[bytes]], object], records: list[bytes], batch: int) -> Callable[[], float]:
    """Return a function that runs a kernel batch by batch and returns the CPU seconds. The lines are not kept."""
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
    members = value.items() if isinstance(value, dict) else ((str(index), item) for index, item in enumerate(value))
    for key, member in members:
        if isinstance(member, (dict, list)) and member:
            yield from _leaves(member, f'{prefix}{key}_')
        else:
            yield prefix + key, None if member in ({}, []) else member


def _snake(name: str) -> str:
    words = re.sub(r'(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])', '_', name)
    return re.sub(r'\W+', '_', words).strip('_').lower()
