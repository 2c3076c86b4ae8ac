"""Declare the command line: each option with its type, its default and one sentence of help."""
from __future__ import annotations

import argparse
import sys
from typing import Any, NoReturn

from pipeline.options.beam_options import CREDENTIALS
from pipeline.options.rename_file import CONVENTION_ONLY, read_rename
from pipeline.options.types import (
    flush_interval,
    matching,
    number_or_none,
    one_of,
    plain,
    platform_names,
    read_stream,
    start_time,
    stop_time,
    whole_number,
)
from pipeline.options.uris import certificates, endpoint_url, output_uri

RUNNERS = ('DirectRunner', 'PrismRunner', 'FlinkRunner', 'DataflowRunner')
USAGE = 'python -m pipeline --stream [LABEL=]NAME --output URI [OPTIONS]'
SUMMARY = 'Write the events of Kinesis streams as JSON lines to S3 or a folder, by hour and platform.'
EPILOG = """\
examples:
  python -m pipeline --stream events --output /tmp/lake --start earliest --stop now
  python -m pipeline --stream ios=app-ios --stream android=app-android --output s3://lake/mobile \\
      --runner FlinkRunner --flink_master host:8081 --parallelism 4

exit codes: 0 done, 1 failed or incomplete, 2 refused before anything was written, 130 ended by Ctrl-C before --stop

All other options of Apache Beam and of the runner are passed on to them. Their names and types are checked.
"""


class ArgumentParser(argparse.ArgumentParser):
    """A parser that answers a wrong command line with one line on stderr and exit code 2."""

    def error(self, message: str) -> NoReturn:
        print(f'pipeline: error: {plain(message)}; see --help', file=sys.stderr)
        sys.exit(2)


