"""What one command line comes to: which runs follow one another, with which options, and what they say."""
from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from pipeline.commit.ledger import add_up
from pipeline.commit.manifests import make_manifest, write_manifest
from pipeline.commit.resume_point import ResumePoint, follow, update_resume_point, write_resume_point
from pipeline.errors import Gap, ReadError, RunRefused
from pipeline.kinesis.api import Summary
from pipeline.kinesis.settings import ReadSettings
from pipeline.options.options import Options
from pipeline.run import run as run_module
from pipeline.run.execute import _read_settings
from pipeline.run.plan import Plan, make_plan
from pipeline.run.run import run
from pipeline.stores.base import MemoryStore
from tests.command_lines import options_of
from tests.ledgers import balanced
from tests.run.test_plan import POSITIONS, YOUNG, ScriptedCalls, at, settings


class Kinesis(ScriptedCalls):
    """Streams of which one may be gone."""

    def summary(self, stream: str) -> Summary:
        if stream not in self.created:
            raise ReadError(f'stream {stream} is gone')
        return super().summary(stream)


@dataclasses.dataclass
class Site:
    """An output and its streams. A run commits each window up to its stop, or up to noon; `runs` has each by its
    layout, streams, start and stop. If given, each run fails so."""

    store: MemoryStore
    api: Kinesis
    runs: list[tuple[int, list[str], int, int | None]]
    said: list[str]
    failure: Exception | None = None

    def run(self, *args: str) -> None:
        run(options_of('--aws_region', 'eu-west-1', *args), self.said.append)

    def execute(self, options: Options, plan: Plan, *_: Any) -> None:
        self.runs.append((options.output_shards, [stream.name for stream in plan.streams], plan.start_ms, plan.stop_ms))
        if self.failure:
            raise self.failure
        for window_ms in range(plan.start_ms, plan.stop_ms or at('12:00:00'), options.flush_ms):
            write_manifest(self.store, make_manifest(window_ms, options.flush_ms, add_up(balanced()), plan.settings))
        update_resume_point(self.store, lambda before: before and follow(self.store, before, plan.settings))


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Site:
    """A site whose resume.json is at five past ten, with the streams `app` and `old` and two output shards."""
    made = Site(MemoryStore(), Kinesis({'app': YOUNG}, now_ms=at('11:02:00')), [], [])
    former = settings('--output_shards', '2', created={'app': YOUNG, 'old': YOUNG})
    write_resume_point(made.store, ResumePoint(at('10:05:00'), 0, POSITIONS, former))
    monkeypatch.setattr(run_module, 'connect', lambda *_: made.api)
    monkeypatch.setattr(run_module, 'check_outputs', lambda *_: None)
    monkeypatch.setattr(run_module, 'outputs_of', lambda *_: dict.fromkeys(('events', 'errors', 'backup'), made.store))
    monkeypatch.setattr(run_module, 'execute', made.execute)
    return made


def test_a_stream_that_is_gone_is_left_out_at_once_and_the_layout_changes_at_the_hour(site: Site) -> None:
    site.run('--stream', 'app', '--new_layout')

    assert site.runs == [(2, ['app'], at('10:05:00'), at('11:00:00')), (1, ['app'], at('11:00:00'), None)]
    assert '\n'.join(site.said).count('stream old is left out: what arrived in it from 2026-11-23T10:05:00Z on') == 1
    site.said.clear()
    site.run('--stream', 'app')  # from now on it goes on by itself
    assert site.runs[2:] == [(1, ['app'], at('12:00:00'), None)]
    assert not any('left out' in line for line in site.said)


def test_the_former_layout_ends_at_a_stop_before_the_hour_and_the_new_one_at_one_behind_it(site: Site) -> None:
    site.run('--stream', 'app', '--new_layout', '--stop', '2026-11-23T10:25:00Z')
    assert site.runs == [(2, ['app'], at('10:05:00'), at('10:25:00'))]

    site.run('--stream', 'app', '--new_layout', '--stop', '2026-11-23T11:10:00Z')
    assert site.runs[1:] == [(2, ['app'], at('10:25:00'), at('11:00:00')), (1, ['app'], at('11:00:00'), at('11:10:00'))]


def test_the_former_layout_writes_only_windows_that_have_ended_by_the_stop(site: Site) -> None:
    write_resume_point(site.store, ResumePoint(at('10:15:00'), 0, POSITIONS, settings('--flush_interval_s', '900')))

    site.run('--stream', 'app', '--new_layout', '--stop', '2026-11-23T10:40:00Z')

    assert site.runs == [(1, ['app'], at('10:15:00'), at('10:30:00'))]


def test_a_gap_fails_a_replay_whatever_on_gap_says_since_it_cannot_go_on_elsewhere(site: Site) -> None:
    write_resume_point(site.store, ResumePoint(at('10:15:00'), 0, POSITIONS, settings()))
    site.failure = Gap('lost')

    with pytest.raises(Gap):
        site.run('--stream', 'app', '--start', '2026-11-23T10:00:00Z', '--stop', 'now', '--on_gap', 'skip')

    assert site.runs == [(1, ['app'], at('10:00:00'), at('11:00:00'))]


def test_the_stream_alone_changes_at_once_on_every_runner(site: Site) -> None:
    with pytest.raises(RunRefused, match='stream old is gone'):
        site.run('--stream', 'app', '--stream', 'old', '--output_shards', '2', '--new_layout')
    site.run('--stream', 'app', '--output_shards', '2', '--new_layout')

    assert site.runs == [(2, ['app'], at('10:05:00'), None)]


def test_elsewhere_the_run_up_to_the_hour_is_this_one_with_the_options_that_are_named(site: Site) -> None:
    new = ['--stream', 'app', '--new_layout', '--runner', 'DataflowRunner', '--temp_location', 'gs://b/t',
           '--region', 'r']

    with pytest.raises(RunRefused) as error:
        site.run(*new)

    assert str(error.value) == (
        '--new_layout: the new layout begins at 2026-11-23T11:00:00Z: add --output_shards=2 --start=resume '
        '--stop=2026-11-23T11:00:00Z to go on to there with the former one, then run again without them')
    added = str(error.value).split('add ')[1].split(' to go on')[0].split()
    made = make_plan(options_of(*new, *added), site.api, site.store)
    assert (made.former, made.start_ms, made.stop_ms) == (None, at('10:05:00'), at('11:00:00'))


def test_readers_know_what_the_size_of_a_part_depends_on() -> None:
    options = options_of('--output_shards', '3', '--flush_size_mb', '8')

    read: ReadSettings = _read_settings(options, make_plan(options, ScriptedCalls({'app': YOUNG}), MemoryStore()))

    assert (read.output_shards, read.flush_bytes, len(read.streams)) == (3, 8 << 20, 1)
