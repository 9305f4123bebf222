"""What a comparison of runs holds, and its forms: a table for a terminal, JSON, CSV and markdown."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from hybridq.data.task import CLIPS, SYNTHETIC_WARNING, classes_in_words
from hybridq.results import pareto
from hybridq.results.columns import ACCURACY, COLUMNS, FIELDS, Clips, Column, Of, Row
from hybridq.speech.audio.clips import STANDARD_WORDS

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType

OF_CLASSES = ("low", "word_accuracy")  # fields
SCORED = ("accuracy", "integer_accuracy")  # fields that are R2 of some rows
NAME = 14  # characters of a line of a name, where a terminal is narrow
GAP = 2  # characters between columns
VALIDATION_NOTE = "{} on the validation {}, by which a search chooses: not a result."
SYNTHETIC_NOTE = SYNTHETIC_WARNING.replace("synthetic data", "SYNTHETIC DATA") + "."


@dataclass(frozen=True)
class Comparison:
    """Rows in the order asked for; `left_out` says which runs have no result, and why."""

    rows: tuple[Row, ...]
    left_out: tuple[str, ...] = ()
    each: bool = False  # whether a row is one run rather than all seeds of a recipe
    clips: Clips = "test"  # whose accuracy it is

    @property
    def synthetic(self) -> bool:
        """Whether any row comes from synthetic data."""
        return any(row["synthetic"] for row in self.rows)

    @property
    def largest(self) -> Row:
        """The row with the most flash (the float network), which the others are measured against."""
        return max(self.rows, key=lambda row: row["flash_kib"] or 0)

    @property
    def kind(self) -> Of:
        """What its tables are of, which decides about their columns."""
        kind = (Of.RUNS if self.each else Of.NETWORKS) | (Of.TEST if self.clips == "test" else Of.VALIDATION) | Of.ROOM
        kind |= Of.PUBLISHED if any(row["published"] for row in self.rows) else Of.ANYTHING
        kind |= Of.ANOMALIES if any(row["auc"] is not None for row in self.rows) else Of.ANYTHING
        return kind | (Of.INTEGERS if self.has_integers else Of.ANYTHING)

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of the printed table; those in which no row would have anything are left out."""
        return _columns(self.kind, self.score, self.has_samples)

    @property
    def score(self) -> str:
        """What its accuracies are: accuracy, R2, or of some rows the one and of others the other."""
        return " or ".join(dict.fromkeys(row["score"] for row in self.rows)) or ACCURACY

    @property
    def front(self) -> tuple[Row, ...]:
        """The rows on the Pareto front: no other is as accurate in less flash, or more accurate in as much."""
        sized = [(row, row["flash_kib"]) for row in self.rows if row["flash_kib"] is not None]
        return tuple(sized[place][0] for place in pareto.front([(kib, row["accuracy"]) for row, kib in sized]))

    @property
    def has_samples(self) -> bool:
        """Whether any row is of examples that are no clips."""
        return any(row["unit"] != CLIPS for row in self.rows)

    @property
    def has_integers(self) -> bool:
        """Whether any network was measured in integers."""
        return any(row["integer_accuracy"] is not None for row in self.rows)

    def lines(self, columns: Sequence[Column] = ()) -> Iterator[tuple[Row | None, list[str]]]:
        """The printed table, cell by cell: each row, and beneath it the published one, which has no `Row`."""
        columns, several = columns or self.columns, len({row["score"] for row in self.rows}) > 1
        for row in self.rows:
            named = f"{row['score']} " if several and row["score"] != ACCURACY else ""
            cells = ((column.cell(row), column.fields[0]) for column in columns)
            yield row, [named + cell if field in SCORED and cell != "-" else cell for cell, field in cells]
            if row["published"] and not self.each:
                yield None, _published_cells(row, columns)

    def against_largest(self, row: Row) -> dict[str, float]:
        """Accuracy in points above the largest network's, flash and RAM as the factor by which they are smaller."""
        largest = self.largest
        figures = {"accuracy_points": row["accuracy"] - largest["accuracy"]}
        if row["flash_kib"] and largest["flash_kib"]:
            figures["flash_smaller_by"] = largest["flash_kib"] / row["flash_kib"]
        if row["ram_kib"] and largest["ram_kib"]:
            figures["ram_smaller_by"] = largest["ram_kib"] / row["ram_kib"]
        return figures

    def differences(self) -> list[str]:
        """One line for each row but the largest that is on the same kind of data; none where rows are single runs."""
        largest = self.largest
        others = [row for row in self.rows if row is not largest and not self.each and _are_alike(row, largest)]
        return [f"{row.network}: {_difference(self.against_largest(row), row['score'])}" for row in others]

    def notes(self) -> list[str]:
        """What a reader must know besides the figures."""
        unit = "data" if self.has_samples else CLIPS
        notes = [] if self.clips == "test" else [VALIDATION_NOTE.format(self.score[0].upper() + self.score[1:], unit)]
        for name, classes, unit in dict.fromkeys((row["data"], row["words"], row["unit"]) for row in self.rows):
            if unit != CLIPS:
                of_what = classes_in_words(classes, unit)
                notes.append(f"Data: {name or 'not recorded'}{of_what and f'; {of_what}'}.")
                continue
            words = [word for word in classes if not word.startswith("_")]
            besides = " and ".join(word.strip("_") for word in classes if word.startswith("_"))
            notes.append(
                f"Data: {name or 'not recorded'}; {len(words)} words: {' '.join(words)}{besides and f'; {besides}'}."
            )
            strange = [word for word in words if word not in STANDARD_WORDS]
            missing = [word for word in STANDARD_WORDS if word not in words]
            if strange:
                instead = f" in the place of {', '.join(missing)}" if missing else ""
                notes.append(f"Not the ten standard commands: {', '.join(strange)}{instead}.")
            elif words and missing:
                notes.append(f"Not the ten standard commands: without {', '.join(missing)}.")
        helped = [row.network for row in self.rows if row["helped"]]
        if helped:
            notes.append(f"With synthetic voices in training, not in the test: {', '.join(dict.fromkeys(helped))}.")
        for backend in sorted({backend for row in self.rows for backend in row["backends"]} - {"tensorflow"}):
            there = dict.fromkeys(row.network for row in self.rows if backend in row["backends"])
            notes.append(f"Trained with Keras on {backend}: {', '.join(there)}.")
        if any(len(row.runs) > 1 for row in self.rows):
            notes.append("± is the standard deviation over the seeds; the interval is that of a single run.")
        if self.score != ACCURACY:
            notes.append("R2: the share of the variance that is explained; 100 is exact, 0 no better than the mean.")
        if self.has_integers:
            same = f"with 8-bit outputs it is the {self.score}"
            notes.append(f"Integer {self.score}: in integers alone, as an image computes it; {same}.")
        if any(row["published"] for row in self.rows) and not self.each:
            sources = dict.fromkeys(row["published"].get("source", "") for row in self.rows if row["published"])
            named = f" ({'; '.join(source for source in sources if source)})" if any(sources) else ""
            notes.append(f"Published{named}: on other data; its MB and KB are MiB and KiB.")
            notes.append("Publ. rule: flash counted as the published figures seem to be, which leaves some out.")
        if self.left_out:
            runs = "1 run" if len(self.left_out) == 1 else f"{len(self.left_out)} runs"
            notes.append(f"Left out, {runs} without a result: {'; '.join(self.left_out)}.")
        return notes

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
        """The table for a terminal: a mean over the words finds no place beside the integers."""
        from rich.console import Group
        from rich.text import Text

        columns = _columns(self.kind & ~Of.ROOM if self.has_integers else self.kind, self.score, self.has_samples)
        lines = [((cells if row else ["  published", *cells[1:]]), bool(row)) for row, cells in self.lines(columns)]
        grid = _Grid(columns, lines)  # published: by its label the column would be too wide
        loud = Text(SYNTHETIC_NOTE, style="bold yellow")
        parts: list[RenderableType] = [loud, grid, loud] if self.synthetic else [grid]
        if differences := self.differences():
            parts.append(Text(f"Against {self.largest.network}"))
            parts += [Text(f"  {line}") for line in differences]
            parts.append(Text())
        return Group(*parts, *(Text(note, style="dim") for note in self.notes()))


