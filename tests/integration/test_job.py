"""The real command line on real local servers: the same stream gives the same objects."""
from __future__ import annotations

import collections
import json
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.lake import Lake, lake_read_once, needs_prism, windows_of
from tests.waiting import TIMEOUT_S, wait_until
from transforms import split_record

pytestmark = pytest.mark.timeout(300)
RECORDS, DOCUMENTS, WINDOWS = 5500, 10, 10


@pytest.fixture(scope='module')
def lake() -> Iterator[Lake]:
    """A stream of 55,000 documents over 4 shards and 10 windows, read once in one bounded run, under `one`."""
    with lake_read_once(RECORDS, DOCUMENTS, WINDOWS, seed=1) as lake:
        yield lake


def test_every_record_that_was_put_is_in_the_backup_once_byte_for_byte(lake: Lake) -> None:
    expected = {(put.shard, put.sequence): put.data for put in lake.puts}

    assert lake.backup('one') == expected


def test_every_document_is_a_line_or_an_error(lake: Lake) -> None:
    splits = [split_record(put.data) for put in lake.puts]
    numbers = sorted(document['number'] for split in splits for document in split.documents)
    broken = collections.Counter(split.rest.code for split in splits if split.rest)

    assert sorted(line['number'] for line in lake.lines('one', 'events/')) == numbers
    assert collections.Counter(line['errorCode'] for line in lake.lines('one', 'errors/')) == broken


def test_the_manifests_account_for_what_was_put(lake: Lake) -> None:
    manifests = lake.manifests('one').values()
    busy = [manifest for manifest in manifests if manifest['counts']['records']]

    assert len(busy) >= WINDOWS
    assert sum(manifest['counts']['records'] for manifest in manifests) == len(lake.puts)
    assert sum(manifest['counts']['bytes'] for manifest in manifests) == sum(len(put.data) for put in lake.puts)
    assert {item['path'] for manifest in manifests for item in manifest['objects']} == set(lake.objects('one'))


@pytest.mark.parametrize('options', [['--readers', '1'], ['--readers', '3'], ['--runner', 'PrismRunner']],
                         ids=['one reader', 'three readers', 'prism'])
def test_readers_and_runners_change_no_byte(lake: Lake, options: list[str]) -> None:
    if 'PrismRunner' in options:
        needs_prism()
    start, stop = windows_of(lake.manifests('one'))
    prefix = '-'.join(option.strip('-') for option in options)

    lake.run(prefix, '--start', start, '--stop', stop, *options)

    assert lake.objects(prefix) == lake.objects('one')
    assert lake.manifests(prefix) == lake.manifests('one')


def test_runs_that_resume_one_another_one_of_them_killed_change_no_byte(lake: Lake) -> None:
    start, stop = windows_of(lake.manifests('one'))
    windows = sorted(manifest['window'] for manifest in lake.manifests('one').values())

    lake.run('resumed', '--start', start, '--stop', windows[4])
    killed = lake.start('resumed', '--start', 'resume', '--stop', windows[8])
    before = len(lake.objects('resumed'))
    # It may end before its first objects are noticed, if this process gets no turn; test_kills.py kills in the middle.
    wait_until(lambda: len(lake.objects('resumed')) > before or killed.poll() is not None, 'objects', every_s=0.01)
    killed.send_signal(signal.SIGKILL)
    killed.communicate(timeout=TIMEOUT_S)
    lake.run('resumed', '--start', 'resume', '--stop', windows[8])
    report = lake.run('resumed', '--start', 'resume', '--stop', stop)

    assert 'incomplete' not in report
    assert lake.objects('resumed') == lake.objects('one')
    assert lake.manifests('resumed') == lake.manifests('one')


def test_a_resume_with_nothing_to_do_says_so(lake: Lake) -> None:
    _, stop = windows_of(lake.manifests('one'))

    assert 'nothing to do yet' in lake.run('one', '--stop', stop)


def test_another_mapping_over_committed_windows_needs_replace_and_leaves_no_old_name(
        lake: Lake, tmp_path: Any) -> None:
    start, stop = windows_of(lake.manifests('one'))
    mapping = tmp_path / 'rename.json'
    mapping.write_text(json.dumps({'App Version': 'release', 'eventName': None}))
    lake.run('replaced', '--start', start, '--stop', stop)

    refusal = lake.run('replaced', '--start', start, '--stop', stop, '--rename', str(mapping), code=2)
    lake.run('replaced', '--start', start, '--stop', stop, '--rename', str(mapping), '--replace')

    assert 'give --replace' in refusal
    lines = lake.lines('replaced', 'events/')
    assert {key for line in lines for key in line} == {
        'platform', 'number', 'event_time', 'release', 'event_value_price', 'event_value_items_0_id'}
    assert sorted(line['number'] for line in lines) == sorted(line['number'] for line in lake.lines('one', 'events/'))
    assert set(lake.objects('replaced')) == set(lake.objects('one'))


@pytest.mark.parametrize('ended', ['while it went on', 'while it replaced'])
def test_what_a_run_with_another_mapping_left_half_done_leaves_no_double(
        lake: Lake, tmp_path: Any, ended: str) -> None:
    start, stop = windows_of(lake.manifests('one'))
    middle = sorted(manifest['window'] for manifest in lake.manifests('one').values())[4]
    mapping = tmp_path / 'rename.json'
    mapping.write_text(json.dumps({'eventName': 'platform', 'platform': None}))  # into other folders
    prefix = ended.replace(' ', '-')
    lake.run(prefix, '--start', start, '--stop', middle)
    former = lake.aws.s3.get_object(Bucket=lake.stream, Key=f'{prefix}/resume.json')['Body'].read()
    if ended == 'while it went on':
        lake.run(prefix, '--stop', stop, '--rename', str(mapping))
        # As after a kill between the last object and the first manifest; resume.json is that of the run's beginning.
        written = json.loads(lake.get(prefix, 'resume.json'))['settings']
        begun = {**json.loads(former), 'settings': written}
        lake.aws.s3.put_object(Bucket=lake.stream, Key=f'{prefix}/resume.json', Body=json.dumps(begun).encode())
        again: list[str] = []
    else:
        lake.run(prefix, '--stop', stop)
        lake.run(prefix, '--start', middle, '--stop', stop, '--rename', str(mapping), '--replace')
        again = ['--start', middle, '--replace']
    for key, manifest in lake.manifests(prefix).items():
        if manifest['window'] >= middle:
            lake.aws.s3.delete_object(Bucket=lake.stream, Key=f'{prefix}/{key}')

    report = lake.run(prefix, '--stop', stop, *again)

    assert 'objects that a run with other settings had begun' in report
    assert lake.objects(prefix) == lake.objects('one')
    assert lake.manifests(prefix) == lake.manifests('one')


def test_another_layout_is_refused_on_resume(lake: Lake) -> None:
    refusal = lake.run('one', '--output_shards', '2', '--stop', 'now', code=2)

    assert '--output_shards: was 1, is 2' in refusal
