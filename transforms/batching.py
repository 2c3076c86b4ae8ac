"""What the four stages share: batches in and out, a second output for failures, counters that are updated per batch."""
import functools
import pickle
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.metrics import Metrics

from transforms.records import Document, Failure, MalformedRecord, Origin, Record
from transforms.scan import containers_in

MALFORMED = 'malformed'


class RecordCoder(beam.coders.Coder):  # type: ignore[misc]
    """Pickle elements if the runner separates two stages; estimate their size without pickling.

    Beam asks for the size of a fifth of the elements of each batch after each step. Pickling them for it took a tenth
    of the CPU of a whole job. The coder serves both outputs of a stage.
    """

    def encode(self, value: Record | Failure) -> bytes:
        return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)

    def decode(self, encoded: bytes) -> Record | Failure:
        value: Record | Failure = pickle.loads(encoded)
        return value

    def estimate_size(self, value: Record | Failure) -> int:
        return len(value.data if isinstance(value, Record) else value.fragment)


beam.coders.registry.register_coder(Record, RecordCoder)


class Stage(beam.DoFn):  # type: ignore[misc]
    """Apply `work` to each record of a batch and pass the batch on.

    A list goes from one fused stage to the next as it is. `process`, for one element, is for runners without batches.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def work(self, record: Record, tally: Counter[str]) -> tuple[Record, Sequence[Failure]]:
        """Return the record that goes on and its failures. Anything else to count goes into `tally`."""
        raise NotImplementedError

    def arriving(self, batch: list[Record]) -> int:
        """Return what to count as `in`."""
        return _documents(batch)

    def process(self, element: Record) -> Iterator[Record]:
        records, failures = self._work_all([element])
        yield from records
        for failure in failures:
            yield beam.pvalue.TaggedOutput(MALFORMED, failure)

    def process_batch(self, batch: list[Record]) -> Iterator[list[Record]]:
        records, failures = self._work_all(batch)
        yield records
        if failures:
            yield beam.pvalue.TaggedOutput(MALFORMED, failures)

    def infer_output_type(self, input_type: Any) -> type[Record]:
        return Record

    def _work_all(self, batch: list[Record]) -> tuple[list[Record], list[Failure]]:
        records: list[Record] = []
        failures: list[Failure] = []
        tally = Counter[str]()
        for record in batch:
            done, failed = self.work(record, tally)
            records.append(done)
            failures.extend(failed)
        tally.update({'in': self.arriving(batch), 'out': _documents(records), MALFORMED: len(failures)})
        for counted, count in tally.items():
            _counter(self.name, counted).inc(count)
        return records, failures


def staged(records: beam.PCollection, stage: Stage) -> Any:
    """Apply a stage. Return its outputs, `.records` and `.malformed`."""
    return records | beam.ParDo(stage).with_outputs(MALFORMED, main='records')


def convert(record: Record, function: Callable[[Document], Document], stage: str) -> tuple[Record, Sequence[Failure]]:
    """Replace each document of a record by `function(document)`.

    Return the record, and a failure for each document for which `function` raised MalformedRecord; the record no longer
    has those documents.
    """
    documents, refused = [], {}
    for index, document in zip(record.indices, record.documents, strict=True):
        try:
            documents.append(function(document))
        except MalformedRecord as error:
            refused[index] = error
    if not refused:
        return with_documents(record, documents, record.indices), ()
    kept = [index for index in record.indices if index not in refused]
    return with_documents(record, documents, kept), failures_of(record, stage, refused)


def failures_of(record: Record, stage: str, refused: Mapping[int, MalformedRecord]) -> list[Failure]:
    """Return a failure for each refused document, with its original bytes. `refused` has its index in the record."""
    spans = list(containers_in(record.data))
    return [failure(record.origin, stage, code=error.code, message=error.message,
                    fragment=record.data[spans[index].start:spans[index].end], index=index, offset=spans[index].start)
            for index, error in refused.items()]


def with_documents(record: Record, documents: list[Document], indices: Sequence[int]) -> Record:
    """Return the record with other documents. Positional: several times faster than `_replace`."""
    return Record(record.origin, record.data, documents, indices, record.found, record.broken, record.dropped)


def failure(origin: Origin, stage: str, code: str, message: str, fragment: bytes, index: int, offset: int) -> Failure:
    """Make a failure. If the document is too deep, its stage is `flatten`, even if another stage noticed first."""
    return Failure(origin, 'flatten' if code == 'too-deep' else stage, code, message, fragment, index, offset)


@functools.cache
def _counter(namespace: str, name: str) -> Any:
    """Return a counter, made once: making one takes longer than converting a document."""
    return Metrics.counter(namespace, name)


def _documents(records: list[Record]) -> int:
    return sum(len(record.documents) for record in records)
