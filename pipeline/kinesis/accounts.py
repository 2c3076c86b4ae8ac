"""What a reader says of a window that it closes, as a JSON row of the ledger."""
from __future__ import annotations

from typing import Any

import orjson

from pipeline.kinesis.positions import Cursor, ReaderState


def account_of(state: ReaderState, reader: int, readers: int) -> bytes:
    """Account for the window that ends the state: per shard with records its count, bytes, first and last sequence
    number; and for every shard the position reached."""
    shards = {cursor.key: {'records': cursor.records, 'bytes': cursor.bytes, 'first': cursor.first,
                           'last': cursor.sequence}
              for cursor in state.cursors if cursor.records}
    positions = {cursor.key: position_of(cursor) for cursor in state.cursors}
    return orjson.dumps({'account': {'reader': reader, 'readers': readers, 'shards': shards, 'positions': positions}})


def position_of(cursor: Cursor) -> dict[str, Any]:
    """Write a cursor as it stands in manifests and resume.json; without a sequence number nothing was read since."""
    return {'sequence': cursor.sequence or None, 'since_ms': cursor.since_ms, 'arrival_ms': cursor.arrival_ms,
            'walked_ms': cursor.walked_ms, 'open': not cursor.closed}


def cursor_at(key: str, position: dict[str, Any]) -> Cursor:
    """Read a cursor back from a manifest or resume.json."""
    stream, shard = key.rsplit('/', 1)
    return Cursor(stream, shard, position['since_ms'], position['sequence'] or '', position['arrival_ms'],
                  walked_ms=position.get('walked_ms', 0), closed=not position['open'])
