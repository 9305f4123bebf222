"""From the table of sensitivities to the precision plans that are worth training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hybridq.errors import UserError
from hybridq.formats import Format
from hybridq.profiler.render.words import verdict
from hybridq.searching.knapsack import Option, best_choices
from hybridq.settings.units import format_size

if TYPE_CHECKING:
    from hybridq.profiler import Profile
    from hybridq.profiler.targets import Target
    from hybridq.searching.plan_space import Space
    from hybridq.searching.sensitivity import Change, Sensitivity

MOST_TRIED = 64  # plans that fit by the table, before it is given up that one fits by the memory report too


@dataclass(frozen=True)
class Candidate:
    """A plan, by its changes of the recipe's, with the sums of the table and what the memory report says."""

    code: str
    changes: dict[str, Format]
    rise: float  # of the cross-entropy, predicted (nats)
    drop: float  # of the accuracy, predicted (points)
    profile: Profile

    @property
    def flash_bytes(self) -> int:
        """As `hybridq profile` prints it."""
        return self.profile.totals.flash_bytes

    @property
    def fits(self) -> bool:
        """Whether it is within all limits, as far as it is counted."""
        return not self.profile.exceeded


def check(space: Space, budget: Target) -> None:
    """Raise UserError where no plan is within the budget: with what the smallest one exceeds."""
    report = space.profile(space.smallest, budget)
    if report.exceeded:
        flash, ram = format_size(report.totals.flash_bytes), format_size(report.totals.ram_bytes)
        raise UserError(
            f"no precision plan of {space.name} is within the limits; the smallest takes {flash} of flash and {ram} of "
            f"RAM: {verdict(report).text}"
        )


def as_it_is(space: Space, budget: Target) -> Candidate:
    """The recipe's own plan."""
    return _candidate(space, (), budget)


def within_flash(space: Space, table: Sensitivity, budget: Target, count: int) -> list[Candidate]:
    """The `count` plans within the budget whose cross-entropy rises least, by the sum of its layers' rises.

    A gain counts as none: it is no more than the noise of a short training, and must not pay for another layer's loss.
    Raises UserError where no plan of the layers that could be measured is within the budget.
    """
    limit = budget.flash_bytes - table.flash_bytes
    groups = [
        [Option(0, 0), *(Option(_loss(change.rise), -change.saved_bytes) for change in table.of(layer))]
        for layer in space.layers
    ]
    return _some(_fitting(space, table, budget, groups, limit, count), budget)


def within_drop(space: Space, table: Sensitivity, budget: Target, drop: float, count: int) -> list[Candidate]:
    """Plans of least flash whose accuracy falls by at most `drop` points, by the sum of its layers' drops.

    `count` of them, each within half the drop of the one before it: the drops of layers need not add up. Raises
    UserError as `within_flash` does.
    """
    groups = [
        [Option(0, 0), *(Option(-change.saved_bytes, _loss(change.drop)) for change in table.of(layer))]
        for layer in space.layers
    ]
    candidates: dict[str, Candidate] = {}
    for halvings in range(count):
        for candidate in _fitting(space, table, budget, groups, drop / 2**halvings, 1):
            candidates[candidate.code] = candidate
    return _some(list(candidates.values()), budget)


def _fitting(
    space: Space, table: Sensitivity, budget: Target, groups: list[list[Option]], limit: float, count: int
) -> list[Candidate]:
    """The best `count` choices that fit by the memory report too, which counts RAM and MACC, and flash to the byte."""
    tried = count
    while True:
        choices = best_choices(groups, limit, tried)
        every = (_candidate(space, _taken(space, table, choice), budget) for choice in choices)
        fitting = [candidate for candidate in every if candidate.fits][:count]
        if len(fitting) == count or len(choices) < tried or tried >= MOST_TRIED:
            return fitting
        tried = min(2 * tried, MOST_TRIED)


def _some(candidates: list[Candidate], budget: Target) -> list[Candidate]:
    if not candidates:
        raise UserError(f"no plan keeps to the limits, {budget.label}; with a larger drop, or more flash, one may")
    return candidates


def _taken(space: Space, table: Sensitivity, choice: Sequence[int]) -> Iterator[Change]:
    """The changes that a choice stands for; the first option of a layer is none."""
    for layer, place in zip(space.layers, choice, strict=True):
        if place:
            yield table.of(layer)[place - 1]


def _candidate(space: Space, taken: Iterator[Change] | Sequence[Change], budget: Target) -> Candidate:
    changes = list(taken)
    narrow = {change.layer: change.precision for change in changes}
    return Candidate(
        code=space.code(narrow),
        changes=narrow,
        rise=sum(_loss(change.rise) for change in changes),
        drop=sum(_loss(change.drop) for change in changes),
        profile=space.profile(narrow, budget),
    )


def _loss(measured: float) -> float:
    return max(measured, 0.0)
