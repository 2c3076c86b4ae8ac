"""The fence: a run that another one with other settings has followed commits nothing more. resume.json says who may."""
from __future__ import annotations

from collections.abc import Mapping

import msgspec

from pipeline.commit.manifests import Settings
from pipeline.commit.resume_point import Cleanup, Replay, ResumePoint, update_resume_point
from pipeline.errors import Fenced
from pipeline.stores.base import Store
from pipeline.windows import iso


def check_fence(resume_point: ResumePoint | None, generation: int) -> None:
    """Raise Fenced if a run of a later generation has taken over."""
    if resume_point and resume_point.generation > generation:
        raise Fenced('another run with other settings has taken over this output: this one ends and commits nothing '
                     f'more. Nothing is lost: the other goes on at {iso(resume_point.end_ms)}')


def check_replay_fence(resume_point: ResumePoint | None, generation: int, replay: int, settings: Settings,
                       end_ms: int) -> None:
    """Raise Fenced if a replay must not commit a window that ends at `end_ms`.

    `replay` is the number of a run with `--replace`, 0 of another. A later one with other settings may have begun. Or
    resume.json may have gone back behind the window, which then belongs to the run that moves resume.json.
    """
    if resume_point is None:
        return
    if not replay:
        check_fence(resume_point, generation)
    elif resume_point.replay and resume_point.replay.generation > replay:
        raise Fenced('another run has begun to replace or remove what this one writes: it ends and commits nothing '
                     'more. Give its command again when the other has ended')
    if end_ms > resume_point.end_ms and settings != resume_point.settings:
        raise Fenced(f'resume.json is at {iso(resume_point.end_ms)}: windows behind it belong to the run that moves '
                     'it, and this one with other settings commits nothing there')


def next_replay(replay: Replay | None) -> Replay | None:
    """Return the note of a replay with the next number, which ends those that run."""
    return replay and msgspec.structs.replace(replay, generation=replay.generation + 1)


def begin_replay(store: Store, settings: Settings) -> int:
    """Note in resume.json that a replay of these settings begins; return its number. Equal settings share a number."""
    def begun(before: ResumePoint | None) -> ResumePoint | None:
        if before is None or (before.replay and before.replay.settings == settings):
            return before
        number = before.replay.generation + 1 if before.replay else 1
        return msgspec.structs.replace(before, replay=Replay(number, settings))

    after = update_resume_point(store, begun)
    return after.replay.generation if after and after.replay else 0


def leave_cleanup(store: Store, window_ms: int, end_ms: int, moved: Mapping[str, str]) -> None:
    """Note in resume.json, for a run that is fenced, what it may have put: objects of windows from `window_ms` on."""
    def noted(before: ResumePoint | None) -> ResumePoint | None:
        return before and msgspec.structs.replace(before, cleanup=joined(
            before.cleanup, Cleanup(window_ms, end_ms, {kind: [uri] for kind, uri in moved.items()}, begun=True)))

    update_resume_point(store, noted)


def joined(first: Cleanup | None, second: Cleanup) -> Cleanup:
    """Return one cleanup for two."""
    if first is None:
        return second
    places = {kind: sorted({*first.places.get(kind, ()), *second.places.get(kind, ())})
              for kind in sorted({*first.places, *second.places})}
    return Cleanup(min(first.start_ms, second.start_ms), max(first.since_ms, second.since_ms), places,
                   first.begun and second.begun)
