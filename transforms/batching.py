"""What the four stages share: batches in and out, failures on an output of their own, counters once a batch."""
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
    """Pickle what a stage gives, on both of its outputs, where a runner parts it from the next; tell sizes without.

    Beam asks for the size of a fifth of the elements of each batch after each step: a tenth of the CPU of a whole job.
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
    """Pass lists of records on to the next stage, each record as `work` gives it back.

    A list goes from one fused stage to the next as it is; element-wise `process` is for runners without batches.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def work(self, record: Record, tally: Counter[str]) -> tuple[Record, Sequence[Failure]]:
        """Give the record that goes on and what could not; whatever else there is to count goes into `tally`."""
        raise NotImplementedError

    def arriving(self, batch: list[Record]) -> int:
        """Count what comes in."""
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
    """Apply a stage; gives an object with `.records` and `.malformed`."""
    return records | beam.ParDo(stage).with_outputs(MALFORMED, main='records')


def convert(record: Record, function: Callable[[Document], Document], stage: str) -> tuple[Record, Sequence[Failure]]:
    """Put `function`'s result in the place of each document; those that are malformed leave the record."""
    documents, refused = [], {}
    for index, document in zip(record.indices, record.documents, strict=True):
        try:
            documents.append(function(document))
        except MalformedRecord as error:
            refused[index] = error
    if not refused:
        return with_documents(record, documents, record.indices), ()
    left = [index for index in record.indices if index not in refused]
    return with_documents(record, documents, left), failures_of(record, stage, refused)


def failures_of(record: Record, stage: str, refused: Mapping[int, MalformedRecord]) -> list[Failure]:
    """Return a failure for each refused document, by its index in the record, with the bytes that it came in."""
    spans = list(containers_in(record.data))
    return [failure(record.origin, stage, error.code, error.message, record.data[slice(*spans[index][:2])], index,
                    spans[index].start)
            for index, error in refused.items()]


def with_documents(record: Record, documents: list[Document], indices: Sequence[int]) -> Record:
    """Give the record with other documents; several times faster than `_replace`."""
    return Record(record.origin, record.data, documents, indices, record.found, record.broken, record.dropped)


def failure(origin: Origin, stage: str, code: str, message: str, fragment: bytes, index: int, offset: int) -> Failure:
    """Make a failure; too deep is always found while flattening, whatever stage was the first to notice."""
    return Failure(origin, 'flatten' if code == 'too-deep' else stage, code, message, fragment, index, offset)


@functools.cache
def _counter(namespace: str, name: str) -> Any:
    """Keep counters: making one takes longer than a document."""
    return Metrics.counter(namespace, name)


def _documents(records: list[Record]) -> int:
    return sum(len(record.documents) for record in records)
