"""Advice in an error message is a command that works: here each piece is provoked, followed, and ends well.

The real command line in this process, on a scripted Kinesis: `n` numbers the events that were put.
"""
from __future__ import annotations

import json
import pathlib
import re
import shlex
import signal
import types
from collections.abc import Iterator
from typing import Any, NoReturn

import msgspec
import pytest

from pipeline import main as program
from pipeline.commit import commit as commit_module
from pipeline.commit import commit_window
from pipeline.commit.manifests import last_manifest, write_manifest
from pipeline.kinesis import read as read_module
from pipeline.options.options import parse_options
from pipeline.options.types import iso_ms
from pipeline.run import execute as execute_module
from pipeline.run import run as run_module
from pipeline.stores.base import FolderStore
from tests.kinesis.driver import shared_of
from tests.kinesis.fake import DAY_MS, FakeKinesis
from tests.options.test_options import BASE

START = iso_ms('2025-03-01T08:00:00Z') or 0
HOUR_MS = 3_600_000
A = 'shardId-000000000000'


class Site:
    """A stream, an output, and the program; each event is put a second after a full quarter of an hour."""

    def __init__(self, output: pathlib.Path, capfd: pytest.CaptureFixture[str]) -> None:
        self.output, self._capfd = output, capfd
        self.fake = FakeKinesis(now_ms=START)
        self.fake.now_ms += 1000

    def put(self, *numbers: int) -> None:
        """Put an event in each of the next flush windows."""
        for number in numbers:
            self.fake.put(A, b'{"n":%d}' % number)
            self.fake.now_ms += HOUR_MS / 4

    def run(self, *args: str, code: int = 0) -> str:
        """Run the program and return what it says."""
        self._shared = shared_of(self.fake)
        ended = program.main(['--stream', self.fake.name, '--output', str(self.output), '--flush_interval_s', '900',
                              '--aws_region', 'eu-west-1', '--compression', 'none', *args])
        said = ''.join(self._capfd.readouterr())
        assert ended == code, said
        return said

    def follow(self, said: str, advice: str, *args: str) -> str:
        """Run the program with the options of that advice, which must be in what it has said."""
        assert advice in said
        return self.run(*args, *re.findall(r'--\S+', advice.rstrip(';,.')))

    @property
    def numbers(self) -> list[int]:
        """Return the numbers of all events that were written, sorted."""
        return sorted(json.loads(line)['n'] for path in self.output.glob('events/**/*.json')
                      for line in path.read_bytes().splitlines())

    @property
    def resume(self) -> str:
        """Return the time at which resume.json stands."""
        return str(json.loads((self.output / 'resume.json').read_bytes())['end'])


def interrupt(_: float) -> NoReturn:
    raise KeyboardInterrupt


@pytest.fixture
def site(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Site]:
    """A site on which a run without --stop ends as by Ctrl-C once it has read everything."""
    made = Site(tmp_path / 'lake', capfd)
    monkeypatch.setattr(read_module, 'share', lambda *_: made._shared)
    monkeypatch.setattr(run_module, 'connect', lambda *_: made.fake)
    monkeypatch.setattr(execute_module, 'time', types.SimpleNamespace(sleep=interrupt))
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield made
    for number, handler in handlers.items():
        signal.signal(number, handler)


NOW = ('--stop', 'now')


def test_there_is_nothing_to_resume(site: Site) -> None:
    site.put(1)

    said = site.run('--start', 'resume', *NOW, code=2)

    assert 'start at earliest, latest or a time' in said
    site.run('--start', 'earliest', *NOW)
    assert site.numbers == [1]


@pytest.mark.parametrize('service', [('--start', 'latest'), ()])
def test_what_is_committed_stays_go_on_with_resume(site: Site, service: tuple[str, ...]) -> None:
    site.run(*service)
    site.put(1, 2)

    said = site.run(*service)
    site.put(3)
    site.follow(said, '--start=resume')

    assert site.numbers == [1, 2, 3]


