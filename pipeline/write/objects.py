"""WriteObjects: sort, join and compress the chunks of an object, and put it. For events, errors and backup alike."""
import dataclasses
import hashlib
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping

import apache_beam as beam
from apache_beam.metrics import Metrics

from pipeline.commit.ledger import StoredObject, object_row
from pipeline.stores.base import Store
from pipeline.write.chunks import join_chunks

LEVEL = 6


def gzip_bytes(data: bytes) -> bytes:
    """Compress with a header that has no name, no time and a fixed system byte.

    Equal input gives equal bytes on one version of zlib.
    """
    compressor = zlib.compressobj(LEVEL, zlib.DEFLATED, 31)
    return compressor.compress(data) + compressor.flush()


COMPRESSIONS: Mapping[str, Callable[[bytes], bytes]] = {'gzip': gzip_bytes, 'none': bytes}


class _Write(beam.DoFn):  # type: ignore[misc]
    def __init__(self, stores: Mapping[str, Store], compression: str) -> None:
        self._stores = stores
        self._compress = COMPRESSIONS[compression]

    def process(self, path_and_chunks: tuple[bytes, Iterable[bytes]]) -> Iterator[bytes]:
        path, chunks = path_and_chunks[0].decode(), list(path_and_chunks[1])
        if chunks:  # Flink fires empty panes, and writing one would empty the object
            yield self._put(path, chunks)

    def _put(self, path: str, chunks: list[bytes]) -> bytes:
        body, lines = join_chunks(chunks)
        stored = self._compress(body)
        self._stores[path.split('/', 1)[0]].put(path, stored)
        Metrics.counter('write', 'objects').inc()
        Metrics.counter('write', 'stored_bytes').inc(len(stored))
        return object_row(StoredObject(path, lines, len(body), hashlib.sha256(body).hexdigest()))


@dataclasses.dataclass
class WriteObjects(beam.PTransform):  # type: ignore[misc]
    """Write one object per path and flush window.

    PCollection[tuple[bytes, bytes]] of path and chunk, in flush windows, to PCollection[bytes], rows of the ledger.
    `stores` has the store for each first part of a path. Each object is one put of all of its lines in stream order, so
    a retry puts the same bytes under the same path. If the store raises, the bundle fails, and the runner retries it or
    stops.
    """

    stores: Mapping[str, Store]
    compression: str = 'gzip'

    def expand(self, pcoll: beam.PCollection) -> beam.PCollection:
        return (pcoll
                | 'Group' >> beam.GroupByKey()
                | 'Put' >> beam.ParDo(_Write(self.stores, self.compression)).with_output_types(bytes))
