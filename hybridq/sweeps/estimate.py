"""What a sweep would cost before it is run: the sizes of every network, and the time that its training should take.

The time is an estimate: a few steps of each network are timed on this machine, now, on random inputs. Start-up,
reading the data and the augmentation, which runs beside the training, come on top of it.
"""

from __future__ import annotations

import csv
import io
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from hybridq.data.task import Task, TrainingData
from hybridq.profiler import profile
from hybridq.runs.experiment import graph_of, network
from hybridq.runs.sources import open_dataset, source_of
from hybridq.settings.units import to_kib, to_millions
from hybridq.sweeps.planning import Plan
from hybridq.training.fit import compile_model
from hybridq.training.tasks import learning_of

if TYPE_CHECKING:
    from rich.console import RenderableType

    from hybridq.recipe.schema import Recipe

STEPS = 6  # timed, after one that builds the graph
HEADINGS = ("run", "flash\nKiB", "RAM\nKiB", "MACC\nM", "fits", "epochs", "training\nexamples", "minutes")


@dataclass(frozen=True)
class Cost:
    """One run: sizes in KiB and millions, minutes of training; None where the data is not on this machine yet."""

    name: str
    flash_kib: float
    ram_kib: float
    macc_m: float
    fits: bool
    epochs: int
    clips: int | None
    minutes: float | None


@dataclass(frozen=True)
class Forecast:
    """The runs of a plan, in the order in which they would be made."""

    costs: tuple[Cost, ...]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """`{"schema": 1, "runs": [...], "notes": [...]}`."""
        return {"schema": 1, "runs": [asdict(cost) for cost in self.costs], "notes": list(self.notes)}

    def to_csv(self) -> str:
        """A line a run, under the names of `Cost`."""
        out = io.StringIO()
        writer = csv.DictWriter(out, list(Cost.__dataclass_fields__), lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(cost) for cost in self.costs)
        return out.getvalue()

    def to_markdown(self) -> str:
        """The table and the notes."""
        head = "| " + " | ".join(heading.replace("\n", " ") for heading in HEADINGS) + " |"
        lines = ["| " + " | ".join(_cells(cost)) + " |" for cost in self.costs]
        notes = [f"- {note}" for note in self.notes]
        return "\n".join([head, "|---" + "|--:" * (len(HEADINGS) - 1) + "|", *lines, "", *notes]) + "\n"

    def to_rich(self) -> RenderableType:
        """The table and the notes, for a terminal."""
        from rich.box import SIMPLE_HEAD
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
        for heading in HEADINGS:
            table.add_column(heading, justify="left" if heading == "run" else "right", overflow="fold")
        for cost in self.costs:
            table.add_row(*map(Text, _cells(cost)))
        return Group(table, *(Text(note, style="dim") for note in self.notes))


def forecast(plan: Plan) -> Forecast:
    """Sizes and time of each run of a plan; nothing is downloaded, trained or logged."""
    paces: dict[str, _Pace] = {}  # of each network that differs in speed
    costs = [_cost(job.recipe, job.name if job.asked else f"{job.name} (needed)", paces) for job in plan.jobs]
    notes = [f"{name} is the same run as {first}" for name, first in plan.equal.items()]
    notes += [f"not read: {reason}" for reason in plan.refused.values()]
    absent = dict.fromkeys(job.recipe.data.place for job in plan.jobs if not source_of(job.recipe).is_here(job.recipe))
    notes += [f"the clips of '{source}' are not on this machine yet: no time is given" for source in absent]
    known = [cost.minutes for cost in costs if cost.minutes is not None]
    if known:
        total = f"{sum(known):.0f} minutes" if sum(known) >= 2 else f"{60 * sum(known):.0f} seconds"
        notes.append(f"training: estimate {total}, one run after the other, by a few steps timed on this machine now")
    return Forecast(tuple(costs), tuple(notes))


def _cost(recipe: Recipe, name: str, paces: dict[str, _Pace]) -> Cost:
    totals = profile(graph_of(recipe), recipe.target, recipe.plan, recipe.accounting).to_json()["totals"]
    clips = minutes = None
    if source_of(recipe).is_here(recipe):
        data = open_dataset(recipe)
        clips, checked = data.size("training"), data.size("validation")
        parts = (recipe.model, recipe.plan, recipe.training.batch, data.shape, data.outputs)
        if repr(parts) not in paces:
            paces[repr(parts)] = _timed(recipe, data)
        pace = paces[repr(parts)]
        minutes = recipe.training.epochs * (clips * pace.training + checked * pace.checking) / 60
    return Cost(
        name,
        to_kib(totals["flash_bytes"]),
        to_kib(totals["ram_bytes"]),
        to_millions(totals["macc"]),
        totals["fits"],
        recipe.training.epochs,
        clips,
        minutes,
    )


@dataclass(frozen=True)
class _Pace:
    """Seconds an example."""

    training: float
    checking: float


def _timed(recipe: Recipe, data: TrainingData) -> _Pace:
    import numpy as np

    model, batch = network(recipe, data), recipe.training.batch
    compile_model(model, recipe.training, data.task)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((STEPS * batch, *data.shape), np.float32)
    if data.task is Task.CLASSIFY:
        y = np.eye(len(data.labels), dtype=np.float32)[rng.integers(0, len(data.labels), len(x))]
        y = learning_of(model, data.task).targets(y)
    else:
        y = rng.standard_normal((len(x), *data.outputs), np.float32)
    seconds = []
    for work in (model.fit, model.evaluate):
        for part in (slice(0, batch), slice(None)):  # the first one builds the graph
            start = time.perf_counter()
            work(x[part], y[part], batch_size=batch, verbose=0)
            spent = time.perf_counter() - start
        seconds.append(spent / len(x))
    return _Pace(*seconds)


def _cells(cost: Cost) -> tuple[str, ...]:
    return (
        cost.name,
        f"{cost.flash_kib:.1f}",
        f"{cost.ram_kib:.1f}",
        f"{cost.macc_m:.1f}",
        "yes" if cost.fits else "NO",
        str(cost.epochs),
        "-" if cost.clips is None else str(cost.clips),
        "-" if cost.minutes is None else f"{cost.minutes:.1f}",
    )
