"""Turn batches of Kinesis records into the records that producers put, a list at a time."""
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import apache_beam as beam

from pipeline.kinesis.kpl import UserRecord, deaggregate_record
from pipeline.source import Batch
from transforms import Failure, MalformedRecord, Origin, Record
from transforms.encode import encode_value
from transforms.split import is_malformed

#: A page passes through the stages in portions, so that each is still in the processor's cache at the next stage. With
#: 64 KiB the whole job takes a sixth less CPU than with whole pages, and less memory.
PORTION_BYTES = 64 << 10
#: An error line takes about this much besides the fragment and the partition key.
ERROR_LINE_BYTES = 512
#: The error lines of malformed records in an aggregate may take so many times its bytes, and the spare bytes more. A
#: shard takes 1 MiB or 1,000 records a second.
MAX_ERROR_GROWTH = 16
SPARE_ERROR_BYTES = 8 << 10


class Deaggregated(NamedTuple):
    """The records of a batch, and a failure with all bytes for each aggregate that is malformed as a whole."""

    records: list[Record]
    failures: list[Failure]


def deaggregate_batch(batch: Batch, labels: dict[str, str]) -> Deaggregated:
    """Return the records that producers put, each with its origin; `labels` has the label of each stream by name.

    `sub_sequence` counts the records within a KPL aggregate; it is 0 for a record that is none. An aggregate is a
    failure as a whole if it cannot be deaggregated, or if its malformed records would make too many error lines.
    """
    deaggregated = Deaggregated([], [])
    label = labels[batch.stream]
    for raw in batch.records:
        origin = Origin(stream=batch.stream, shard=batch.shard, sequence=raw.sequence, sub_sequence=0,
                        partition_key=raw.partition_key, arrival_ms=raw.arrival_ms, label=label,
                        window_ms=batch.window_ms, part=batch.part)
        try:
            users = deaggregate_record(raw.partition_key, raw.data)
            if len(users) > 1:
                check_errors(users, len(raw.data))
        except MalformedRecord as error:
            deaggregated.failures.append(Failure(origin, stage='read', code=error.code, message=error.message,
                                                 fragment=raw.data, index=0, offset=0))
            continue
        if len(users) == 1 and users[0].data is raw.data:
            deaggregated.records.append(Record(origin, raw.data))
            continue
        for index, user in enumerate(users):
            # Positional: several times faster than `_replace`.
            sub = Origin(origin.stream, origin.shard, origin.sequence, index, user.partition_key, origin.arrival_ms,
                         label, origin.window_ms, origin.part)
            deaggregated.records.append(Record(sub, user.data))
    return deaggregated


def check_errors(users: Sequence[UserRecord], size: int) -> None:
    """Raise MalformedRecord (invalid-kpl) if the error lines of user records would be too much for `size` bytes.

    A user record of one byte takes seven in its aggregate, and hundreds as an error line.
    """
    left = MAX_ERROR_GROWTH * size + SPARE_ERROR_BYTES
    most = ERROR_LINE_BYTES + 6 * max(len(user.partition_key or '') for user in users)  # a control character is \u0001
    if len(users) * most + 2 * size <= left:  # nearly all aggregates; base64 makes a fragment less than twice as long
        return
    for user in users:
        if is_malformed(user.data):
            left -= ERROR_LINE_BYTES + len(encode_value(user.partition_key)) + 2 * len(user.data)
            if left < 0:
                raise MalformedRecord('invalid-kpl', 'the error lines of its malformed records would take more than '
                                      f'{MAX_ERROR_GROWTH} times its size and {SPARE_ERROR_BYTES >> 10} KiB')


def portions(batch: Batch) -> Iterator[Batch]:
    """Yield a batch in pieces of about PORTION_BYTES record bytes, in order; a record is never cut."""
    begin = size = 0
    for end, raw in enumerate(batch.records, 1):
        size += len(raw.data)
        if size >= PORTION_BYTES:
            yield batch._replace(records=batch.records[begin:end])
            begin, size = end, 0
    if begin < len(batch.records):
        yield batch._replace(records=batch.records[begin:])


class DeaggregateBatches(beam.DoFn):  # type: ignore[misc]
    """Yield lists of records; malformed aggregates go to the output `malformed`.

    This is a step of its own because a splittable DoFn with a watermark estimator cannot yield batches (Beam 2.77.0).
    """

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
