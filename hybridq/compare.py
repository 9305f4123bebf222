"""The table of runs side by side: accuracy, flash, RAM and MACC, beneath each the published figures.

Runs of one recipe that differ only in the seed make one row, with mean and spread.
"""

from __future__ import annotations

import csv
import io
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from hybridq.errors import UserError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from hybridq.tracking import RunView

KIB_IN_MIB = 1024.0
STANDARD_WORDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
SEED = "training.seed"
SYNTHETIC_NOTE = "SYNTHETIC VOICES: for trying the tool, not a result."


@dataclass(frozen=True)
class Row:
    """One network. Accuracies in percent (mean over the seeds), spread the standard deviation over the seeds.

    `low` and `high` bound the accuracy of one run: its 95 % Wilson interval, averaged over the seeds.
    """

    network: str
    runs: tuple[str, ...]  # ids, one a seed
    seeds: tuple[str, ...]
    data: str
    words: tuple[str, ...]
    synthetic: bool
    accuracy: float
    accuracy_spread: float | None
    low: float | None
    high: float | None
    word_accuracy: float | None
    word_accuracy_spread: float | None
    flash_kib: float | None
    flash_published_rule_kib: float | None
    ram_kib: float | None
    macc_m: float | None
    flash_share: float | None
    ram_share: float | None
    fits: bool | None
    published: Mapping[str, str]  # label, accuracy, flash_mb, ram_kb, macc_m, source


class Column(NamedTuple):
    """A column of the printed table: heading, what it shows of a row, and of the published figures."""

    heading: str
    cell: Any  # Row -> str
    published: str | None  # key of Row.published


COLUMNS = (
    Column("network", lambda r: r.network, "label"),
    Column("accuracy\n%", lambda r: with_spread(r.accuracy, r.accuracy_spread), "accuracy"),
    Column("95 %\ninterval", lambda r: "-" if r.low is None else f"{r.low:.1f}-{r.high:.1f}", None),
    Column("mean word\naccuracy %", lambda r: with_spread(r.word_accuracy, r.word_accuracy_spread), None),
    Column("flash\nKiB", lambda r: number(r.flash_kib, 1), None),
    Column("flash\nMiB", lambda r: number(mib(r.flash_kib), 3), None),
    Column("publ.\nrule\nMiB", lambda r: number(mib(r.flash_published_rule_kib), 3), "flash_mb"),
    Column("RAM\nKiB", lambda r: number(r.ram_kib, 1), "ram_kb"),
    Column("MACC\nM", lambda r: number(r.macc_m, 1), "macc_m"),
    Column("% of\nflash\n/ RAM", lambda r: f"{number(r.flash_share, 0)} / {number(r.ram_share, 0)}", None),
    Column("fits", lambda r: {True: "yes", False: "NO", None: "-"}[r.fits], None),
)


