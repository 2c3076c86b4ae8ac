"""Candidates that take turns: medians of CPU seconds, and of the ratios within each round."""
from __future__ import annotations

import dataclasses
import random
import statistics
import sys
from collections.abc import Callable, Mapping


@dataclasses.dataclass(frozen=True)
class Row:
    """One measured thing for the table and the JSON: a `value` in `unit`, the `target` it is held against, if any."""

    part: str
    what: str
    value: float
    unit: str
    target: str = ''
    note: str = ''


@dataclasses.dataclass
class Rounds:
    """CPU seconds of each candidate, a list with one entry a round."""

    seconds: dict[str, list[float]]

    def median(self, name: str) -> float:
        """Give the median CPU seconds of a candidate."""
        return statistics.median(self.seconds[name])

    def ratio(self, name: str, base: str) -> float:
        """Give the median over the rounds of a candidate's seconds as a multiple of the base's."""
        pairs = zip(self.seconds[name], self.seconds[base], strict=True)
        return statistics.median(one / other for one, other in pairs)


def take_turns(candidates: Mapping[str, Callable[[], float]], rounds: int, warm: bool = True) -> Rounds:
    """Run every candidate once a round, in another order each time; `warm` runs each once before that, uncounted."""
    if warm:
        for run in candidates.values():
            run()
    measured: dict[str, list[float]] = {name: [] for name in candidates}
    order, rng = list(candidates), random.Random(1)
    for number in range(rounds):
        rng.shuffle(order)
        for name in order:
            say(f'round {number + 1} of {rounds}: {name}')
            measured[name].append(candidates[name]())
    return Rounds(measured)


def say(text: str) -> None:
    """Tell the person who waits what is going on."""
    print(text, file=sys.stderr, flush=True)
