"""The terminal: a console of 100 columns, and what it shows."""

from __future__ import annotations

from typing import Protocol

from rich.console import Console, RenderableType

WIDTH = 100


class Tabular(Protocol):
    """A result with a table for the terminal."""

    def to_rich(self) -> RenderableType: ...


def show(result: Tabular) -> None:
    """Print a result as a table; wide enough to be read back whole where the output is no terminal."""
    console().print(result.to_rich())


def console() -> Console:
    """Standard output, 100 columns where it is no terminal; a name in brackets is printed as it is."""
    out = Console(markup=False, emoji=False)
    return out if out.is_terminal else Console(width=WIDTH, markup=False, emoji=False)
