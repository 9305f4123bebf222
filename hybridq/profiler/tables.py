"""A result as one table with notes, and that table in every form: terminal, plain text, Markdown, CSV, HTML."""

from __future__ import annotations

import csv
import io
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from rich.console import Group

WIDTH = 100
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
    """A column; numbers stand to the right, and only names give way. Some have no room but on a page."""

    heading: str
    kind: Literal["name", "text", "number"] = "number"
    page_only: bool = False


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
        from hybridq.profiler.markup import page

        return page(self.sheet().title, self._repr_html_())

    def to_rich(self) -> Group:
        """The table and its notes for a terminal: a rich renderable of at most 100 columns."""
        return terminal(self.sheet())

    def to_csv(self) -> str:
        """A heading and a line a layer, comma-separated; an empty cell where a figure is not known."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(self.records())
        return text.getvalue()

    def to_markdown(self) -> str:
        """A table and a list."""
        return markdown(self.sheet())


def terminal(sheet: Sheet) -> Group:
    """The sheet as a rich renderable of at most 100 columns."""
    from rich import box
    from rich.console import Group, RenderableType
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 0, 0, 1))
    shown = [i for i, column in enumerate(sheet.columns) if not column.page_only]
    for i in shown:
        heading, kind, _ = sheet.columns[i]
        justify: Literal["left", "right"] = "right" if kind == "number" else "left"
        table.add_column(heading, justify=justify, no_wrap=kind != "name", overflow="ellipsis")
    for line in sheet.lines:
        table.add_row(*(_drawn(line.cells[i], STYLES[line.look]) for i in shown))
    notes = [Text(note.text, style="red" if note.warning else "") for note in sheet.notes]
    body: list[RenderableType] = [table] if sheet.lines else []
    return Group(Text(sheet.title, style="bold"), *body, *notes)


def plain(sheet: Sheet) -> str:
    """The same as plain text of at most 100 columns."""
    from rich.console import Console

    console = Console(width=WIDTH, force_terminal=False, color_system=None)
    with console.capture() as captured:
        console.print(terminal(sheet))
    return captured.get().rstrip("\n")


def markdown(sheet: Sheet) -> str:
    """The same as Markdown, without the bars."""
    shown = [i for i, column in enumerate(sheet.columns) if not (column.page_only or _is_bar(sheet, i))]
    rows: list[Iterable[str]] = [(sheet.columns[i].heading for i in shown)]
    rows.append("---:" if sheet.columns[i].kind == "number" else "---" for i in shown)
    rows += [(_escaped(str(line.cells[i])) for i in shown) for line in sheet.lines]
    table = ["| " + " | ".join(row) + " |" for row in rows] if sheet.lines else []
    notes = [f"- {_escaped(note.text)}" for note in sheet.notes]
    return "\n".join([f"## {_escaped(sheet.title)}", "", *table, *([""] if table else []), *notes]) + "\n"


def size(count: int) -> str:
    """Bytes as a person reads them: 2.12 MiB, 127.5 KiB, 640 B."""
    for unit, bytes_ in (("GiB", 2**30), ("MiB", 2**20)):
        if count >= bytes_:
            return f"{count / bytes_:,.2f} {unit}"
    return f"{count / 2**10:.1f} KiB" if count >= 2**10 else f"{count} B"


def count(number: int | None) -> str:
    """A figure; "?" where there is no rule for it."""
    return "?" if number is None else f"{number:,}"


def listed(names: Sequence[str]) -> str:
    """ "a, b and c"; of many, the first four and how many more."""
    ends = names if len(names) <= 5 else (*names[:4], f"{len(names) - 4} more")
    return " and ".join(filter(None, (", ".join(ends[:-1]), *ends[-1:])))


def _drawn(cell: str | Bar, style: str) -> Any:
    from rich.text import Text

    return Text(_blocks(cell.share), style="cyan") if isinstance(cell, Bar) else Text(cell, style=style)


def _blocks(share: float) -> str:
    eighths = round(min(max(share, 0.0), 100.0) / 100 * BAR * 8)
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()


def _is_bar(sheet: Sheet, column: int) -> bool:
    return any(isinstance(line.cells[column], Bar) for line in sheet.lines)


def _escaped(text: str) -> str:
    """Text that Markdown leaves as it is, on one line."""
    text = " ".join(text.splitlines())
    for character in "\\|<`*[":
        text = text.replace(character, "\\" + character)
    return text
