"""What a run does before it reads: claim its places, say in resume.json that it writes from now on, remove orphans."""
from __future__ import annotations

import dataclasses
from collections.abc import Callable

import msgspec

from pipeline.commit.fence import begin_replay, joined, next_replay
from pipeline.commit.manifests import Settings
from pipeline.commit.orphans import Place, remove_orphans
from pipeline.commit.resume_point import Cleanup, ResumePoint, update_resume_point
from pipeline.errors import RunRefused, StoreError
from pipeline.options.beam_options import find_arg
from pipeline.options.options import Options
from pipeline.run.outputs import claim_outputs, outputs_of, store_at
from pipeline.stores.base import Store

#: After this time a run that was fenced has put its last object: its calls are retried for two minutes.
QUIET_MS = 600_000


class PlanOutdated(Exception):
    """Another run has moved resume.json since the plan was made: plan again."""


@dataclasses.dataclass(frozen=True)
class Preparation:
    """What has to be done before a run reads.

    `found` is what resume.json says, and `resume_point` what it must say, None if it stays as it is. `generation` is
    that of the run. Orphans of windows in `orphan_range` are removed, None if there are none; those from `committed_ms`
    on are not committed. `cleanup` is what resume.json says of them, and `cleanup_ends` whether this is the last time.
    """

    found: ResumePoint | None
    resume_point: ResumePoint | None = None
    generation: int = 0
    orphan_range: tuple[int, int] | None = None
    committed_ms: int | None = None
    cleanup: Cleanup | None = None
    cleanup_ends: bool = False

    @property
    def takes_over(self) -> bool:
        """Whether the run begins a generation, which ends the runs of those before it."""
        return self.found is not None and self.generation > self.found.generation


def taking_over(found: ResumePoint | None, committed: ResumePoint | None, wanted: ResumePoint, *, now_ms: int,
                end_ms: int, anew: bool, replace: bool) -> Preparation:
    """Return what a run that moves resume.json does first. `committed` is `found` after the manifests that follow it.

    A run that writes as resume.json says goes on in its generation, beside another one that does the same, unless it
    begins `anew` or may `replace` windows. Any other run takes over: it begins a generation, and removes what the
    former one had begun. Windows that it may commit begin before `end_ms`.
    """
    if found is None or committed is None:
        return Preparation(found, wanted, orphan_range=(wanted.end_ms, end_ms) if replace else None)
    owed = committed.cleanup
    if wanted.writes_like(committed) and not (anew or replace) and (owed is None or owed.begun):
        if owed is None:
            return Preparation(found, generation=committed.generation)
        return Preparation(
            found, msgspec.structs.replace(committed, replay=next_replay(committed.replay)), committed.generation,
            orphan_range=(owed.start_ms, committed.end_ms), cleanup=owed,
            cleanup_ends=now_ms >= owed.since_ms + QUIET_MS)
    former = {kind: [committed.moved.get(kind, '')] for kind in ('errors', 'backup')
              if committed.moved.get(kind) != wanted.moved.get(kind)}
    cleanup, generation = joined(owed, Cleanup(wanted.end_ms, now_ms, former)), committed.generation + 1
    resume_point = msgspec.structs.replace(
        wanted, generation=generation, cleanup=cleanup, replay=next_replay(committed.replay))
    return Preparation(found, resume_point, generation, (cleanup.start_ms, end_ms), wanted.end_ms, cleanup)


def replaying(found: ResumePoint | None, generation: int, orphan_range: tuple[int, int] | None) -> Preparation:
    """Return what a run that leaves resume.json alone does first."""
    return Preparation(found, generation=generation, orphan_range=orphan_range)


def prepare(preparation: Preparation, options: Options, store: Store, settings: Settings, *, moves_resume_point: bool,
            say: Callable[[str], None]) -> int:
    """Do what a preparation says; return the number of the replay, 0 of another run.

    The fence comes first: from then on no former run commits what is removed next. A run that is killed in between does
    it again, since resume.json says until the end what is owed. Raise PlanOutdated if resume.json has moved.
    """
    if preparation.takes_over and find_arg(options.beam_args, 'savepoint_path'):
        raise RunRefused('--savepoint_path: must not be given if settings changed: what is in it was made with the '
                         'former ones; --start=resume without it goes on with these')
    claim_outputs(options)
    replay = 0
    if preparation.resume_point:
        update_resume_point(store, lambda before: _after(preparation, before))
    if options.replace and not moves_resume_point:
        replay = begin_replay(store, settings)
    if preparation.orphan_range:
        removed = _remove_orphans(preparation, preparation.orphan_range, options, store, say)
        if removed:
            say(f'removed {removed:,} objects that a run with other settings had begun')
    if preparation.cleanup:
        update_resume_point(store, lambda before: before and _cleaned(preparation, before))
    return replay


def _remove_orphans(preparation: Preparation, windows: tuple[int, int], options: Options, store: Store,
                    say: Callable[[str], None]) -> int:
    """Remove orphans from the places of this run and from former ones; return their number."""
    now = [Place(kind, options.separate_outputs.get(kind, ''), where) for kind, where in outputs_of(options).items()]
    removed = remove_orphans(store, now, *windows, preparation.committed_ms)
    former = preparation.cleanup.places if preparation.cleanup else {}
    for kind, uri in [(kind, uri) for kind, uris in former.items() for uri in uris]:
        if options.separate_outputs.get(kind, '') != uri:
            try:
                place = Place(kind, uri, store_at(uri or options.output, options))
                removed += remove_orphans(store, [place], *windows)
            except StoreError as error:  # it may be gone, and the job must go on
                say(f'objects that no manifest lists may be left below {uri}: {error}')
    return removed


def _after(preparation: Preparation, before: ResumePoint | None) -> ResumePoint | None:
    if before != preparation.found:
        raise PlanOutdated
    return preparation.resume_point


def _cleaned(preparation: Preparation, before: ResumePoint) -> ResumePoint:
    """Return the resume point after a removal; another run may have taken over meanwhile, or left a note."""
    if before.cleanup != preparation.cleanup:
        return before
    assert before.cleanup
    rest = None if preparation.cleanup_ends else msgspec.structs.replace(before.cleanup, begun=True)
    return msgspec.structs.replace(before, cleanup=rest)