class RefuseCredential(argparse.Action):
    """Refuse an option that holds a credential, without repeating its value."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        parser.error(f"{self.option_strings[0]}: not allowed, because other users can see a command line: leave "
                     "credentials to the AWS SDK's default chain (environment, profile or role)")


def argument_parser() -> ArgumentParser:
    """Declare all options. `parse_known_args` returns the options of Beam and its runners as the rest."""
    parser = ArgumentParser(prog='python -m pipeline', usage=USAGE, description=SUMMARY, epilog=EPILOG,
                            allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter)
    for add in (_reading, _writing, _flushing, _naming, _safety, _aws, _runner):
        add(parser)
    return parser


def _reading(parser: ArgumentParser) -> None:
    add = parser.add_argument_group('what to read').add_argument
    add('--stream', dest='streams', type=read_stream, action='append', metavar='[LABEL=]NAME', default=[],
        help='stream to read, by name or ARN; LABEL is the platform of events that have none (required; repeatable)')
    add('--start', type=start_time, metavar='WHEN',
        help='where a new output begins, and with --stop where a replay begins: resume, earliest, latest or an ISO '
             '8601 time, aligned down to a window (default: resume; earliest if there is nothing to resume)')
    add('--start_over', action='store_true',
        help='begin at --start even if there is a resume.json, and move it there; use it for a single run, never on '
             'the command line of a service (default: go on from resume.json)')
    add('--stop', type=stop_time, metavar='WHEN',
        help='now or an ISO 8601 time, aligned down to a window (default: none, run until ended)')


def _writing(parser: ArgumentParser) -> None:
    add = parser.add_argument_group('where to write').add_argument
    add('--output', type=output_uri, metavar='URI',
        help='s3://bucket/prefix or a folder, for events/ errors/ backup/ manifests/ resume.json (required)')
    add('--errors_output', type=output_uri, metavar='URI', help='write errors/ elsewhere (default: --output)')
    add('--backup_output', type=output_uri, metavar='URI', help='write backup/ elsewhere (default: --output)')
    add('--no_backup', action='store_true', help='write no backup of the untouched records (default: keep one)')
    add('--compression', type=one_of('gzip', 'none'), default='gzip', metavar='HOW',
        help='gzip or none (default: %(default)s)')


def _flushing(parser: ArgumentParser) -> None:
    add = parser.add_argument_group('when a buffer becomes an object').add_argument
    add('--flush_interval_s', type=flush_interval, default=300, metavar='SECONDS',
        help='length of a flush window, a divisor of 3600 (default: %(default)s)')
    add('--flush_size_mb', type=whole_number(1, 1024), default=64, metavar='MIB',
        help='MiB of records of a Kinesis shard after which a new object begins, 1 to 1024; fewer if there are so many '
             'shards that an object might gather more than 2 GiB (default: %(default)s)')
    add('--slack_s', type=whole_number(0), default=10, metavar='SECONDS',
        help='how long after its arrival stamp a record may still be invisible to readers (default: %(default)s)')
    add('--output_shards', type=whole_number(1, 1000), default=1, metavar='N',
        help='number of objects among which the Kinesis shards are divided, 1 to 1000; the more there are, the less '
             'memory each needs (default: %(default)s)')


def _naming(parser: ArgumentParser) -> None:
    add = parser.add_argument_group('names and partitions').add_argument
    field = matching(r'(?s)\S(.{0,1022}\S)?', 'the name of a field, 1 to 1024 characters without outer spaces')
    add('--rename', type=read_rename, default=CONVENTION_ONLY, metavar='FILE',
        help='JSON or YAML file that maps flattened names to new names, or to null to drop the field; or the word none '
             'to keep all names (default: the convention alone, snake_case)')
    add('--json_field', dest='json_fields', type=field, action='append', metavar='NAME', default=[],
        help='top-level field that holds JSON text; event_value also means eventValue or "Event Value"; repeatable '
             '(default: event_value)')
    add('--platform_field', type=field, default='platform', metavar='NAME',
        help='field that holds the platform, by its name after renaming (default: %(default)s)')
    add('--time_field', type=field, default='event_time', metavar='NAME',
        help='field that holds the time of the event, by its name after renaming (default: %(default)s)')
    add('--partition_time', type=one_of('event', 'arrival'), default='event', metavar='WHICH',
        help='event or arrival: which hour decides the folder of an event (default: %(default)s)')
    add('--max_event_age_days', type=number_or_none(1, 36500), default=400, metavar='DAYS',
        help='older events go to the hour of their arrival; 1 to 36500, or none for no bound (default: %(default)s)')
    add('--platforms', type=platform_names, default=(), metavar='NAMES',
        help='platforms that have a folder, such as ios,android,web, or the word any; events of others go to other '
             '(default: any)')


def _safety(parser: ArgumentParser) -> None:
    add = parser.add_argument_group('safety').add_argument
    add('--on_gap', type=one_of('fail', 'skip'), default='fail', metavar='WHAT',
        help='fail or skip, if the stream no longer has the records that come next (default: %(default)s)')
    add('--replace', action='store_true',
        help='rewrite windows that were committed with other settings, such as another --rename (default: refuse)')
    add('--new_layout', action='store_true',
        help='change the layout (flush interval, output shards, ...) of an output from its next full hour on, or its '
             'streams at once (default: refuse)')


def _aws(parser: ArgumentParser) -> None:
    group = parser.add_argument_group('AWS', "credentials and region come from the AWS SDK's default chain")
    region = matching('[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?', 'a region such as eu-west-1')
    group.add_argument('--aws_region', type=region, metavar='REGION', help="region (default: the ARN's, or the SDK's)")
    group.add_argument('--kinesis_endpoint_url', type=endpoint_url, metavar='URL',
                       help="endpoint of Kinesis (default: the SDK's)")
    group.add_argument('--s3_endpoint_url', type=endpoint_url, metavar='URL',
                       help="Beam's own: endpoint of S3 (default: the SDK's)")
    group.add_argument('--s3_region_name', type=region, metavar='REGION',
                       help="Beam's own: region of S3 (default: --aws_region)")
    group.add_argument('--s3_verify', type=certificates, metavar='FILE',
                       help="Beam's own: CA certificates for S3 (default: the SDK's)")
    group.add_argument('--s3_sse', type=one_of('AES256', 'aws:kms'), metavar='HOW',
                       help="encryption of objects, AES256 or aws:kms, sent with every put (default: the bucket's own)")
    group.add_argument('--s3_kms_key_id', type=matching('[A-Za-z0-9:/_-]{1,2048}', 'an ID, ARN or alias of a KMS key'),
                       metavar='KEY', help="KMS key of --s3_sse aws:kms, by ID, ARN or alias (default: S3's own)")
    group.add_argument('--s3_disable_ssl', action='store_true', help=argparse.SUPPRESS)
    for name in CREDENTIALS:
        group.add_argument(name, action=RefuseCredential, nargs='?', help=argparse.SUPPRESS)


def _runner(parser: ArgumentParser) -> None:
    add = parser.add_argument_group('runner').add_argument
    add('--runner', type=one_of(*RUNNERS, 'FnApiRunner'), default=RUNNERS[0], metavar='NAME',
        help='DirectRunner (this process), PrismRunner (this machine, for tests), FlinkRunner or DataflowRunner '
             '(default: %(default)s)')
    add('--readers', type=whole_number(1), metavar='N',
        help='number of readers that share the Kinesis shards (default: 1; 4 per worker on FlinkRunner and '
             'DataflowRunner)')
    add('--open_job_port', action='store_true',
        help='needed with PrismRunner: the job port of Prism listens on all interfaces and runs what it is given '
             '(default: refuse)')
