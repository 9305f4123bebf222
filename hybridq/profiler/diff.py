"""Two reports side by side: what changed, layer by layer and in the totals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from hybridq.profiler import report
from hybridq.profiler.render.table import PAGE, Bar, Column, Line, Note, Printed, Sheet, count
from hybridq.profiler.render.words import verdict
from hybridq.profiler.report import Profile
from hybridq.settings.units import format_size

Status = Literal["same", "changed", "removed", "added"]

TOTALS = {
    "flash_bytes": "Flash",
    "ram_bytes": "RAM",
    "activations_bytes": "Activations",
    "macc": "MACC",
    "parameters": "Parameters",
}
FIGURES = ("parameters", "weights_bytes", "macc")  # of a layer
MARKS: dict[Status, str] = {"same": "", "changed": "~", "removed": "-", "added": "+"}
COLUMNS = (
    Column("", "text"),
    Column("Layer", "name"),
    Column("Weights", "text", least=90),
    Column("Bytes"),
    Column("", "text", least=PAGE),
    Column("after"),
    Column("", "text", least=PAGE),
    Column("%", least=80),
    Column("MACC", least=60),
    Column("after", least=60),
    Column("%", least=80),
)


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

    def to_json(self) -> dict[str, int | float | None]:
        """Plain data, with the change."""
        return {"before": self.before, "after": self.after, "change": self.change, "percent": self.percent}


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
class Diff(Printed):
    """The second report against the first."""

    before: Profile
    after: Profile

    @property
    def not_costed(self) -> tuple[str, ...]:
        """The layers of either without a rule."""
        return tuple(dict.fromkeys((*self.before.not_costed, *self.after.not_costed)))

    @property
    def totals(self) -> Mapping[str, Pair]:
        """The sums, by the keys of `TOTALS`."""
        return {key: Pair(getattr(self.before.totals, key), getattr(self.after.totals, key)) for key in TOTALS}

    @property
    def rows(self) -> tuple[Row, ...]:
        """The layers of both."""
        old, new = ({row.name: row for row in one.rows} for one in (self.before, self.after))
        return tuple(_row(name, old.get(name), new.get(name)) for name in _names(list(old), list(new)))

    def to_json(self) -> dict[str, Any]:
        """Plain data; each figure with its change, absolute and in percent."""
        both = (self.before, self.after)
        return {
            "names": [one.name for one in both],
            "targets": [one.target.label for one in both],
            "fits": [one.totals.fits for one in both],
            "accountings": [one.accounting for one in both],
            "not_costed": list(self.not_costed),
            "totals": {key: pair.to_json() for key, pair in self.totals.items()},
            "layers": [
                {"name": row.name, "status": row.status, "weights": list(row.weights)}
                | {key: getattr(row, key).to_json() for key in FIGURES}
                for row in self.rows
            ],
        }

    def sheet(self) -> Sheet:
        """The layers of both in one table, and the totals in words."""
        rows = self.rows
        most = max((n for row in rows for n in (row.weights_bytes.before, row.weights_bytes.after) if n), default=1)
        names = self.before.name or "Network", self.after.name or "Network"
        return Sheet(
            title=f"{names[0]}: before and after" if names[0] == names[1] else " against ".join(names),
            columns=COLUMNS,
            lines=tuple(Line(_cells(row, most), "" if row.status == "changed" else row.status) for row in rows),
            notes=(*self.verdicts(), *(Note(_sentence(*cells)) for cells in self.sums()), *self.remarks()),
        )

    def records(self) -> list[Sequence[Any]]:
        """A line a layer."""
        figures = [f"{key}_{when}" for key in FIGURES for when in ("before", "after")]
        found: list[Sequence[Any]] = [("name", "status", "weights_before", "weights_after", *figures)]
        for row in self.rows:
            pairs = (getattr(row, key) for key in FIGURES)
            found.append(
                (row.name, row.status, *row.weights, *(n for pair in pairs for n in (pair.before, pair.after)))
            )
        return found

    def verdicts(self) -> tuple[Note, ...]:
        """Whether each of them fits."""
        both = (("Before:", self.before), ("After: ", self.after))
        return tuple(Note(f"{when} {(said := verdict(one)).text}", said.warning) for when, one in both)

    def remarks(self) -> tuple[Note, ...]:
        """Why the two may not be compared."""
        said = []
        if self.not_costed:
            said.append(Note(f"Not costed, the totals leave them out: {', '.join(self.not_costed)}", warning=True))
        if self.before.accounting != self.after.accounting:
            said.append(
                Note(f"Not counted alike: {self.before.accounting} before, {self.after.accounting} after", warning=True)
            )
        return tuple(said)

    def sums(self) -> list[tuple[str, str, str, str, str]]:
        """Each total: its label, before, after, and the change, absolute and in percent; "" for none."""
        found = []
        for key, pair in self.totals.items():
            before, after = (
                format_size(n or 0) if key.endswith("bytes") else count(n) for n in (pair.before, pair.after)
            )
            percent = f"{pair.percent:+.1f}" if pair.change and pair.percent is not None else ""
            found.append((TOTALS[key], before, after, f"{pair.change:+,}" if pair.change else "", percent))
        return found

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from hybridq.profiler.render.html import side_by_side

        return side_by_side(self)


def _sentence(label: str, before: str, after: str, change: str, percent: str) -> str:
    changed = f"{before} to {after}, {change}" + (f" ({percent} %)" if percent else "")
    return f"{label}: {changed if change else f'{before}, unchanged'}"


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
    pairs = (Pair(*(getattr(row, key) if row else None for row in (before, after))) for key in FIGURES)
    return Row(name, status, (_weights(before), _weights(after)), *pairs)


def _compared(row: report.Row) -> tuple[Any, ...]:
    """What makes two layers of one name the same."""
    return row.kind, row.output_shape, row.precision, row.parameters, row.weights_bytes, row.macc


def _weights(row: report.Row | None) -> str:
    return str(row.precision.weights) if row and row.precision else ""


def _cells(row: Row, most: int) -> tuple[str | Bar, ...]:
    flash = row.weights_bytes
    bars = [
        "" if bytes_ is None else Bar(100 * bytes_ / most, weights or "float32")
        for bytes_, weights in zip((flash.before, flash.after), row.weights, strict=True)
    ]
    weights = " to ".join(dict.fromkeys(filter(None, row.weights)))
    (before, after, percent), macc = (_figures(pair, row.status) for pair in (flash, row.macc))
    return (MARKS[row.status], row.name, weights, before, bars[0], after, bars[1], percent, *macc)


def _figures(pair: Pair, status: Status) -> tuple[str, str, str]:
    """Before, after and the percentage; empty where the layer is not there, "?" where there is no rule for it."""
    before = "" if status == "added" else count(pair.before)
    after = "" if status == "removed" else count(pair.after)
    return before, after, f"{pair.percent:+.1f}" if pair.change and pair.percent is not None else ""
