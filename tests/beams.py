"""Pipelines on explicit runners, because Beam's plain DirectRunner chooses one silently."""
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.testing.test_pipeline import TestPipeline as _TestPipeline
from apache_beam.testing.test_stream import TestStream as _TestStream
from apache_beam.testing.util import assert_that, equal_to

from transforms import Record


class _InLists(beam.DoFn):  # type: ignore[misc]
    """Emit records in lists of three, as the reader does with batches."""

    @beam.DoFn.yields_batches  # type: ignore[untyped-decorator]
    def process(self, element: Sequence[Record]) -> Iterator[list[Record]]:
        for start in range(0, len(element), 3):
            yield list(element[start:start + 3])

    def infer_output_type(self, input_type: Any) -> type[Record]:
        return Record


def _single(pipeline: beam.Pipeline, records: Sequence[Record]) -> beam.PCollection:
    stream = _TestStream().advance_watermark_to(0).add_elements(records).advance_watermark_to_infinity()
    return pipeline | stream | 'Typed' >> beam.Map(lambda record: record).with_output_types(Record)


def _created(pipeline: beam.Pipeline, records: Sequence[Record]) -> beam.PCollection:
    return pipeline | beam.Create(records, reshuffle=False).with_output_types(Record)


def _batched(pipeline: beam.Pipeline, records: Sequence[Record]) -> beam.PCollection:
    return pipeline | beam.Create([list(records)], reshuffle=False) | beam.ParDo(_InLists())


#: How records reach a transform: one by one, one by one on a runner that makes batches of them, and in lists.
WAYS: dict[str, tuple[str, Callable[[beam.Pipeline, Sequence[Record]], beam.PCollection]]] = {
    'single elements': ('BundleBasedDirectRunner', _single),
    'single elements, batched by Beam': ('FnApiRunner', _created),
    'lists': ('FnApiRunner', _batched)}


def run_stage(way: str, transform: beam.PTransform, records: Sequence[Record], good: Sequence[Record],
              malformed: Sequence[Any]) -> Counter[str]:
    """Run a transform on records, and check both of its outputs exactly. Return its counters."""
    runner, source = WAYS[way]
    pipeline = _TestPipeline(runner=runner)
    output = source(pipeline, records) | transform
    for name, expected in (('records', good), ('malformed', malformed)):
        shown = getattr(output, name) | f'Plain {name}' >> beam.Map(plain)
        assert_that(shown, equal_to([plain(item) for item in expected]), label=f'check {name} {uuid.uuid4().hex}')
    result = pipeline.run()
    result.wait_until_finish()
    return Counter({counter.key.metric.name: counter.committed for counter in result.metrics().query()['counters']
                    if counter.key.metric.namespace not in ('', None)})


def plain(item: Any) -> Any:
    """Return a record or failure as plain values, so that the types of its sequences do not matter."""
    values = item._asdict()
    return {name: list(value) if isinstance(value, range | tuple) and name != 'origin' else value
            for name, value in values.items()}