@dataclass(frozen=True)
class Comparison:
    """Rows by flash, the largest first; `left_out` says which runs have no result, and why."""

    rows: tuple[Row, ...]
    left_out: tuple[str, ...] = ()

    @property
    def synthetic(self) -> bool:
        """Whether any row comes from synthetic voices."""
        return any(row.synthetic for row in self.rows)

    def against_first(self, row: Row) -> dict[str, float]:
        """Accuracy in points above the first row's, flash and RAM as the factor by which they are smaller."""
        first = self.rows[0]
        found = {"accuracy_points": row.accuracy - first.accuracy}
        if row.flash_kib and first.flash_kib:
            found["flash_smaller_by"] = first.flash_kib / row.flash_kib
        if row.ram_kib and first.ram_kib:
            found["ram_smaller_by"] = first.ram_kib / row.ram_kib
        return found

    def differences(self) -> list[str]:
        """One line for each row after the first."""
        return [f"{row.network}: {_difference(self.against_first(row))}" for row in self.rows[1:]]

    def notes(self) -> list[str]:
        """What a reader must know besides the figures."""
        found = []
        for data in dict.fromkeys((row.data, row.words) for row in self.rows):
            name, words = data
            found.append(f"Data: {name or 'not recorded'}; {len(words)} words: {' '.join(words)}.")
            strange = [word for word in words if word not in STANDARD_WORDS]
            missing = [word for word in STANDARD_WORDS if word not in words]
            if strange:
                instead = f" in the place of {', '.join(missing)}" if missing else ""
                found.append(f"Not the ten standard commands: {', '.join(strange)}{instead}.")
            elif words and missing:
                found.append(f"Not the ten standard commands: without {', '.join(missing)}.")
        if any(len(row.runs) > 1 for row in self.rows):
            found.append("± is the standard deviation over the seeds; the interval is that of a single run.")
        if any(row.published for row in self.rows):
            sources = dict.fromkeys(row.published.get("source", "") for row in self.rows if row.published)
            named = f" ({'; '.join(source for source in sources if source)})" if any(sources) else ""
            found.append(f"Published{named}: on other data; its MB and KB are MiB and KiB.")
            found.append("Publ. rule: flash counted as the published figures seem to be, which leaves some out.")
        return found + [f"Left out: {line}." for line in self.left_out]

    def to_json(self) -> dict[str, Any]:
        """`{"schema": 1, "synthetic", "rows": [...], "notes", "left_out"}`; each row with `against_first`."""
        return {
            "schema": 1,
            "synthetic": self.synthetic,
            "rows": [_plain(row) | {"against_first": self.against_first(row)} for row in self.rows],
            "notes": ([SYNTHETIC_NOTE] if self.synthetic else []) + self.notes(),
            "left_out": list(self.left_out),
        }

    def to_csv(self) -> str:
        """A line a row, with a heading; `synthetic` is a column, lists are joined by spaces."""
        flat = [_flat(_plain(row) | {"against_first": self.against_first(row)}) for row in self.rows]
        out = io.StringIO()
        heading = list(dict.fromkeys(key for row in flat for key in row))
        writer = csv.DictWriter(out, heading, lineterminator="\n")
        writer.writeheader()
        writer.writerows(flat)
        return out.getvalue()

    def to_markdown(self) -> str:
        """A table for a README, published rows in italics, the notes beneath."""
        head = [column.heading.replace("\n", " ") for column in COLUMNS]
        lines = ["| " + " | ".join(head) + " |", "|---" + "|--:" * (len(head) - 1) + "|"]
        for row in self.rows:
            lines.append("| " + " | ".join(column.cell(row) for column in COLUMNS) + " |")
            if row.published:
                shown = (f"*{cell}*" if cell else "" for cell in _published_cells(row))
                lines.append("| " + " | ".join(shown) + " |")
        loud = [f"**{SYNTHETIC_NOTE}**", ""] if self.synthetic else []
        against = [f"- Against {self.rows[0].network}, {line}" for line in self.differences()]
        return "\n".join([*loud, *lines, "", *against, *(f"- {note}" for note in self.notes())]) + "\n"

    def to_rich(self) -> RenderableType:
        """The table for a terminal of 100 columns."""
        from rich.box import SIMPLE_HEAD
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        grid = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
        for at, column in enumerate(COLUMNS):
            justify: Literal["left", "right"] = "right" if at else "left"
            grid.add_column(column.heading, justify=justify, no_wrap=at > 0, overflow="fold")
        for row in self.rows:
            grid.add_row(*(Text(column.cell(row)) for column in COLUMNS))
            if row.published:
                grid.add_row("  published", *map(Text, _published_cells(row)[1:]), style="dim")
        loud = Text(SYNTHETIC_NOTE, style="bold yellow")
        parts: list[RenderableType] = [loud, grid, loud] if self.synthetic else [grid]
        if len(self.rows) > 1:
            parts.append(Text(f"Against {self.rows[0].network}"))
            parts += [Text(f"  {line}") for line in self.differences()]
            parts.append(Text())
        return Group(*parts, *(Text(note, style="dim") for note in self.notes()))


def table(runs: Sequence[RunView]) -> Comparison:
    """The comparison of these runs; raises UserError if none has a test accuracy.

    Where a recipe was run twice with the same seed and settings, the newest run counts.
    """
    groups: dict[tuple[Any, ...], dict[str, RunView]] = {}
    left_out = []
    for run in sorted(runs, key=lambda run: run.started):
        if run.status == "FINISHED" and "test accuracy %" in run.metrics:
            groups.setdefault(_kind(run), {})[run.params.get(SEED, "")] = run
        elif run.params:  # the run of a sweep has none and no result of its own
            why = run.tags.get("failure") or run.tags.get("interrupted") or run.status.lower()
            left_out.append(f"{run.name} ({run.status.lower()}: {why})")
    if not groups:
        reasons = f": {'; '.join(left_out)}" if left_out else ""
        raise UserError(f"no finished run to compare{reasons}")
    rows = [_row(list(seeds.values())) for seeds in groups.values()]
    rows.sort(key=lambda row: -(row.flash_kib or 0))  # the float network first: the others are measured against it
    return Comparison(tuple(rows), tuple(left_out))