@dataclass(frozen=True)
class _Grid:
    """The columns and their cells (own: of a run, not published) as a table for a terminal of any width."""

    columns: tuple[Column, ...]
    lines: Sequence[tuple[Sequence[str], bool]]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        """The table, and what found no place in it: no figure is cut."""
        from rich.box import SIMPLE_HEAD
        from rich.table import Table
        from rich.text import Text

        shown = self._shown(options.max_width)
        table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
        for at in shown:
            justify: Literal["left", "right"] = "right" if at else "left"
            table.add_column(self.columns[at].heading, justify=justify, no_wrap=at > 0, overflow="fold")
        for cells, own in self.lines:
            table.add_row(*(Text(cells[at]) for at in shown), style="" if own else "dim")
        yield table
        rest = [column.heading.replace("\n", " ") for at, column in enumerate(self.columns) if at not in shown]
        if rest:
            yield Text(f"Too narrow for {', '.join(rest)}: --format csv has all columns.", style="dim")

    def _shown(self, width: int) -> list[int]:
        """The places of the columns that find room, names cut into lines of NAME at the shortest."""
        needed = []
        for at, column in enumerate(self.columns):
            texts = (*column.heading.split("\n"), *(cells[at] for cells, _ in self.lines))
            needed.append(max(map(len, texts)))
        needed[0] = min(needed[0], NAME)
        shown = list(range(len(self.columns)))
        for at in sorted(shown, key=lambda at: self.columns[at].spare):
            if self.columns[at].spare and sum(needed[one] + GAP for one in shown) > width:
                shown.remove(at)
        return shown


