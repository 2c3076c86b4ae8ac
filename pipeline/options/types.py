"""Types of option values. Each parses a text, or raises an error of one line that says what is allowed."""
from __future__ import annotations

import argparse
import dataclasses
import datetime
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NoReturn

from pipeline.errors import OptionRefused
from pipeline.windows import DAY_MS

HOUR_S = 3600
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
FIRST_MS, END_MS = 946_684_800_000, 32_503_680_000_000  # 2000 to 3000
TIME = re.compile(r'\d{4}-\d\d-\d\d([T ]([01]\d|2[0-3]):\d\d(:\d\d([.,]\d{1,9})?)?(Z|[+-]\d\d(:?\d\d)?)?)?', re.ASCII)
AN_ISO_TIME = 'an ISO 8601 time from 2000 to 2999 such as 2026-11-23T10:15:00Z'


def refuse(value: str, allowed: str) -> NoReturn:
    """Raise the error for a wrong value: it names the value and what is allowed. argparse adds the option."""
    raise argparse.ArgumentTypeError(f'got {shown(value)}, must be {allowed}')


def shown(value: str) -> str:
    """Quote a value on one line: cut if it is long, and without the password of a URL. `shown('a')` is `"'a'"`."""
    quoted = repr(re.sub(r'//.*@', '//***@', value, flags=re.DOTALL))
    return quoted if len(quoted) <= 200 else f'{quoted[:196]}...{quoted[0]}'


def plain(message: str) -> str:
    """Reword a message of argparse: `plain('argument --a/--b: expected one argument')` begins with `--a: `."""
    message = re.sub(r'^argument ([^\s/]+)(/\S+)?: ', r'\1: ', message)
    message = re.sub('expected one argument', 'must be followed by a value', message)
    return ' '.join(re.sub('ignored explicit argument (.*)', r'got \1, takes no value', message).split())


def whole_number(low: int, high: int | None = None) -> Callable[[str], int]:
    """Return a parser of plain decimal numbers from `low` to `high`: `whole_number(0)('10') == 10`."""
    allowed = f'a whole number from {low} to {high}' if high else f'a whole number, {low} or more'

    def read(text: str) -> int:
        number = int(text) if re.fullmatch('[0-9]{1,9}', text) else -1
        if number < low or number > (high or number):
            refuse(text, allowed)
        return number

    return read


def number_or_none(low: int, high: int) -> Callable[[str], int | None]:
    """Return a parser of whole numbers from `low` to `high`, and of the word `none`, which becomes None."""
    def read(text: str) -> int | None:
        if text == 'none':
            return None
        number = int(text) if re.fullmatch('[0-9]{1,9}', text) else -1
        return number if low <= number <= high else refuse(text, f'a whole number from {low} to {high}, or none')

    return read


def flush_interval(text: str) -> int:
    """Parse whole seconds that divide an hour, so that an hour has whole windows: `flush_interval('300') == 300`."""
    seconds = int(text) if re.fullmatch('[0-9]{1,9}', text) else 0
    if not seconds or HOUR_S % seconds:
        refuse(text, 'a whole number of seconds that divides 3600, such as 60, 300 or 900')
    return seconds


def one_of(*words: str) -> Callable[[str], str]:
    """Return a parser of one of these words: `one_of('gzip', 'none')('none') == 'none'`."""
    return lambda text: text if text in words else refuse(text, _listed(words))


def matching(pattern: str, allowed: str) -> Callable[[str], str]:
    """Return a parser of texts that match a regular expression completely. `allowed` says so in words."""
    return lambda text: text if re.fullmatch(pattern, text, re.ASCII) else refuse(text, allowed)


def start_time(text: str) -> str | int:
    """Parse `resume`, `earliest`, `latest`, or a time into epoch milliseconds. Refuse a time in the future.

    The local clock may be wrong by a day. The start is compared with AWS's own clock later.
    """
    start = _word_or_time(text, ('resume', 'earliest', 'latest'))
    if isinstance(start, int) and start > time.time() * 1000 + DAY_MS:
        refuse(text, 'a time that is not in the future')
    return start


