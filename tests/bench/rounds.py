"""Let candidates take turns, and compute medians of their CPU seconds and of the ratios within each round."""
from __future__ import annotations

import dataclasses
import random
import statistics
import sys
from collections.abc import Callable, Mapping


@dataclasses.dataclass(frozen=True)
class Row:
    """A result for the table and the JSON: a `value` in `unit`, and the `target` for it, if there is one."""

    part: str
    what: str
    value: float
    unit: str
    target: str = ''
    note: str = ''


@dataclasses.dataclass
class Rounds:
    """The CPU seconds of each candidate, one per round."""

    seconds: dict[str, list[float]]

    def median(self, name: str) -> float:
        """Return the median CPU seconds of a candidate."""
        return statistics.median(self.seconds[name])

    def ratio(self, name: str, base: str) -> float:
        """Return the median, over the rounds, of a candidate's seconds divided by those of the base."""
        pairs = zip(self.seconds[name], self.seconds[base], strict=True)
        return statistics.median(one / other for one, other in pairs)


def take_turns(candidates: Mapping[str, Callable[[], float]], rounds: int, warm: bool = True) -> Rounds:
    """Run every candidate once per round, in a random order. With `warm`, first run each once without counting."""
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
    """Print progress for a person who waits."""
    print(text, file=sys.stderr, flush=True)
