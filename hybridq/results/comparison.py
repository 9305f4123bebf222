"""What a comparison of runs holds, and its forms: a table for a terminal, JSON, CSV and markdown."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from hybridq.results import pareto
from hybridq.settings.units import KIB, MIB

if TYPE_CHECKING:
    from rich.console import RenderableType

Clips = Literal["test", "validation"]

STANDARD_WORDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
VALIDATION_NOTE = "Accuracy on the validation clips, by which a search chooses: not a result."
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
    integer_accuracy: float | None  # of the integer network, where there is one
    integer_accuracy_spread: float | None
    flash_kib: float | None
    flash_published_rule_kib: float | None
    ram_kib: float | None
    macc_m: float | None
    flash_share: float | None
    ram_share: float | None
    fits: bool | None
    minutes: float | None  # of training, mean over the seeds
    helped: bool  # whether synthetic voices were in the training, or in that of a network it has learnt from
    backends: tuple[str, ...]  # of Keras, in the training
    published: Mapping[str, str]  # label, accuracy, flash_mb, ram_kb, macc_m, source


class Column(NamedTuple):
    """A column of the printed table: heading, what it shows of a row, and of the published figures."""

    heading: str
    cell: Any  # Row -> str
    published: str | None = None  # key of Row.published


MEAN_WORD = Column("mean word\naccuracy %", lambda r: with_spread(r.word_accuracy, r.word_accuracy_spread))
INTEGER = Column("integer\naccuracy %", lambda r: with_spread(r.integer_accuracy, r.integer_accuracy_spread))
ACCURACY = Column("accuracy\n%", lambda r: with_spread(r.accuracy, r.accuracy_spread), "accuracy")
VALIDATION = ACCURACY._replace(heading="validation\naccuracy %")
INTERVAL = Column("95 %\ninterval", lambda r: "-" if r.low is None else f"{r.low:.1f}-{r.high:.1f}")
COLUMNS = (
    Column("network", lambda r: r.network, "label"),
    ACCURACY,
    INTERVAL,
    MEAN_WORD,
    INTEGER,
    Column("flash\nKiB", lambda r: number(r.flash_kib, 1)),
    Column("flash\nMiB", lambda r: number(mib(r.flash_kib), 3)),
    Column("publ.\nrule\nMiB", lambda r: number(mib(r.flash_published_rule_kib), 3), "flash_mb"),
    Column("RAM\nKiB", lambda r: number(r.ram_kib, 1), "ram_kb"),
    Column("MACC\nM", lambda r: number(r.macc_m, 1), "macc_m"),
    Column("% of\nflash\n/ RAM", lambda r: f"{number(r.flash_share, 0)} / {number(r.ram_share, 0)}"),
    Column("fits", lambda r: {True: "yes", False: "NO", None: "-"}[r.fits]),
)
# What is there only to be compared with published figures.
BESIDE_PUBLISHED = (COLUMNS[6], COLUMNS[7])
EACH_COLUMNS = (  # a row is one run: which, and how long it took; of the flash only KiB, of the shares none
    COLUMNS[0],
    Column("run", lambda r: r.runs[0][:8]),
    Column("seed", lambda r: r.seeds[0] or "-"),
    *COLUMNS[1:6],
    *COLUMNS[8:10],
    Column("training\nminutes", lambda r: number(r.minutes, 1)),
    COLUMNS[11],
)


@dataclass(frozen=True)
class Comparison:
    """Rows in the order asked for; `left_out` says which runs have no result, and why."""

    rows: tuple[Row, ...]
    left_out: tuple[str, ...] = ()
    each: bool = False  # whether a row is one run rather than all seeds of a recipe
    clips: Clips = "test"  # whose accuracy it is

    @property
    def synthetic(self) -> bool:
        """Whether any row comes from synthetic voices."""
        return any(row.synthetic for row in self.rows)

    @property
    def largest(self) -> Row:
        """The row with the most flash (the float network), which the others are measured against."""
        return max(self.rows, key=lambda row: row.flash_kib or 0)

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of the printed table; those in which no row would have anything are left out."""
        published = any(row.published for row in self.rows)
        empty = (() if published else BESIDE_PUBLISHED) + (() if self.has_integers else (INTEGER,))
        shown = [column for column in (EACH_COLUMNS if self.each else COLUMNS) if column not in empty]
        if self.clips == "validation":
            other = {ACCURACY: VALIDATION, INTERVAL: None, MEAN_WORD: None}
            return tuple(column for column in (other.get(one, one) for one in shown) if column)
        return tuple(shown)

    @property
    def front(self) -> tuple[Row, ...]:
        """The rows on the Pareto front: no other is as accurate in less flash, or more accurate in as much."""
        sized = [(row, row.flash_kib) for row in self.rows if row.flash_kib is not None]
        return tuple(sized[place][0] for place in pareto.front([(kib, row.accuracy) for row, kib in sized]))

    @property
    def has_integers(self) -> bool:
        """Whether any network was measured in integers."""
        return any(row.integer_accuracy is not None for row in self.rows)

    def lines(self, columns: Sequence[Column] = ()) -> Iterator[tuple[Row | None, list[str]]]:
        """The printed table, cell by cell: each row, and beneath it the published one, which has no `Row`."""
        columns = columns or self.columns
        for row in self.rows:
            yield row, [column.cell(row) for column in columns]
            if row.published and not self.each:
                yield None, _published_cells(row, columns)

    def against_largest(self, row: Row) -> dict[str, float]:
        """Accuracy in points above the largest network's, flash and RAM as the factor by which they are smaller."""
        largest = self.largest
        found = {"accuracy_points": row.accuracy - largest.accuracy}
        if row.flash_kib and largest.flash_kib:
            found["flash_smaller_by"] = largest.flash_kib / row.flash_kib
        if row.ram_kib and largest.ram_kib:
            found["ram_smaller_by"] = largest.ram_kib / row.ram_kib
        return found

    def differences(self) -> list[str]:
        """One line for each row but the largest; none where the rows are single runs."""
        others = [row for row in self.rows if row is not self.largest and not self.each]
        return [f"{row.network}: {_difference(self.against_largest(row))}" for row in others]

    def notes(self) -> list[str]:
        """What a reader must know besides the figures."""
        found = [] if self.clips == "test" else [VALIDATION_NOTE]
        for data in dict.fromkeys((row.data, row.words) for row in self.rows):
            name, classes = data
            words = [word for word in classes if not word.startswith("_")]
            besides = " and ".join(word.strip("_") for word in classes if word.startswith("_"))
            found.append(
                f"Data: {name or 'not recorded'}; {len(words)} words: {' '.join(words)}{besides and f'; {besides}'}."
            )
            strange = [word for word in words if word not in STANDARD_WORDS]
            missing = [word for word in STANDARD_WORDS if word not in words]
            if strange:
                instead = f" in the place of {', '.join(missing)}" if missing else ""
                found.append(f"Not the ten standard commands: {', '.join(strange)}{instead}.")
            elif words and missing:
                found.append(f"Not the ten standard commands: without {', '.join(missing)}.")
        helped = [row.network for row in self.rows if row.helped]
        if helped:
            found.append(f"With synthetic voices in training, not in the test: {', '.join(dict.fromkeys(helped))}.")
        for backend in sorted({backend for row in self.rows for backend in row.backends} - {"tensorflow"}):
            there = dict.fromkeys(row.network for row in self.rows if backend in row.backends)
            found.append(f"Trained with Keras on {backend}: {', '.join(there)}.")
        if any(len(row.runs) > 1 for row in self.rows):
            found.append("± is the standard deviation over the seeds; the interval is that of a single run.")
        if self.has_integers:
            same = "with 8-bit outputs it is the accuracy"
            found.append(f"Integer accuracy: in integers alone, as an image computes it; {same}.")
        if any(row.published for row in self.rows) and not self.each:
            sources = dict.fromkeys(row.published.get("source", "") for row in self.rows if row.published)
            named = f" ({'; '.join(source for source in sources if source)})" if any(sources) else ""
            found.append(f"Published{named}: on other data; its MB and KB are MiB and KiB.")
            found.append("Publ. rule: flash counted as the published figures seem to be, which leaves some out.")
        if self.left_out:
            runs = "1 run" if len(self.left_out) == 1 else f"{len(self.left_out)} runs"
            found.append(f"Left out, {runs} without a result: {'; '.join(self.left_out)}.")
        return found

    def to_json(self) -> dict[str, Any]:
        """`{"schema": 2, "synthetic", "clips", "rows": [...], "notes", "left_out"}`; rows with `against_largest`."""
        return {
            "schema": 2,
            "synthetic": self.synthetic,
            "clips": self.clips,
            "rows": [_plain(row) | {"against_largest": self.against_largest(row)} for row in self.rows],
            "notes": ([SYNTHETIC_NOTE] if self.synthetic else []) + self.notes(),
            "left_out": list(self.left_out),
        }

    def to_csv(self) -> str:
        """A line a row, with a heading; `synthetic` is a column, lists are joined by spaces."""
        flat = [_flat(_plain(row) | {"against_largest": self.against_largest(row)}) for row in self.rows]
        out = io.StringIO()
        heading = list(dict.fromkeys(key for row in flat for key in row))
        writer = csv.DictWriter(out, heading, lineterminator="\n")
        writer.writeheader()
        writer.writerows(flat)
        return out.getvalue()

    def to_markdown(self) -> str:
        """A table for a README, published rows in italics, the notes beneath."""
        head = [column.heading.replace("\n", " ") for column in self.columns]
        lines = ["| " + " | ".join(head) + " |", "|---" + "|--:" * (len(head) - 1) + "|"]
        for row, cells in self.lines():
            shown = (cell if row or not cell else f"*{cell}*" for cell in cells)
            lines.append("| " + " | ".join(shown) + " |")
        loud = [f"**{SYNTHETIC_NOTE}**", ""] if self.synthetic else []
        against = [f"- Against {self.largest.network}, {line}" for line in self.differences()]
        return "\n".join([*loud, *lines, "", *against, *(f"- {note}" for note in self.notes())]) + "\n"

    def to_rich(self) -> RenderableType:
        """The table for a terminal of 100 columns: a mean over the words finds no place beside the integers."""
        from rich.box import SIMPLE_HEAD
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        grid = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
        columns = [column for column in self.columns if not (self.has_integers and column is MEAN_WORD)]
        for at, column in enumerate(columns):
            justify: Literal["left", "right"] = "right" if at else "left"
            grid.add_column(column.heading, justify=justify, no_wrap=at > 0, overflow="fold")
        for row, cells in self.lines(columns):
            name = cells[0] if row else "  published"  # by its label the column would be too wide
            grid.add_row(*map(Text, (name, *cells[1:])), style="" if row else "dim")
        loud = Text(SYNTHETIC_NOTE, style="bold yellow")
        parts: list[RenderableType] = [loud, grid, loud] if self.synthetic else [grid]
        if differences := self.differences():
            parts.append(Text(f"Against {self.largest.network}"))
            parts += [Text(f"  {line}") for line in differences]
            parts.append(Text())
        return Group(*parts, *(Text(note, style="dim") for note in self.notes()))


def with_spread(value: float | None, spread: float | None) -> str:
    """`92.4`, `92.4 ± 0.3`, or `-` for nothing."""
    return number(value, 1) + (f" ± {spread:.1f}" if value is not None and spread is not None else "")


def number(value: float | None, digits: int) -> str:
    """The number with that many digits after the point, `-` for nothing."""
    return "-" if value is None else f"{value:.{digits}f}"


def mib(kib: float | None) -> float | None:
    """KiB as MiB."""
    return None if kib is None else kib * KIB / MIB


def _published_cells(row: Row, columns: Sequence[Column]) -> list[str]:
    label = row.published.get("label", "published")
    figures = [row.published.get(column.published or "", "") for column in columns[1:]]
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
