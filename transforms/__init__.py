"""What happens to an event: it is split, parsed, flattened and renamed. Nothing here uses AWS, options or a clock."""
from transforms.encode import encode_event, encode_failure, encode_raw
from transforms.flatten import FlattenEvents, flatten_event
from transforms.parse import EVENT_VALUE, JsonFields, ParseEvents, parse_event
from transforms.partition import event_hour_ms, is_time_given, platform_of
from transforms.records import ERROR_CODES, Document, Failure, MalformedRecord, Origin, Record
from transforms.rename import RenameFields, rename_fields
from transforms.rules import CONVENTION, Rules
from transforms.split import Malformed, Split, SplitRecords, split_record

__all__ = [
    # records: the envelope, and what a malformed document becomes
    'Document', 'ERROR_CODES', 'Failure', 'MalformedRecord', 'Origin', 'Record',
    # split
    'Malformed', 'Split', 'SplitRecords', 'split_record',
    # parse
    'EVENT_VALUE', 'JsonFields', 'ParseEvents', 'parse_event',
    # flatten
    'FlattenEvents', 'flatten_event',
    # rename
    'CONVENTION', 'RenameFields', 'Rules', 'rename_fields',
    # partition
    'event_hour_ms', 'is_time_given', 'platform_of',
    # encode
    'encode_event', 'encode_failure', 'encode_raw',
]
