"""Which consecutive layers of an integer network run together as a stage, by the bytes that each way to cut takes.

The layers of a stage run depth first, a row at a time: a map that nobody outside the stage reads is never there as a
whole; only the rows that are still needed are kept, in a ring. A map that later stages read is kept whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import inf

from hybridq.image.steps import Step
from hybridq.integer.network import GlobalMean

ALIGNMENT = 4  # bytes


@dataclass(frozen=True)
class StageParts:
    """What a stage takes of the arena: rows kept of each of its maps, bytes of scratch and of sums."""

    kept: Mapping[str, int]
    scratch: int
    sums: int


class StageCosts:
    """The bytes of every possible stage, each counted once."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps = steps
        self.whole = {step.name: rounded_up(step.rows * step.row_bytes) for step in steps}
        self.whole |= {step.name: 0 for step in steps if step.outside}
        self.last = {step.name: number for number, step in enumerate(steps)}  # the last step that reads it
        for number, step in enumerate(steps):
            self.last.update(dict.fromkeys(step.inputs, number))
        self.last |= {step.name: len(steps) for step in steps if step.outside}
        self._scratch = [rounded_up(step.scratch()) for step in steps]
        made = {step.name: step for step in steps}
        self._window = {step.name: 0 for step in steps}  # bytes of the rows that one run of a reader needs at once
        # That the outputs depend on: with wide strides some rows go unread.
        runs = {step.name: step.runs for step in steps if step.leaves}
        for step in reversed(steps):
            for source in (made[name] for name in step.inputs):
                read = [(step.oldest(run), step.needs(run, source.rows)) for run in range(runs[step.name])]
                runs[source.name] = max([runs.get(source.name, 0), *(end for _, end in read)])
                rows = max((end - first for first, end in read), default=0)
                self._window[source.name] = max(self._window[source.name], rounded_up(rows * source.row_bytes))
        self._bytes: dict[tuple[int, int], int] = {}

    def allowed(self, first: int, end: int) -> bool:
        """Whether these steps may be a stage. A global average ends one, as it makes nothing before its last run."""
        inside = self.steps[first:end]
        return end - first == 1 or not (
            any(step.stands_alone for step in inside) or any(isinstance(step.layer, GlobalMean) for step in inside[:-1])
        )

    def least(self, first: int, end: int) -> int:
        """Bytes that a stage takes at least: what it keeps whole, the windows of its layers, the scratch."""
        rings = sum(self._window[step.name] for step in self.steps[first:end] if self.last[step.name] < end)
        return self._whole(first, end) + rings + max(self._scratch[first:end])

    def bytes(self, first: int, end: int) -> int:
        """All bytes alive during a stage, each convolution with the least scratch."""
        if (first, end) not in self._bytes:
            parts = self.parts(first, end)
            inside = [step for step in self.steps[first:end] if self.last[step.name] < end]
            rings = sum(rounded_up(parts.kept[step.name] * step.row_bytes) for step in inside)
            self._bytes[first, end] = self._whole(first, end) + rings + parts.scratch + parts.sums
        return self._bytes[first, end]

    def parts(self, first: int, end: int) -> StageParts:
        """What a stage takes besides what earlier ones left."""
        inside = self.steps[first:end]
        outputs = {step.name for step in inside if self.last[step.name] >= end}
        scratch = max(self._scratch[first:end])
        return StageParts(rows_kept(inside, outputs), scratch, sum(step.sums for step in inside))

    def _whole(self, first: int, end: int) -> int:
        """The bytes of what is kept whole during a stage."""
        return sum(
            self.whole[step.name]
            for number, step in enumerate(self.steps[:end])
            if self.last[step.name] >= (end if number >= first else first)
        )


def cuts_of(costs: StageCosts, count: int) -> list[tuple[int, int]]:
    """The stages, as (first step, step behind the last): the smallest fullest stage, then the most stages."""
    best: list[float] = [0.0] + [inf] * count  # the smallest fullest stage of the first so many steps
    for end in range(1, count + 1):
        for first in range(end - 1, -1, -1):
            if costs.allowed(first, end) and max(best[first], costs.least(first, end)) < best[end]:
                best[end] = min(best[end], max(best[first], costs.bytes(first, end)))
    number, start = [0] + [-1] * count, [0] * (count + 1)  # the most stages of the first so many steps; -1: no way
    for end in range(1, count + 1):
        for first in range(end - 1, -1, -1):
            better = 0 <= number[first] >= number[end] and costs.allowed(first, end)
            if better and costs.least(first, end) <= best[count] and costs.bytes(first, end) <= best[count]:
                number[end], start[end] = number[first] + 1, first
    stages = []
    while count > 0:
        stages.append((start[count], count))
        count = start[count]
    return stages[::-1]


def rows_kept(steps: Sequence[Step], outputs: Iterable[str]) -> dict[str, int]:
    """How many rows of each map a stage must keep, found by running it; `outputs` are kept whole.

    Each turn runs the last of the steps that can run: its inputs have the rows that it needs, and what it makes is
    wanted, by the next run of a step that reads it, by a later stage or outside. The emitted code does the same.
    """
    return dict(_rows_kept(tuple(replace(step, layer=None) for step in steps), frozenset(outputs)))


@lru_cache(4096)  # the weights' formats do not matter: a search asks for the same maps again and again
def _rows_kept(steps: tuple[Step, ...], outputs: frozenset[str]) -> dict[str, int]:
    done = {step.name: 0 for step in steps}
    kept = {step.name: step.rows if step.name in outputs else 1 for step in steps}
    rows = {step.name: step.rows for step in steps}
    readers = {step.name: [other for other in steps if step.name in other.inputs] for step in steps}

    def wanted(step: Step) -> bool:
        return step.name in whole or any(
            done[reader.name] < reader.runs and done[step.name] < reader.needs(done[reader.name], step.rows)
            for reader in readers[step.name]
        )

    def ready(step: Step) -> bool:
        return all(done[name] >= step.needs(done[step.name], rows[name]) for name in step.inputs if name in done)

    whole = {step.name for step in steps if step.leaves or step.name in outputs}  # of which all rows are made
    backwards = steps[::-1]
    while any(done[step.name] < step.runs for step in steps if step.name in whole):
        step = next(one for one in backwards if done[one.name] < one.runs and ready(one) and wanted(one))
        if step.name not in outputs:
            going_on = [one.oldest(done[one.name]) for one in readers[step.name] if done[one.name] < one.runs]
            alive = done[step.name] + 1 - min(going_on, default=done[step.name])
            kept[step.name] = max(kept[step.name], alive)
        done[step.name] += 1
    return kept


def rounded_up(count: int) -> int:
    """Bytes, to a multiple of ALIGNMENT."""
    return -(-count // ALIGNMENT) * ALIGNMENT
