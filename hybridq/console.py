"""What a person sees in a terminal: the progress of a training, and tables of 100 columns."""

from __future__ import annotations

import time
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from hybridq.audio import SPLITS, AudioSet, info

if TYPE_CHECKING:
    from hybridq.dataset import Dataset
    from hybridq.evaluation import Evaluation
    from hybridq.recipe import Recipe
    from hybridq.training import Epoch, Watcher

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


class Watching:
    """While it is open, trainings show a progress bar on standard error; without a terminal, a line an epoch."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[accuracy]}"),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=self._console,
            disable=not self._console.is_terminal,
        )

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def watcher(self, recipe: Recipe, data: Dataset) -> Watcher:
        """The watcher of one run; says first what is trained on what."""
        counts = [len(data.split(split)) for split in SPLITS]
        self._console.print(
            f"{recipe.name} (seed {recipe.training.seed}): {data.audio.name}, {len(data.words)} words "
            f"({' '.join(data.words)}); {counts[0]} training, {counts[1]} validation, {counts[2]} test clips",
            highlight=False,
            soft_wrap=True,
        )
        if data.audio.synthetic:
            self._console.print("[yellow]synthetic voices: for trying the tool, not a result[/yellow]")
        task = self._bars.add_task(recipe.name, total=float(recipe.training.epochs), accuracy="")
        return _Bar(self._console, self._bars, task, recipe.name, recipe.training.epochs, time.monotonic())


@dataclass
class _Bar:
    console: Console
    bars: Progress
    task: TaskID
    name: str
    epochs: int
    started: float
    checked: str = ""
    first: int | None = None

    def batch(self, epoch: int, share: float, accuracy: float) -> None:
        said = f"epoch {epoch}/{self.epochs}  training {accuracy:5.1f} %  {self.checked}"
        self.bars.update(self.task, completed=epoch - 1 + share, accuracy=said)

    def epoch(self, epoch: Epoch) -> None:
        self.checked = f"validation {epoch.validation_accuracy:5.1f} %"
        self.bars.update(self.task, completed=epoch.epoch)
        if self.first is None:
            self.first = epoch.epoch
        if not self.console.is_terminal:
            each = (time.monotonic() - self.started) / (epoch.epoch - self.first + 1)
            left = each * (self.epochs - epoch.epoch) / 60
            self.console.print(
                f"{self.name} epoch {epoch.epoch}/{self.epochs}: training {epoch.training_accuracy:.1f} %, "
                f"{self.checked}, about {left:.1f} min left",
                highlight=False,
                soft_wrap=True,
            )


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
