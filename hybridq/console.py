"""Tables of 100 columns for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from rich.console import Console, RenderableType
from rich.table import Table

from hybridq.audio import SPLITS, AudioSet, info

if TYPE_CHECKING:
    from hybridq.evaluation import Evaluation

WIDTH = 100


class Tabular(Protocol):
    """A result with a table for the terminal."""

    def to_rich(self) -> RenderableType: ...


def show(result: Tabular) -> None:
    """Print a result as a table; wide enough to be read back whole where the output is no terminal."""
    console().print(result.to_rich())


def console() -> Console:
    """Standard output, 100 columns where it is no terminal."""
    out = Console()
    return out if out.is_terminal else Console(width=WIDTH)


def evaluation_table(result: Evaluation, name: str, split: str) -> None:
    """Print an evaluation: the accuracy, each word's, and the words it is most often taken for."""
    low, high = result.interval
    out = console()
    out.print(
        f"{name}: {result.accuracy:.1f} % of {result.clips} {split} clips (95 % interval {low:.1f} to {high:.1f}); "
        f"mean of the words {result.mean_word_accuracy:.1f} %",
        highlight=False,
    )
    rows = Table("word", "clips", "accuracy %", "most often heard as")
    for i, word in enumerate(result.labels):
        counts = result.confusion[i].copy()
        total, right = int(counts.sum()), int(counts[i])
        counts[i] = 0
        wrong = [f"{result.labels[j]} ({counts[j]})" for j in counts.argsort()[::-1][:3] if counts[j]]
        rows.add_row(word, str(total), f"{100 * right / total:.1f}" if total else "-", ", ".join(wrong))
    out.print(rows)


def data_table(audio: AudioSet) -> None:
    """Print the clips of each word in each split."""
    out = console()
    label = " (synthetic voices: for trying the tool, not a result)" if audio.synthetic else ""
    out.print(f"{audio.name}{label}: {audio.root}", highlight=False, soft_wrap=True)
    out.print(f"splits: {audio.split_rule}; digest {audio.digest[:16]}", highlight=False)
    table = Table("word", *SPLITS, "speakers")
    for row in info(audio):
        table.add_row(row.word, str(row.training), str(row.validation), str(row.test), str(row.speakers))
    out.print(table)
