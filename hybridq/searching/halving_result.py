"""The result of successive halving: what became of all networks, rung by rung, as tables and as a picture."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from hybridq.data.task import SYNTHETIC_WARNING
from hybridq.profiler.render.table import Column, Line, Note, Sheet, Terminal
from hybridq.results.drawing import COLOURS, GREY, MARKERS, plain_logarithmic, titled_figures
from hybridq.searching.networks import FAMILIES, Network, Sample, shares

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.console import RenderableType

    from hybridq.searching.request import Request

RUNGS = (
    Column("Epochs"),
    Column("Networks"),
    Column("Went on"),
    Column("Best %"),
    Column("Median %"),
    Column("Least %"),
)
NETWORKS = (
    Column("Network", "name"),
    Column("Parameters", least=90),
    Column("Memory KB"),
    Column("Operations M"),
    Column("Most of limits %", least=110),
    Column("Epochs"),
    Column("Validation %"),
)


class Rung(NamedTuple):
    """How many trainings came to so many epochs, and went on; accuracies there, percent of the validation clips."""

    epochs: int
    networks: int
    went_on: int
    best: float
    median: float
    least: float


@dataclass(frozen=True)
class Trained:
    """A network, and what it had reached after so many epochs, the last ones last: percent of the validation clips."""

    network: Network
    reached: dict[int, float]
    run: str
    stopped: bool  # by the pruner

    @property
    def epochs(self) -> int:
        """How long it was trained."""
        return max(self.reached)

    @property
    def accuracy(self) -> float:
        """At its end."""
        return self.reached[self.epochs]


@dataclass(frozen=True)
class HalvingResult:
    """All networks of a search in a space; `best` is one of those that were trained fully."""

    request: Request
    run: str
    sample: Sample
    trained: tuple[Trained, ...]
    best: Trained
    failed: dict[str, str]
    clips: str
    synthetic: bool

    @property
    def ranked(self) -> list[Trained]:
        """The longest training first, then the most accurate."""
        return sorted(self.trained, key=lambda one: (-one.epochs, -one.accuracy))

    @property
    def rungs(self) -> list[Rung]:
        """After how many epochs a training could be stopped, and the end."""
        rungs = []
        for epochs in sorted({epochs for one in self.trained for epochs in one.reached}):
            came = [one.reached[epochs] for one in self.trained if epochs in one.reached]
            on = sum(one.epochs > epochs for one in self.trained)
            rungs.append(Rung(epochs, len(came), on, max(came), median(came), min(came)))
        return rungs

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "schema": 1,
            "run": self.run,
            "limits": asdict(self.request.budget),
            "drawn": self.sample.drawn,
            "dropped": dict(self.sample.dropped),
            "families_without": self.sample.barren,
            "rungs": [rung._asdict() for rung in self.rungs],
            "networks": [_plain(one) for one in self.ranked],
            "best": _plain(self.best),
            "recipe": str(self.request.out),
            "failed": self.failed,
            "synthetic": self.synthetic,
        }

    def to_rich(self) -> RenderableType:
        """The rungs and the networks, for a terminal."""
        from rich.console import Group

        return Group(Terminal(self.rung_sheet()), "", Terminal(self.sheet()))

    def rung_sheet(self) -> Sheet:
        """A line for each rung: how many came there, how many went on, what they had reached."""
        lines = [
            Line([f"{figure:.2f}" if isinstance(figure, float) else str(figure) for figure in rung])
            for rung in self.rungs
        ]
        notes = [Note(self.sample.summary())]
        notes += [Note(f"No {family} within the limits was drawn", True) for family in self.sample.barren]
        return Sheet(f"Successive halving within {self.request.budget.label}", RUNGS, tuple(lines), tuple(notes))

    def sheet(self) -> Sheet:
        """A line for each network, the best in bold."""
        limits = self.request.budget
        lines = []
        for one in self.ranked:
            size = one.network.size
            cells = (
                one.network.name,
                f"{size.parameters:,}",
                f"{size.memory_bytes / 1e3:.1f}",
                f"{size.operations / 1e6:.2f}",
                f"{100 * max(shares(size, limits).values()):.0f}",
                str(one.epochs),
                f"{one.accuracy:.2f}",
            )
            lines.append(Line(cells, "dominant" if one is self.best else "same" if one.stopped else ""))
        notes = [
            Note(f"Best: {self.best.network.name}, written to {self.request.out}"),
            Note("Trained in float; memory and operations are for 8 bits, as Hello Edge counts them"),
            Note(f"On {self.clips}; `hybridq train {self.request.out}` says what the test clips say"),
            *(Note(f"{name} failed: {reason}", True) for name, reason in self.failed.items()),
        ]
        if self.synthetic:
            notes.append(Note(SYNTHETIC_WARNING.capitalize(), True))
        return Sheet("Networks", NETWORKS, tuple(lines), tuple(notes))


def over_size(result: HalvingResult) -> Figure:
    """Accuracy over operations and over memory: trained fully, filled; stopped, hollow; dashed: the limits."""
    budget = result.request.budget
    fig, panels = titled_figures(9.5, 5.0, f"Networks within {budget.label}", result.synthetic, 2)
    labels = ("operations of an inference, millions", "weights and values in 8 bits, KB")
    limits = ((budget.operations or 0) / 1e6, (budget.memory_bytes or 0) / 1e3)
    styles = dict(zip(FAMILIES, zip(COLOURS, MARKERS, strict=True), strict=True))
    for at, (axes, label, limit) in enumerate(zip(panels, labels, limits, strict=True)):
        for one in result.trained:
            colour, marker = styles[one.network.family]
            fill = "none" if one.stopped else colour
            axes.plot(_sizes(one)[at], one.accuracy, marker, color=colour, mfc=fill, ms=8, mew=1.6)
        if limit:
            axes.axvline(limit, color=GREY, ls="--")
        axes.set_xscale("log")
        plain_logarithmic(axes.xaxis)
        axes.set_xlabel(label)
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("validation accuracy, %")
    for family in dict.fromkeys(one.network.family for one in result.trained):
        colour, marker = styles[family]
        panels[0].plot([], [], marker, color=colour, label=family)
    if any(one.stopped for one in result.trained):
        panels[0].plot([], [], "o", color=GREY, mfc="none", mew=1.6, label="stopped early")
    fig.legend(frameon=False, loc="outside lower center", ncols=len(FAMILIES) + 1, fontsize=9)
    return fig


def _sizes(one: Trained) -> tuple[float, float]:
    return one.network.size.operations / 1e6, one.network.size.memory_bytes / 1e3


def _plain(one: Trained) -> dict[str, Any]:
    figures = {"epochs": one.epochs, "accuracy": one.accuracy, "stopped": one.stopped, "run": one.run}
    return asdict(one.network) | figures | {"reached": one.reached}
