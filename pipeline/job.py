"""The whole job as one chain: from Kinesis to events/, errors/, backup/ and a manifest per flush window."""
import dataclasses
from collections.abc import Mapping

import apache_beam as beam
from apache_beam.transforms.window import FixedWindows

from pipeline.commit.commit import CommitSettings, CommitWindow
from pipeline.kinesis.read import ReadKinesis
from pipeline.kinesis.settings import ReadSettings
from pipeline.stores.base import Store
from pipeline.write.layout import Layout
from pipeline.write.objects import WriteObjects
from pipeline.write.window import WindowByHour
from transforms import EVENT_VALUE, FlattenEvents, JsonFields, ParseEvents, RenameFields, Rules, SplitRecords


@dataclasses.dataclass(frozen=True)
class Job:
    """What the chain is built from. `stores` says where `events`, `errors` and `backup` go."""

    read: ReadSettings
    readers: int
    rules: Rules
    layout: Layout
    stores: Mapping[str, Store]
    commit: CommitSettings
    json_fields: JsonFields = EVENT_VALUE


def build_job(pipeline: beam.Pipeline, job: Job) -> None:
    """Apply the whole job to a pipeline."""
    flush_ms = job.read.flush_ms
    # b'{"eventName":"Install","event_value":"{\\"k\\":[1]}"}{"eventName":"View"}'
    kinesis = pipeline | 'ReadKinesis' >> ReadKinesis(job.read, job.readers)
    # {'eventName': 'Install', 'event_value': '{"k":[1]}'}, {'eventName': 'View'}
    split = kinesis.records | 'SplitRecords' >> SplitRecords()
    # {'eventName': 'Install', 'event_value': {'k': [1]}}
    parsed = split.records | 'ParseEvents' >> ParseEvents(job.json_fields)
    # {'eventName': 'Install', 'event_value_k_0': 1}
    flat = parsed.records | 'FlattenEvents' >> FlattenEvents()
    # {'event_name': 'Install', 'event_value_k_0': 1}
    renamed = flat.records | 'RenameFields' >> RenameFields(job.rules)
    # (b'events/year=2022/month=06/day=21/hour=00/platform=ios/2026...json.gz', b'...{"event_name":"Install",...}\n')
    events = renamed.records | 'WindowByHour' >> WindowByHour(job.layout, flush_ms, 'events')

    malformed = ((kinesis.malformed, split.malformed, parsed.malformed, flat.malformed, renamed.malformed,
                  events.malformed) | 'CollectMalformed' >> beam.Flatten())
    windowed = [events, malformed | 'WindowErrors' >> WindowByHour(job.layout, flush_ms, 'errors')]
    if job.commit.backup:
        windowed.append(kinesis.batches | 'WindowBackup' >> WindowByHour(job.layout, flush_ms, 'backup'))
    objects = ([lines.chunks for lines in windowed] | 'CollectChunks' >> beam.Flatten()
               | 'WriteObjects' >> WriteObjects(job.stores, job.layout.compression))
    ledger = ([kinesis.accounts, *(lines.ledger for lines in windowed)] | 'CollectLedger' >> beam.Flatten()
              | 'WindowLedger' >> beam.WindowInto(FixedWindows(flush_ms / 1000)))
    (ledger, objects) | 'CollectRows' >> beam.Flatten() | 'CommitWindow' >> CommitWindow(job.commit)
