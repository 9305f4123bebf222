"""Two reports side by side: what changed, layer by layer and in the totals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from hybridq.profiler import report
from hybridq.profiler.report import Profile
from hybridq.profiler.result import Result

Status = Literal["same", "changed", "removed", "added"]

TOTALS = ("flash_bytes", "ram_bytes", "activations_bytes", "macc", "parameters")  # of a network
FIGURES = ("parameters", "weights_bytes", "macc")  # of a layer


@dataclass(frozen=True)
class Pair:
    """One figure in both reports; None where it is not known or the layer is not there."""

    before: int | None
    after: int | None

    @property
    def change(self) -> int | None:
        """After less before."""
        return None if self.before is None or self.after is None else self.after - self.before

    @property
    def percent(self) -> float | None:
        """The change in percent of what was before; None from zero, too."""
        return 100 * self.change / self.before if self.change is not None and self.before else None


@dataclass(frozen=True)
class Row:
    """One layer, by its name."""

    name: str
    status: Status
    weights: tuple[str, str]  # their precision before and after; "" where there is no kernel or no layer
    parameters: Pair
    weights_bytes: Pair
    macc: Pair


@dataclass(frozen=True, repr=False)
class Diff(Result):
    """The second report against the first."""

    before: Profile
    after: Profile

    @property
    def not_costed(self) -> tuple[str, ...]:
        """The layers of either without a rule."""
        return tuple(dict.fromkeys((*self.before.not_costed, *self.after.not_costed)))

    @property
    def totals(self) -> Mapping[str, Pair]:
        """The sums over both networks, by the names of `TOTALS`."""
        return {name: Pair(getattr(self.before.totals, name), getattr(self.after.totals, name)) for name in TOTALS}

    @property
    def rows(self) -> tuple[Row, ...]:
        """The layers of both."""
        before, after = ({row.name: row for row in one.rows} for one in (self.before, self.after))
        return tuple(_row(name, before.get(name), after.get(name)) for name in _names(list(before), list(after)))


def _names(before: list[str], after: list[str]) -> list[str]:
    """All names in the order of the first, each new one behind the one that it follows in the second."""
    names, place = list(before), 0
    for name in after:
        if name not in before:
            names.insert(place, name)
        place = names.index(name) + 1
    return names


def _row(name: str, before: report.Row | None, after: report.Row | None) -> Row:
    status: Status
    if before is None or after is None:
        status = "added" if before is None else "removed"
    else:
        status = "same" if _compared(before) == _compared(after) else "changed"
    pairs = (Pair(*(getattr(row, figure) if row else None for row in (before, after))) for figure in FIGURES)
    return Row(name, status, (_weights(before), _weights(after)), *pairs)


def _compared(row: report.Row) -> tuple[Any, ...]:
    """What makes two layers of one name the same."""
    return row.kind, row.output_shape, row.precision, row.parameters, row.weights_bytes, row.macc


def _weights(row: report.Row | None) -> str:
    return str(row.precision.weights) if row and row.precision else ""
