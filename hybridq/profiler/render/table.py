"""A result as one table with notes, and that table in every form: terminal, plain text, Markdown, CSV, HTML."""

from __future__ import annotations

import csv
import io
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType

WIDTH = 100
PAGE = 10**6  # characters of a column that only a page shows
BAR = 8  # characters of a full bar
LONGEST = 60  # characters of a name in a sentence

Look = Literal["", "dominant", "unknown", "same", "removed", "added"]
STYLES: dict[Look, str] = {  # in a terminal
    "": "",
    "dominant": "bold",
    "unknown": "red",
    "same": "dim",
    "removed": "red",
    "added": "green",
}


class Bar(NamedTuple):
    """A cell that is drawn: percent of a full bar, in the colour of a precision, or of what is "fine" or "exceeded"."""

    share: float
    colour: str = "float32"


class Column(NamedTuple):
    """A column; numbers stand to the right, and only names are cut. A narrow terminal leaves some columns out."""

    heading: str
    kind: Literal["name", "text", "number"] = "number"
    least: int = 0  # characters that a terminal must have to show it


class Line(NamedTuple):
    """A line of the table."""

    cells: Sequence[str | Bar]
    look: Look = ""


class Note(NamedTuple):
    """A sentence below the table."""

    text: str
    warning: bool = False


@dataclass(frozen=True)
class Sheet:
    """What a result says: a title, a table, notes."""

    title: str
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    notes: tuple[Note, ...]


class Printed(ABC):
    """A result that prints itself in every form. A subclass says what there is to print."""

    @abstractmethod
    def sheet(self) -> Sheet:
        """What a person reads."""

    @abstractmethod
    def records(self) -> list[Sequence[Any]]:
        """The lines of the CSV, the heading first."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Plain data; a figure that is not known is None, never zero."""

    @abstractmethod
    def _repr_html_(self) -> str:
        """What a notebook shows."""

    def __repr__(self) -> str:
        """The table, as in a terminal."""
        return plain(self.sheet())

    def to_html(self) -> str:
        """One self-contained page."""
        from hybridq.profiler.render.markup import page

        return page(self.sheet().title, self._repr_html_())

    def to_rich(self) -> Terminal:
        """The table and its notes, as a rich renderable."""
        return Terminal(self.sheet())

    def to_csv(self) -> str:
        """A heading and a line a layer, comma-separated; an empty cell where a figure is not known."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(self.records())
        return text.getvalue()

    def to_markdown(self) -> str:
        """A table and a list."""
        return markdown(self.sheet())


@dataclass(frozen=True)
class Terminal:
    """A sheet as a rich renderable, for a terminal of any width."""

    sheet: Sheet

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        """The title, the table, the notes."""
        from rich import box
        from rich.table import Table
        from rich.text import Text

        yield Text(self.sheet.title, style="bold")
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 0, 0, 1))
        shown = _shown(self.sheet, options.max_width)
        for heading, kind, _ in (self.sheet.columns[i] for i in shown):
            justify: Literal["left", "right"] = "right" if kind == "number" else "left"
            least = 8 if kind == "name" else None
            table.add_column(heading, justify=justify, no_wrap=kind != "name", overflow="ellipsis", min_width=least)
        for line in self.sheet.lines:
            table.add_row(*(_drawn(line.cells[i], STYLES[line.look]) for i in shown))
        if self.sheet.lines:
            yield table
        yield from (Text(note.text, style="red" if note.warning else "") for note in self.sheet.notes)


def plain(sheet: Sheet) -> str:
    """A sheet as plain text of at most 100 columns."""
    from rich.console import Console

    console = Console(width=WIDTH, force_terminal=False, color_system=None)
    with console.capture() as captured:
        console.print(Terminal(sheet))
    return captured.get().rstrip("\n")


def markdown(sheet: Sheet) -> str:
    """A sheet as Markdown, without the bars."""
    shown = [i for i in _shown(sheet, WIDTH) if not any(isinstance(line.cells[i], Bar) for line in sheet.lines)]
    rows = [[sheet.columns[i].heading for i in shown]]
    rows.append(["---:" if sheet.columns[i].kind == "number" else "---" for i in shown])
    rows += [[_escaped(str(line.cells[i])) for i in shown] for line in sheet.lines]
    table = ["| " + " | ".join(row) + " |" for row in rows] if sheet.lines else []
    notes = [f"- {_escaped(note.text)}" for note in sheet.notes]
    blocks = ([f"## {_escaped(sheet.title)}"], table, notes)
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def count(number: int | None) -> str:
    """A figure; "?" where there is no rule for it."""
    return "?" if number is None else f"{number:,}"


def listed(names: Sequence[str]) -> str:
    """ "a, b and c"; of many, the first four and how many more; long ones are cut."""
    ends = [name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…" for name in names]
    ends = ends if len(ends) <= 5 else [*ends[:4], f"{len(ends) - 4} more"]
    return " and ".join(filter(None, (", ".join(ends[:-1]), *ends[-1:])))


def _drawn(cell: str | Bar, style: str) -> Any:
    from rich.text import Text

    return Text(_blocks(cell.share), style="cyan") if isinstance(cell, Bar) else Text(cell, style=style)


def _blocks(share: float) -> str:
    eighths = round(min(max(share, 0.0), 100.0) / 100 * BAR * 8)
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()


def _shown(sheet: Sheet, width: int) -> list[int]:
    """The columns for which there is room."""
    return [i for i, column in enumerate(sheet.columns) if column.least <= width]


def _escaped(text: str) -> str:
    """Text that Markdown leaves as it is, on one line."""
    text = " ".join(text.splitlines())
    for character in "\\|<`*[":
        text = text.replace(character, "\\" + character)
    return text
