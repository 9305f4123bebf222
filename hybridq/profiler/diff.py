"""Two reports side by side: what changed, layer by layer and in the totals. Works on their plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from hybridq.profiler.tables import size

if TYPE_CHECKING:
    from rich.console import Group

Json = Mapping[str, Any]
Status = Literal["same", "changed", "removed", "added"]

COMPARED = ("kind", "output_shape", "precision", "parameters", "weights_bytes", "macc")  # of a layer
TOTALS = {
    "flash_bytes": "Flash",
    "ram_bytes": "RAM",
    "activations_bytes": "Activations",
    "macc": "MACC",
    "parameters": "Parameters",
}
HEADER = ("", "Layer", "Weights", "Bytes", "after", "%", "MACC", "after", "%")
MARKS: dict[Status, str] = {"same": "", "changed": "~", "removed": "-", "added": "+"}
STYLES: dict[Status, str] = {"same": "dim", "changed": "", "removed": "red", "added": "green"}


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


@dataclass(frozen=True)
class Diff:
    """The second report against the first; what is a pair is before and after."""

    names: tuple[str, str]
    targets: tuple[str, str]
    fits: tuple[bool, bool]
    accountings: tuple[str, str]
    totals: Mapping[str, Pair]  # by the keys of TOTALS
    rows: tuple[Row, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain data; each figure with its change, absolute and in percent."""
        layers = [asdict(row) | {key: _plain(getattr(row, key)) for key in _FIGURES} for row in self.rows]
        return {
            **{key: list(getattr(self, key)) for key in ("names", "targets", "fits", "accountings")},
            "totals": {key: _plain(pair) for key, pair in self.totals.items()},
            "layers": [layer | {"weights": list(layer["weights"])} for layer in layers],
        }

    def to_rich(self) -> Group:
        """The table and the lines below it, for a terminal: a rich renderable of at most 100 columns."""
        from rich import box
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 0, 0, 1))
        for i, name in enumerate(HEADER):
            justify: Literal["left", "right"] = "left" if i < 3 else "right"
            # only the names give way where the table is wider than the terminal
            table.add_column(name, justify=justify, no_wrap=name != "Layer", overflow="ellipsis")
        for row in self.rows:
            table.add_row(*(Text(cell, style=STYLES[row.status]) for cell in _cells(row)))
        return Group(table, *map(Text, self.lines()))

    def lines(self) -> list[str]:
        """The totals in words, and where the two do not count alike."""
        said = []
        for when, name, board, fits in zip(("Before", "After"), self.names, self.targets, self.fits, strict=True):
            said.append(f"{when + ':':7} {name} {'fits' if fits else 'does not fit'} {board}")
        for key, label in TOTALS.items():
            pair = self.totals[key]
            if pair.before is not None and pair.after is not None:
                before, after = (size(n) if key.endswith("bytes") else f"{n:,}" for n in (pair.before, pair.after))
                percent = f" ({pair.percent:+.1f} %)" if pair.percent is not None else ""
                changed = f"{before} to {after}, {pair.change:+,}{percent}"
                said.append(f"{label}: {changed if pair.change else f'{before}, unchanged'}")
        if self.accountings[0] != self.accountings[1]:
            said.append(f"Not counted alike: {self.accountings[0]} before, {self.accountings[1]} after")
        return said


_FIGURES = ("parameters", "weights_bytes", "macc")  # of a Row


def diff(before: Json, after: Json) -> Diff:
    """The second report against the first, each as `Profile.to_json` gives it. Layers are matched by name."""
    old, new = ({layer["name"]: layer for layer in report["layers"]} for report in (before, after))
    return Diff(
        names=(before["name"], after["name"]),
        targets=(before["target"]["label"], after["target"]["label"]),
        fits=(before["totals"]["fits"], after["totals"]["fits"]),
        accountings=(before["accounting"], after["accounting"]),
        totals={key: Pair(before["totals"].get(key), after["totals"].get(key)) for key in TOTALS},
        rows=tuple(_row(name, old.get(name), new.get(name)) for name in _names(list(old), list(new))),
    )


def _names(before: list[str], after: list[str]) -> list[str]:
    """All names in the order of the first, each new one behind the one that it follows in the second."""
    names, place = list(before), 0
    for name in after:
        if name not in before:
            names.insert(place, name)
        place = names.index(name) + 1
    return names


def _row(name: str, before: Json | None, after: Json | None) -> Row:
    status: Status
    if before is None:
        status = "added"
    elif after is None:
        status = "removed"
    else:
        status = "same" if all(before[key] == after[key] for key in COMPARED) else "changed"
    weights = _weights(before), _weights(after)
    parameters, flash, macc = (Pair(*(layer[key] if layer else None for layer in (before, after))) for key in _FIGURES)
    return Row(name, status, weights, parameters, flash, macc)


def _weights(layer: Json | None) -> str:
    return str(layer["precision"]["weights"]) if layer and layer["precision"] else ""


def _plain(pair: Pair) -> dict[str, int | float | None]:
    return {"before": pair.before, "after": pair.after, "change": pair.change, "percent": pair.percent}


def _cells(row: Row) -> tuple[str, ...]:
    weights = " to ".join(dict.fromkeys(filter(None, row.weights)))
    figures: list[str] = []
    for pair in (row.weights_bytes, row.macc):
        figures += [_count(pair.before, row.status == "added"), _count(pair.after, row.status == "removed")]
        figures.append(f"{pair.percent:+.1f}" if pair.change and pair.percent is not None else "")
    return (MARKS[row.status], row.name, weights, *figures)


def _count(number: int | None, absent: bool) -> str:
    """A figure; empty where the layer is not there, "?" where there is no rule for it."""
    return "" if absent else "?" if number is None else f"{number:,}"