def test_what_is_committed_stays_run_the_replay_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.put(1, 2)
    site.run(*NOW)
    replay = ['--start', 'earliest', *NOW, '--rename', 'none', '--replace']
    with monkeypatch.context() as patch:
        patch.setattr(execute_module, 'submit', interrupt_after_all)
        said = site.run(*replay, code=130)

    assert 'ended; what is committed stays, run the same command again' in said
    assert 'windows    2 committed' in site.run(*replay)


def test_what_is_committed_stays_go_on_without_starting_over(site: Site) -> None:
    site.put(1)
    site.run(*NOW)
    site.put(2)

    said = site.run('--start', 'latest', '--start_over')
    assert 'leave --start_over out from now on' in said
    assert 'go on with --start=resume, without --start_over' in said
    site.put(3)
    site.run('--start=resume')

    assert site.numbers == [1, 3]  # 2 was skipped on purpose


def interrupt_after_all(*_: Any) -> NoReturn:
    raise KeyboardInterrupt


@pytest.mark.parametrize('cron', [(), NOW], ids=['service', 'cron'])
def test_a_stream_that_was_made_again_starts_over(site: Site, cron: tuple[str, ...]) -> None:
    site.put(1, 2)
    site.run(*NOW)
    site.fake.make_again()
    site.put(3)

    for args in ((), NOW, ('--start', 'earliest'), ('--start', 'earliest', *NOW)):
        said = site.run(*args, code=2)
    site.follow(said, '--start=earliest --start_over', *cron)
    site.put(4)
    site.run(*cron)

    assert (site.numbers, site.resume) == ([1, 2, 3, 4], '2025-03-01T09:00:00Z')