def stop_time(text: str) -> str | int:
    """Parse `now`, or a time into epoch milliseconds. The time may be in the future."""
    return _word_or_time(text, ('now',))


def iso_ms(text: str) -> int | None:
    """Parse an ISO 8601 time strictly into epoch milliseconds, or return None.

    A time without a zone is UTC: `iso_ms('2000-01-01') == 946684800000`.
    """
    try:
        moment = datetime.datetime.fromisoformat(text) if TIME.fullmatch(text) else None
    except ValueError:
        return None
    if moment is None:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
    return (moment - EPOCH) // datetime.timedelta(milliseconds=1)


def _word_or_time(text: str, words: tuple[str, ...]) -> str | int:
    if text in words:
        return text
    moment = iso_ms(text)
    if moment is None or not FIRST_MS <= moment < END_MS:
        refuse(text, _listed((*words, AN_ISO_TIME)))
    return moment


def _listed(words: tuple[str, ...]) -> str:
    return f'{", ".join(words[:-1])} or {words[-1]}'


LABEL = re.compile('[a-z0-9_-]{1,32}')
NAME = re.compile('[a-zA-Z0-9_.-]{1,128}')
ARN = re.compile(r'arn:aws[-a-z]*:kinesis:([a-z0-9-]+):[0-9]{12}:stream/([a-zA-Z0-9_.-]{1,128})')


@dataclasses.dataclass(frozen=True)
class Stream:
    """A stream: its name, and its ARN if there was one. `label` is the platform of events that have none, or ''."""

    name: str
    arn: str | None = None
    label: str = ''

    @property
    def region(self) -> str | None:
        """Return the region in the ARN, or None if there is no ARN."""
        found = ARN.fullmatch(self.arn or '')
        return found[1] if found else None


def platform_names(text: str) -> tuple[str, ...]:
    """Parse names of platforms, sorted and in lower case: `platform_names('iOS,android') == ('android', 'ios')`.

    The word `any` stands for no names.
    """
    if text == 'any':
        return ()
    names = text.lower().split(',')
    if not all(map(LABEL.fullmatch, names)) or len(set(names)) < len(names):
        refuse(text, 'names of platforms with commas between, each once and of 1 to 32 of a-z, 0-9, "_" and "-", '
                     'such as ios,android,web; or any')
    return tuple(sorted(names))


def read_stream(text: str) -> Stream:
    """Parse one `--stream`: `read_stream('ios=events') == Stream('events', None, 'ios')`."""
    label, equals, address = text.rpartition('=')
    if equals and not LABEL.fullmatch(label):
        refuse(text, 'LABEL=STREAM with a label of 1 to 32 of a-z, 0-9, "_" and "-"')
    arn = ARN.fullmatch(address)
    if not arn and not NAME.fullmatch(address):
        refuse(text, '[LABEL=]NAME, a name of 1 to 128 of a-z, A-Z, 0-9, "_", "." and "-", '
                     'or [LABEL=]arn:aws:kinesis:REGION:ACCOUNT:stream/NAME')
    return Stream(arn[2], address, label) if arn else Stream(address, None, label)


def check_streams(streams: Sequence[Stream], region: str | None) -> str | None:
    """Return the region of the ARNs, or `region` if there are none.

    Raise OptionRefused if the regions differ, or if two streams have one name: the name tells their shards apart.
    """
    for name, times in Counter(stream.name for stream in streams).items():
        if times > 1:
            raise OptionRefused(f'--stream: got {shown(name)} {times} times, must be given once: '
                             'shards are told apart by the name of their stream')
    regions = sorted({stream.region for stream in streams if stream.region})
    if len(regions) > 1:
        raise OptionRefused(f'--stream: got ARNs in {" and ".join(regions)}, must be in one region')
    if region and regions and regions != [region]:
        raise OptionRefused(f'--aws_region: got {shown(region)}, must be {regions[0]} as in the ARN of --stream')
    return region or (regions[0] if regions else None)
