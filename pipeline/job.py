"""The whole job as one chain: from a source to events/, errors/, backup/ and a manifest per flush window."""
import dataclasses

import apache_beam as beam
from apache_beam.transforms.window import FixedWindows

from pipeline.commit.commit import CommitWindow
from pipeline.commit.commit_window import CommitSettings
from pipeline.source import Source
from pipeline.write.layout import Layout
from pipeline.write.objects import WriteObjects
from pipeline.write.window import WindowByHour
from transforms import FlattenEvents, JsonFields, ParseEvents, RenameFields, Rules, SplitRecords


@dataclasses.dataclass(frozen=True)
class Job:
    """What the chain is built from.

    `source` is a PTransform from the pipeline to a Source, such as ReadKinesis.
    """

    source: beam.PTransform
    json_fields: JsonFields
    rules: Rules
    layout: Layout
    commit: CommitSettings


def build_job(pipeline: beam.Pipeline, job: Job) -> None:
    """Apply the whole job to a pipeline."""
    flush_ms = job.commit.flush_ms
    # b'{"eventName":"Install","event_value":"{\\"k\\":[1]}"}{"eventName":"View"}'
    source: Source = pipeline | job.source
    # {'eventName': 'Install', 'event_value': '{"k":[1]}'}, {'eventName': 'View'}
    split = source.records | 'SplitRecords' >> SplitRecords()
    # {'eventName': 'Install', 'event_value': {'k': [1]}}
    parsed = split.records | 'ParseEvents' >> ParseEvents(job.json_fields)
    # {'eventName': 'Install', 'event_value_k_0': 1}
    flat = parsed.records | 'FlattenEvents' >> FlattenEvents()
    # {'event_name': 'Install', 'event_value_k_0': 1}
    renamed = flat.records | 'RenameFields' >> RenameFields(job.rules)
    # (b'events/year=2022/month=06/day=21/hour=00/platform=ios/2026...json.gz', b'...{"event_name":"Install",...}\n')
    events = renamed.records | 'WindowByHour' >> WindowByHour(job.layout, flush_ms, 'events')

    malformed = ((source.malformed, split.malformed, parsed.malformed, flat.malformed, renamed.malformed,
                  events.malformed) | 'CollectMalformed' >> beam.Flatten())
    placed = [events, malformed | 'WindowErrors' >> WindowByHour(job.layout, flush_ms, 'errors')]
    if job.commit.backup:
        placed.append(source.batches | 'WindowBackup' >> WindowByHour(job.layout, flush_ms, 'backup'))
    objects = ([lines.chunks for lines in placed] | 'CollectChunks' >> beam.Flatten()
               | 'WriteObjects' >> WriteObjects(job.commit.put_object, job.layout.compression))
    ledger = ([source.accounts, *(lines.ledger for lines in placed)] | 'CollectLedger' >> beam.Flatten()
              | 'WindowLedger' >> beam.WindowInto(FixedWindows(flush_ms / 1000)))
    (ledger, objects) | 'CollectRows' >> beam.Flatten() | 'CommitWindow' >> CommitWindow(job.commit)
