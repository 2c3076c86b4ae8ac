"""What the four stages share: batches in and out, a second output for failures, counters that are updated per batch."""
import functools
import pickle
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.metrics import Metrics

from transforms.limits import MAX_ERROR_LINES
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
            failures.extend(merged(failed))
        refused = sum(failure.documents for failure in failures)
        tally.update({'in': self.arriving(batch), 'out': _documents(records), MALFORMED: refused})
        for counted, count in tally.items():
            _counter(self.name, counted).inc(count)
        return records, failures


def staged(records: beam.PCollection, stage: Stage) -> Any:
    """Apply a stage. Return its outputs, `.records` and `.malformed`."""
    return records | beam.ParDo(stage).with_outputs(MALFORMED, main='records')


def convert(record: Record, function: Callable[[Document], Document], stage: str) -> tuple[Record, Sequence[Failure]]:
    """Replace each document of a record by `function(document)`.

    Return the record, and a failure for each document for which `function` raised MalformedRecord; the record no longer
    has those documents. `output-too-large` ends the record: all documents after that one are refused too.
    """
    documents, refused = [], dict[int, MalformedRecord]()
    for position, document in enumerate(record.documents):
        try:
            documents.append(function(document))
        except MalformedRecord as error:
            if error.code == 'output-too-large':
                refused.update(dict.fromkeys(record.indices[position:], error))
                break
            # Its traceback would keep all that was made of the document so far, of each refused document.
            refused[record.indices[position]] = error.with_traceback(None)
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


def merged(failures: Sequence[Failure]) -> Sequence[Failure]:
    """Return the failures of one record from one stage, with one for all that are beyond the most lines of their type.

    A line takes hundreds of bytes besides its fragment, so a record of many small documents would else become two
    hundred times as large.
    """
    if len(failures) <= 1:
        return failures
    by_code = defaultdict[str, list[Failure]](list)
    for item in failures:
        by_code[item.code].append(item)
    return [item for several in by_code.values() for item in _up_to_the_most(several)]


def _up_to_the_most(failures: list[Failure]) -> list[Failure]:
    most = 1 if failures[0].code == 'output-too-large' else MAX_ERROR_LINES  # what ends a record is one line
    others = failures[most - 1:]
    if len(others) <= 1:
        return failures
    last = others[0]._replace(message=f'{others[0].message} ({len(others):,} documents)',
                              fragment=b''.join(item.fragment for item in others), documents=len(others))
    return [*failures[:most - 1], last]


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