def _columns(kind: Of, score: str, classes: bool) -> tuple[Column, ...]:
    """The columns of a table of that kind, called after what its accuracies are; `classes`: not words."""
    shown: Iterable[Column] = (column for column in COLUMNS if column.needs in kind)
    if score != ACCURACY:  # it has no interval, and no mean over classes
        shown = (column for column in shown if column.fields[0] not in OF_CLASSES)
    if score == ACCURACY and not classes:
        return tuple(shown)
    return tuple(replace(one, heading=one.heading.replace(ACCURACY, score).replace("word", "class")) for one in shown)


def _published_cells(row: Row, columns: Sequence[Column]) -> list[str]:
    label = row["published"].get("label", "published")
    figures = row["published"] | {"label": label if label.startswith("published") else f"published {label}"}
    return [figures.get(column.published, "") for column in columns]


def _are_alike(one: Row, other: Row) -> bool:
    """Whether the accuracies of two rows can stand beside each other: both on clips, or on one other data set."""
    fields = ("score", "unit") if one["unit"] == CLIPS else ("score", "unit", "data")
    return all(one[field] == other[field] for field in fields)


def _difference(against: Mapping[str, float], score: str) -> str:
    parts = [f"{score} {against['accuracy_points']:+.1f} points"]
    for what, key in (("flash", "flash_smaller_by"), ("RAM", "ram_smaller_by")):
        factor = against.get(key)
        if factor is not None:
            parts.append(f"{what} {_factor(factor)}")
    return ", ".join(parts)


def _factor(smaller_by: float) -> str:
    if 0.95 < smaller_by < 1.05:
        return "the same"
    return f"{smaller_by:.1f}x smaller" if smaller_by > 1 else f"{1 / smaller_by:.1f}x larger"


def _plain(row: Row) -> dict[str, Any]:
    values = {field: row[field] for field in FIELDS}
    return {field: list(value) if isinstance(value, tuple) else value for field, value in values.items()}


def _flat(data: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in data.items():
        if isinstance(value, Mapping):
            flat |= {f"{key}.{inner}": inner_value for inner, inner_value in value.items()}
        else:
            flat[key] = " ".join(map(str, value)) if isinstance(value, list) else value
    return flat