def test_a_stream_that_is_made_again_under_a_running_job_starts_over(
        site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.put(1)

    def replaced(*_: Any) -> None:
        site.fake.now_ms += 1000
        site.fake.make_again()
        read_module.share((), None, None).retention_of(site.fake.settings(streams=before)).refresh_if_due()

    before = site.fake.infos()
    with monkeypatch.context() as patch:
        patch.setattr(execute_module, 'submit', replaced)
        said = site.run(*NOW, code=1)
    site.put(2)
    site.follow(said, '--start=earliest --start_over', *NOW)

    assert site.numbers == [2]


def test_a_window_of_the_former_stream_is_left_as_it_is(site: Site) -> None:
    site.put(1)
    site.run(*NOW)
    site.put(2)
    site.fake.make_again()
    site.put(3)
    store = FolderStore(str(site.output))
    manifest = last_manifest(store)
    assert manifest
    write_manifest(store, msgspec.structs.replace(  # as if it had been committed in the window of the creation
        manifest, window='2025-03-01T08:30:00Z', window_ms=START + HOUR_MS // 2, end_ms=START + HOUR_MS * 3 // 4))

    said = site.run('--start', '2025-03-01T08:30:00Z', '--start_over', *NOW, code=2)
    said = site.follow(said, '--start=2025-03-01T08:45:00Z --start_over', *NOW)
    assert 'nothing to do yet' in said
    site.put(4)
    site.run('--start', 'earliest', '--start_over', *NOW)

    assert site.numbers == [1, 3, 4]  # 2 was not read before its stream was deleted


def test_another_placement_keeps_to_the_former_or_takes_a_new_layout(site: Site) -> None:
    service = ['--start', 'earliest']
    site.put(1)
    site.run(*service)
    site.put(2)
    two = ['--output_shards', '2']

    said = site.run(*service, *two, code=2)

    assert 'keep to it, or give --new_layout' in said
    site.run(*service)
    site.put(3)
    said = site.run(*service, *two, '--new_layout')
    assert 'the new layout begins at 2025-03-01T09:00:00Z: going on to there with the former one' in said
    site.fake.now_ms += HOUR_MS
    site.put(4)
    site.run(*service, *two, '--new_layout')
    site.run(*service, *two)
    assert site.numbers == [1, 2, 3, 4]


def test_a_stream_that_grew_to_64_shards_goes_on_with_the_layout_that_it_had_or_another(site: Site) -> None:
    site.put(1)
    site.run(*NOW)
    shards = [A]
    while len(shards) < 64:
        shards = [child for shard in shards for child in site.fake.split(shard)]
    for number, shard in enumerate(shards, start=2):
        site.fake.put(shard, b'{"n":%d}' % number)
    site.fake.now_ms += HOUR_MS / 4

    site.run(*NOW)
    assert site.numbers == list(range(1, 66))
    two = ['--output_shards', '2']
    said = site.run(*NOW, *two, code=2)
    site.follow(said, '--new_layout', *NOW, *two)


def test_a_new_layout_elsewhere_is_two_runs(site: Site) -> None:
    site.put(1)
    site.run(*NOW)
    site.put(2)
    service = ['--start', 'earliest']
    new = [*service, '--output_shards', '2', '--new_layout']

    said = site.run(*new, '--runner', 'PrismRunner', '--open_job_port', code=2)

    assert 'to go on to there with the former one, then run again without them' in said
    site.fake.now_ms += HOUR_MS
    site.follow(said, 'add --output_shards=1 --start=resume --stop=2025-03-01T09:00:00Z', *new)
    site.put(3)
    site.run(*new)
    assert (site.numbers, site.resume[11:16]) == ([1, 2, 3], '09:45')


@pytest.mark.parametrize('changed', [('--rename', 'none'), ('--output_shards', '2')])
def test_committed_windows_are_written_again_by_replace(site: Site, changed: tuple[str, ...]) -> None:
    site.put(1, 2)
    site.run(*NOW)
    replay = ['--start', 'earliest', *NOW, *changed]

    said = site.run(*replay, code=2)
    site.follow(said, '--replace', *replay)

    assert site.numbers == [1, 2]
    assert site.resume == '2025-03-01T08:30:00Z'


def test_windows_of_a_replay_that_was_cut_short_are_written_by_replace(site: Site) -> None:
    site.put(1, 2)
    site.run(*NOW)
    replay = ['--start', 'earliest', *NOW, '--output_shards', '2']
    next(site.output.glob('manifests/**/*T081500Z.json')).unlink()

    said = site.run(*replay, code=2)
    assert 'not every window from 2025-03-01T08:00:00Z to 2025-03-01T08:30:00Z is committed' in said
    site.follow(said, '--replace', *replay)

    assert site.numbers == [1, 2]


def test_another_flush_interval_replaces_full_hours(site: Site) -> None:
    site.put(1, 2, 3, 4, 5)
    site.run(*NOW)
    replay = ['--flush_interval_s', '300', '--replace', '--start', '2025-03-01T08:00:00Z', '--stop']

    said = site.run(*replay, '2025-03-01T08:30:00Z', code=2)

    assert 'must begin and end at full hours, got --stop 2025-03-01T08:30:00Z' in said
    site.run(*replay, '2025-03-01T09:00:00Z')
    assert site.numbers == [1, 2, 3, 4, 5]


def test_errors_stay_where_they_are(site: Site, tmp_path: pathlib.Path) -> None:
    site.put(1)
    site.run(*NOW, '--errors_output', str(tmp_path / 'errors'))
    replay = ['--start', 'earliest', *NOW]

    said = site.run(*replay, code=2)

    found = re.search('--errors_output: got .*, must be ([^,]+), ', said)
    assert found
    site.run(*replay, '--errors_output', found[1])
    assert site.numbers == [1]


def test_errors_of_two_outputs_have_two_places(site: Site, tmp_path: pathlib.Path) -> None:
    site.put(1)
    site.run(*NOW)
    elsewhere = ['--output', str(tmp_path / 'other'), *NOW]

    said = site.run(*elsewhere, '--errors_output', str(site.output), code=2)

    assert 'give a place of its own' in said
    site.run(*elsewhere, '--errors_output', str(tmp_path / 'errors'))


def test_another_stream_is_kept_out_or_has_an_output_of_its_own(site: Site, tmp_path: pathlib.Path) -> None:
    site.put(1)
    site.run(*NOW)
    own, site.fake = site.fake, FakeKinesis(now_ms=int(site.fake.now_ms), name='other')
    site.put(2)
    replay = ['--start', '2025-03-01T08:15:00Z', *NOW]

    for replace in ((), ('--replace',)):
        said = site.run(*replay, *replace, code=2)

    assert '--stream: was events, is other: resume.json goes on at 2025-03-01T08:15:00Z with the former' in said
    assert 'keep to it, or write to another --output' in said
    site.run(*replay, '--output', str(tmp_path / 'its own'))
    site.fake = own
    site.put(3)
    site.run('--start', '2025-03-01T08:15:00Z', *NOW)  # a replay by the output's own job may go ahead
    site.run()
    assert site.numbers == [1, 3]


def test_a_lost_resume_is_found_again(site: Site) -> None:
    site.put(1)
    site.run('--start', 'earliest')
    (site.output / 'resume.json').unlink()
    site.put(2)

    said = site.run('--start', 'latest', code=2)
    site.follow(said, '--start=2025-03-01T08:15:00Z')

    assert site.numbers == [1, 2]


def test_a_lost_resume_is_not_begun_by_another_stream_but_on_purpose(site: Site) -> None:
    site.put(1)
    site.run(*NOW)
    (site.output / 'resume.json').unlink()
    site.fake = FakeKinesis(now_ms=int(site.fake.now_ms), name='other')
    site.put(2)

    said = site.run(*NOW, code=2)
    site.follow(said, '--start=2025-03-01T08:15:00Z --start_over', *NOW)

    assert site.numbers == [1, 2]


def test_a_resume_that_is_lost_meanwhile_is_begun_at_the_end_of_the_last_window(
        site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.put(1)
    with monkeypatch.context() as patch:
        patch.setattr(commit_window, '_remove_earlier', lambda *_: (site.output / 'resume.json').unlink())
        said = site.run(*NOW)
    site.put(2)

    assert 'end the job and start it at the end of its last window' in said
    site.run('--start', '2025-03-01T08:15:00Z')
    assert (site.numbers, site.resume) == ([1, 2], '2025-03-01T08:30:00Z')


@pytest.mark.parametrize('start', [(), ('--start', 'latest'), ('--start', '2025-03-01T08:15:00Z', *NOW)])
def test_a_gap_is_skipped(site: Site, start: tuple[str, ...]) -> None:
    site.put(1)
    site.run(*NOW)
    site.fake.now_ms += DAY_MS
    site.put(2)
    site.fake.now_ms += DAY_MS - HOUR_MS

    said = site.run(*start, code=2)
    assert re.search(r'--on_gap=skip goes on at 2025-03-02T0\d:\d\d:00Z', said)
    site.follow(said, '--on_gap=skip', *start)

    assert site.numbers == [1, 2]


def test_a_start_is_not_in_the_future(site: Site) -> None:
    site.put(1)
    said = site.run('--start', '2025-03-01T09:00:00Z', code=2)

    now = re.search(r'must not be in the future; AWS says (\S+)', said)
    assert now
    site.run('--start', now[1])


def spoil(patch: pytest.MonkeyPatch) -> None:
    """Let no window be complete."""
    patch.setattr(commit_module, 'imbalance', lambda *_: 'spoiled')


def test_windows_left_incomplete_are_made_whole_by_a_resume(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.put(1, 2)
    with monkeypatch.context() as patch:
        spoil(patch)
        said = site.run('--start', 'earliest', *NOW, code=1)

    assert 'It gets no manifest; a run with --start=resume makes it whole' in said
    report = site.follow(said, 'run again with --start=resume', *NOW)
    assert 'windows    2 committed' in report


def test_windows_left_incomplete_by_a_start_over_are_made_whole_by_a_resume(
        site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.put(1, 2)
    with monkeypatch.context() as patch:
        spoil(patch)
        said = site.run('--start', 'earliest', '--start_over', *NOW, code=1)

    assert 'run again with --start=resume, without --start_over' in said
    assert 'windows    2 committed' in site.run('--start=resume', *NOW)


def test_windows_left_incomplete_by_a_replay_are_made_whole_by_the_same_range(
        site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.put(1, 2)
    site.run(*NOW)
    with monkeypatch.context() as patch:
        spoil(patch)
        said = site.run('--start', 'earliest', *NOW, code=1)

    assert 'a run with --start=2025-03-01T08:00:00Z --stop=2025-03-01T08:15:00Z makes it whole' in said
    report = site.follow(said, 'run again with --start=2025-03-01T08:00:00Z --stop=2025-03-01T08:30:00Z')
    assert 'windows    2 committed' in report


def test_a_damaged_manifest_is_removed_and_its_window_replayed(site: Site) -> None:
    site.put(1, 2)
    site.run(*NOW)
    manifest = next(site.output.glob('manifests/**/*T080000Z.json'))
    manifest.write_bytes(b'')
    replay = ['--start', '2025-03-01T08:00:00Z', '--stop', '2025-03-01T08:15:00Z']

    said = site.run(*replay, code=2)

    assert 'remove it and replay its window' in said
    manifest.unlink()
    site.run(*replay)
    assert site.numbers == [1, 2]


def test_a_damaged_resume_is_put_back(site: Site) -> None:
    site.put(1)
    site.run(*NOW)
    older = (site.output / 'resume.json').read_bytes()
    site.put(2)
    site.run(*NOW)
    (site.output / 'resume.json').write_bytes(b'')
    site.put(3)

    assert 'put back an older version' in site.run(*NOW, code=2)
    (site.output / 'resume.json').write_bytes(older)
    site.run(*NOW)
    assert site.numbers == [1, 2, 3]


@pytest.mark.parametrize('other', [('--rename', 'none'), ('--output_shards', '2')])
def test_of_two_jobs_one_is_ended_and_the_other_writes_its_windows_again(
        site: Site, monkeypatch: pytest.MonkeyPatch, other: tuple[str, ...]) -> None:
    site.put(1, 2)
    submit = execute_module.submit

    def late(*args: Any) -> None:
        patch.undo()
        (site.output / 'resume.json').unlink()  # both jobs begin at once, on an output that is new to either
        site.run(*NOW)
        submit(*args)

    with monkeypatch.context() as patch:
        patch.setattr(execute_module, 'submit', late)
        said = site.run(*NOW, *other, code=1)

    site.follow(said, '--start=2025-03-01T08:00:00Z --start_over --replace', *NOW, *other)
    site.put(3)
    site.run(*other)
    assert site.numbers == [1, 2, 3]


#: A command line that is refused, the advice, and the command line that follows it.
LINES = [
    ('--start latest --stop now', 'must be absent or a later time', '--start latest'),
    ('--start earliest --start_over --new_layout', 'must not be given with --start_over', '--start earliest '
                                                                                          '--start_over'),
    ('--start earliest --stop now --new_layout', 'must go with --start resume', '--start resume --stop now '
                                                                                '--new_layout'),
    ('--start_over', 'must go with --start earliest, latest or a time', '--start latest --start_over'),
    ('--start resume --start_over', 'must go with --start earliest, latest or a time', '--start 2025-03-01 '
                                                                                       '--start_over'),
    ('--no_backup --backup_output /b', 'must not be given with --backup_output', '--backup_output /b'),
    ('--runner PrismRunner --readers 2', 'must be 1 on PrismRunner', '--runner PrismRunner --open_job_port '
                                                                         '--readers 1'),
    ('--platform_field Platform', "such as 'platform'", '--platform_field platform'),
    ('--flush-interval-s 60', 'did you mean --flush_interval_s?', '--flush_interval_s 60')]


@pytest.mark.parametrize(('wrong', 'advice', 'right'), LINES)
def test_a_wrong_command_line_is_told_a_right_one(
        wrong: str, advice: str, right: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_options([*BASE, *shlex.split(wrong)])

    assert advice in capsys.readouterr().err
    parse_options([*BASE, *shlex.split(right)])
