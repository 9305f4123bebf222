"""What successive halving has found: what became of all networks, rung by rung, as tables and as a picture."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from hybridq.pictures import COLOURS, GREY, MARKERS, titled_figures
from hybridq.profiler.tables import Column, Line, Note, Sheet, Terminal
from hybridq.search.networks import FAMILIES, Network, Sample, shares

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.console import RenderableType

    from hybridq.search.request import Request

RUNGS = (Column("Epochs"), Column("Networks"), Column("Go on"), Column("Best %"), Column("Median %"), Column("Least %"))
NETWORKS = (
    Column("Network", "name"),
    Column("Parameters", least=90),
    Column("Memory KB"),
    Column("Operations M"),
    Column("Most of limits %", least=110),
    Column("Epochs"),
    Column("Validation %"),
)


@dataclass(frozen=True)
class Trained:
    """A network, after how many epochs its training ended, and its accuracy then: percent of the validation clips."""

    network: Network
    epochs: int
    accuracy: float
    run: str
    stopped: bool  # by the pruner


@dataclass(frozen=True)
class Halved:
    """What a search of a space has found; `best` is one of those that were trained fully."""

    request: Request
    run: str
    sample: Sample
    rungs: tuple[int, ...]
    trained: tuple[Trained, ...]
    best: Trained
    failed: dict[str, str]
    clips: str
    synthetic: bool

    @property
    def ranked(self) -> list[Trained]:
        """The longest training first, then the most accurate."""
        return sorted(self.trained, key=lambda one: (-one.epochs, -one.accuracy))

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "schema": 1,
            "run": self.run,
            "limits": asdict(self.request.budget),
            "drawn": self.sample.drawn,
            "dropped": dict(self.sample.dropped),
            "families_without": self.sample.barren,
            "rungs": list(self.rungs),
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
        """A line for each rung: how many came there, how many went on, what they had reached where they ended."""
        lines = []
        for rung in (*self.rungs, max(one.epochs for one in self.trained)):
            came = [one for one in self.trained if one.epochs >= rung]
            ended = sorted(one.accuracy for one in came if one.epochs == rung)
            figures = (ended[-1], ended[len(ended) // 2], ended[0]) if ended else ()
            cells = (str(rung), str(len(came)), str(len(came) - len(ended)), *(f"{one:.2f}" for one in figures))
            lines.append(Line((*cells, *[""] * (len(RUNGS) - len(cells)))))
        notes = [Note(self.sample.told()), Note("Accuracies are of those whose training ended there")]
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
            Note("Memory and operations with weights and values in 8 bits, as Hello Edge counts them"),
            Note(f"On {self.clips}; `hybridq train {self.request.out}` says what the test clips say"),
            *(Note(f"{name} failed: {reason}", True) for name, reason in self.failed.items()),
        ]
        if self.synthetic:
            notes.append(Note("Synthetic voices: for trying the tool, not a result", True))
        return Sheet("Networks", NETWORKS, tuple(lines), tuple(notes))


def over_size(found: Halved) -> Figure:
    """Accuracy over operations and over memory: trained fully, filled; stopped, hollow; dashed: the limits."""
    budget = found.request.budget
    fig, panels = titled_figures(9.5, 5.0, f"Networks within {budget.label}", found.synthetic, 2)
    memory = (budget.memory_bytes or budget.flash_bytes) / 1e3
    limits = ((budget.operations or 0) / 1e6, memory)
    labels = ("operations of an inference, millions", "weights and values in 8 bits, KB")
    for axes, limit, label in zip(panels, limits, labels, strict=True):
        for at, family in enumerate(FAMILIES):
            for stopped in (False, True):
                some = [one for one in found.trained if one.network.family == family and one.stopped is stopped]
                points = [(_sizes(one)[panels.index(axes)], one.accuracy) for one in some]
                if points:
                    fill = "none" if stopped else COLOURS[at]
                    named = family if axes is panels[0] and not stopped else None
                    x, y = zip(*points, strict=True)
                    axes.plot(x, y, MARKERS[at], color=COLOURS[at], mfc=fill, ms=8, mew=1.6, label=named)
        axes.axvline(limit, color=GREY, ls="--")
        axes.set_xlabel(label)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.grid(alpha=0.3, which="both")
    panels[0].set_ylabel("validation accuracy, %")
    fig.legend(frameon=False, loc="outside lower center", ncols=len(FAMILIES), fontsize=9)
    return fig


def _sizes(one: Trained) -> tuple[float, float]:
    return one.network.size.operations / 1e6, one.network.size.memory_bytes / 1e3


def _plain(one: Trained) -> dict[str, Any]:
    return asdict(one) | {"network": one.network.name, **asdict(one.network)}