def newest(runs: Sequence[RunView]) -> list[RunView]:
    """Of each network the runs that belong with the newest one: same settings and data, any seed."""
    finished = sorted((run for run in runs if "test accuracy %" in run.metrics), key=lambda run: run.started)
    kinds = {_network(run): _kind(run) for run in finished}
    return [run for run in finished if _kind(run) == kinds[_network(run)]]


def with_spread(value: float | None, spread: float | None) -> str:
    """`92.4`, `92.4 ± 0.3`, or `-` for nothing."""
    return number(value, 1) + (f" ± {spread:.1f}" if value is not None and spread is not None else "")


def number(value: float | None, digits: int) -> str:
    """The number with that many digits after the point, `-` for nothing."""
    return "-" if value is None else f"{value:.{digits}f}"


def mib(kib: float | None) -> float | None:
    """KiB as MiB."""
    return None if kib is None else kib / KIB_IN_MIB


def _network(run: RunView) -> str:
    return run.tags.get("recipe") or run.name


def _kind(run: RunView) -> tuple[Any, ...]:
    """What the runs of one row share: everything but the seed."""
    settings = tuple(sorted((key, value) for key, value in run.params.items() if key != SEED))
    return _network(run), run.tags.get("data.digest"), settings


def _row(runs: Sequence[RunView]) -> Row:
    first = runs[0]

    def mean(name: str) -> float | None:
        values = [run.metrics[name] for run in runs if name in run.metrics]
        return statistics.fmean(values) if values else None

    def spread(name: str) -> float | None:
        values = [run.metrics[name] for run in runs if name in run.metrics]
        return statistics.stdev(values) if len(values) > 1 else None

    fits = mean("fits")
    marked = "published."
    return Row(
        network=_network(first),
        runs=tuple(run.id for run in runs),
        seeds=tuple(run.params.get(SEED, "") for run in runs),
        data=first.tags.get("data.name", first.params.get("data.source", "")),
        words=tuple(first.tags.get("data.words", "").split()),
        synthetic=first.tags.get("data.synthetic") == "true",
        accuracy=statistics.fmean(run.metrics["test accuracy %"] for run in runs),
        accuracy_spread=spread("test accuracy %"),
        low=mean("test accuracy low %"),
        high=mean("test accuracy high %"),
        word_accuracy=mean("test mean word accuracy %"),
        word_accuracy_spread=spread("test mean word accuracy %"),
        flash_kib=mean("flash KiB"),
        flash_published_rule_kib=mean("flash as published KiB"),
        ram_kib=mean("RAM KiB"),
        macc_m=mean("MACC M"),
        flash_share=mean("flash share %"),
        ram_share=mean("RAM share %"),
        fits=None if fits is None else fits == 1,
        published={
            key.removeprefix(marked): value
            for key, value in {**first.params, **first.tags}.items()
            if key.startswith(marked) and value not in ("", "None", "null")
        },
    )


def _published_cells(row: Row) -> list[str]:
    label = row.published.get("label", "published")
    figures = [row.published.get(column.published or "", "") for column in COLUMNS[1:]]
    return [label if label.startswith("published") else f"published {label}", *figures]


def _difference(against: Mapping[str, float]) -> str:
    said = [f"accuracy {against['accuracy_points']:+.1f} points"]
    for what, key in (("flash", "flash_smaller_by"), ("RAM", "ram_smaller_by")):
        factor = against.get(key)
        if factor is not None:
            said.append(f"{what} {_factor(factor)}")
    return ", ".join(said)


def _factor(smaller_by: float) -> str:
    if 0.95 < smaller_by < 1.05:
        return "the same"
    return f"{smaller_by:.1f}x smaller" if smaller_by > 1 else f"{1 / smaller_by:.1f}x larger"


def _plain(row: Row) -> dict[str, Any]:
    plain = {key: list(value) if isinstance(value, tuple) else value for key, value in vars(row).items()}
    return plain | {"published": dict(row.published)}


def _flat(data: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in data.items():
        if isinstance(value, Mapping):
            found |= {f"{key}.{inner}": inner_value for inner, inner_value in value.items()}
        else:
            found[key] = " ".join(map(str, value)) if isinstance(value, list) else value
    return found
