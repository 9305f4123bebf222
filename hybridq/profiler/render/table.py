"""A table with notes as data, and that table for a terminal, as plain text and as Markdown; records as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType

WIDTH = 100
PAGE_ONLY = 10**6  # characters that a terminal must have to show a column: only a page does
BAR = 8  # characters of a full bar

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


def comma_separated(records: Iterable[Sequence[Any]]) -> str:
    """Records, the heading first, as CSV; None is an empty cell."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(records)
    return text.getvalue()


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
