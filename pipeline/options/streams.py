"""The streams that a command line names: `[LABEL=]NAME-or-ARN`."""
from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Sequence

from pipeline.options.types import Refused, refuse, shown

LABEL = re.compile('[a-z0-9_-]{1,32}')
NAME = re.compile('[a-zA-Z0-9_.-]{1,128}')
ARN = re.compile(r'arn:aws[-a-z]*:kinesis:([a-z0-9-]+):[0-9]{12}:stream/([a-zA-Z0-9_.-]{1,128})')


@dataclasses.dataclass(frozen=True)
class Stream:
    """A stream by name, and by ARN where one was given; `label` is the platform of events that carry none, or ''."""

    name: str
    arn: str | None = None
    label: str = ''

    @property
    def region(self) -> str | None:
        """The region that the ARN names, None without one."""
        found = ARN.fullmatch(self.arn or '')
        return found[1] if found else None


def read_stream(text: str) -> Stream:
    """Read one `--stream`: `read_stream('ios=events') == Stream('events', None, 'ios')`."""
    label, equals, address = text.rpartition('=')
    if equals and not LABEL.fullmatch(label):
        refuse(text, 'LABEL=STREAM with a label of 1 to 32 of a-z, 0-9, "_" and "-"')
    arn = ARN.fullmatch(address)
    if not arn and not NAME.fullmatch(address):
        refuse(text, '[LABEL=]NAME, a name of 1 to 128 of a-z, A-Z, 0-9, "_", "." and "-", '
                     'or [LABEL=]arn:aws:kinesis:REGION:ACCOUNT:stream/NAME')
    return Stream(arn[2], address, label) if arn else Stream(address, None, label)


def check_streams(streams: Sequence[Stream], region: str | None) -> str | None:
    """Give the region that all ARNs name, `region` where there are none; raise Refused where they disagree.

    Also raise where two streams have one name: shards are told apart by the name of their stream.
    """
    for name, times in Counter(stream.name for stream in streams).items():
        if times > 1:
            raise Refused(f'--stream: got {shown(name)} {times} times, must be there once: '
                             'shards are told apart by the name of their stream')
    regions = sorted({stream.region for stream in streams if stream.region})
    if len(regions) > 1:
        raise Refused(f'--stream: got ARNs in {" and ".join(regions)}, must be in one region: one job reads one')
    if region and regions and regions != [region]:
        raise Refused(f'--aws_region: got {shown(region)}, must be {regions[0]} as in the ARN of --stream')
    return region or (regions[0] if regions else None)
