"""Batches of Kinesis records into records of producers, a list at a time."""
from collections.abc import Iterator
from typing import Any, NamedTuple

import apache_beam as beam

from pipeline.kinesis.kpl import deaggregate_record
from pipeline.source import Batch
from transforms import Failure, MalformedRecord, Origin, Record

#: A page passes through the stages in portions, each still in the processor's cache when the next stage takes it:
#: 64 KiB took a sixth less CPU than a whole page for the whole job, and a page of documents less memory.
PORTION_BYTES = 64 << 10


class Deaggregated(NamedTuple):
    """The records of a batch, and its broken aggregates, whole."""

    records: list[Record]
    failures: list[Failure]


def deaggregate_batch(batch: Batch, labels: dict[str, str]) -> Deaggregated:
    """Give each producer's record with its origin; sub-sequence numbers count within a KPL aggregate."""
    deaggregated = Deaggregated([], [])
    label = labels[batch.stream]
    for raw in batch.records:
        origin = Origin(batch.stream, batch.shard, raw.sequence, 0, raw.partition_key, raw.arrival_ms, label,
                        batch.window_ms, batch.part)
        try:
            users = deaggregate_record(raw.partition_key, raw.data)
        except MalformedRecord as error:
            deaggregated.failures.append(Failure(origin, 'read', error.code, error.message, raw.data, 0, 0))
            continue
        if len(users) == 1 and users[0].data is raw.data:
            deaggregated.records.append(Record(origin, raw.data))
            continue
        for place, user in enumerate(users):
            sub = origin._replace(sub_sequence=place, partition_key=user.partition_key)
            deaggregated.records.append(Record(sub, user.data))
    return deaggregated


def portions(batch: Batch) -> Iterator[Batch]:
    """Cut a batch into pieces of about PORTION_BYTES, in its order."""
    begin = size = 0
    for end, raw in enumerate(batch.records, 1):
        size += len(raw.data)
        if size >= PORTION_BYTES:
            yield batch._replace(records=batch.records[begin:end])
            begin, size = end, 0
    if begin < len(batch.records):
        yield batch._replace(records=batch.records[begin:])


class DeaggregateBatches(beam.DoFn):  # type: ignore[misc]
    """A splittable DoFn with a watermark estimator cannot yield batches (2.77.0); this step does it."""

    def __init__(self, labels: dict[str, str]) -> None:
        self._labels = labels

    def infer_output_type(self, input_type: Any) -> type[Record]:
        return Record

    @beam.DoFn.yields_batches  # type: ignore[untyped-decorator]
    def process(self, element: Batch) -> Iterator[list[Record]]:
        for batch in portions(element):
            deaggregated = deaggregate_batch(batch, self._labels)
            if deaggregated.records:
                yield deaggregated.records
            if deaggregated.failures:
                yield beam.pvalue.TaggedOutput('malformed', deaggregated.failures)
