"""WriteObjects: sort, join and compress the chunks of an object, and put it. For events, errors and backup alike."""
import dataclasses
import functools
import hashlib
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.transforms.window import WindowedValue

from pipeline.commit.ledger import StoredObject, object_row
from pipeline.stores.retries import count_retries
from pipeline.write.chunks import join_chunks
from pipeline.write.puts import Puts

LEVEL = 6

PutObject = Callable[[str, bytes, int], None]


def gzip_bytes(data: bytes) -> bytes:
    """Compress with a header that has no name, no time and a fixed system byte.

    Equal input gives equal bytes on one version of zlib.
    """
    compressor = zlib.compressobj(LEVEL, zlib.DEFLATED, 31)
    return compressor.compress(data) + compressor.flush()


COMPRESSIONS: Mapping[str, Callable[[bytes], bytes]] = {'gzip': gzip_bytes, 'none': bytes}


class _Write(beam.DoFn):  # type: ignore[misc]
    def __init__(self, put: PutObject, compression: str) -> None:
        self._put = put
        self._compress = COMPRESSIONS[compression]
        self._puts = Puts[tuple[int, WindowedValue]]()

    def process(self, path_and_chunks: tuple[bytes, Iterable[bytes]], timestamp: Any = beam.DoFn.TimestampParam,
                window: Any = beam.DoFn.WindowParam) -> None:
        try:
            path, chunks = path_and_chunks[0].decode(), list(path_and_chunks[1])
            if chunks:  # Flink fires empty panes, and writing one would empty the object
                stored, row = self._made(path, chunks)
                put = functools.partial(self._put, path, stored, window.start.micros // 1000)
                self._puts.add(put, len(stored), (len(stored), WindowedValue(row, timestamp, [window])))
        except BaseException:
            self._puts.end()  # nothing may be put any more once the bundle has failed
            raise

    def _made(self, path: str, chunks: list[bytes]) -> tuple[bytes, bytes]:
        """Return the bytes of an object, and its row of the ledger."""
        body, lines = join_chunks(chunks)
        return self._compress(body), object_row(StoredObject(path, lines, len(body), hashlib.sha256(body).hexdigest()))

    def finish_bundle(self) -> Iterator[WindowedValue]:
        for size, row in self._puts.finish():
            Metrics.counter('write', 'objects').inc()
            Metrics.counter('write', 'stored_bytes').inc(size)
            yield row
        count_retries()

    def teardown(self) -> None:
        self._puts.end()  # of a bundle that failed elsewhere


@dataclasses.dataclass
class WriteObjects(beam.PTransform):  # type: ignore[misc]
    """Write one object per path and flush window.

    PCollection[tuple[bytes, bytes]] of path and chunk, in flush windows, to PCollection[bytes], rows of the ledger.
    `put` puts bytes under a path, for a flush window (its start in epoch ms). Each object is one put of all of its
    lines in stream order, so a retry puts the same bytes under the same path. Several are put at a time; a row is given
    once all puts of its bundle are done. If a put raises, the bundle fails when none of its puts is running any more,
    and the runner retries it or stops.
    """

    put: PutObject
    compression: str = 'gzip'

    def expand(self, pcoll: beam.PCollection) -> beam.PCollection:
        return (pcoll
                | 'Group' >> beam.GroupByKey()
                | 'Put' >> beam.ParDo(_Write(self.put, self.compression)).with_output_types(bytes))
