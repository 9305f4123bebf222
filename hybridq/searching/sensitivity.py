"""How much one layer at one precision costs: each by itself, all others as in the recipe, on the validation clips.

Every network, the recipe's own too, begins with the weights of the recipe's start and is trained on for the same few
epochs at a constant rate: what is compared is the precision alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from hybridq.data.task import CLIPS, SYNTHETIC_WARNING
from hybridq.errors import RUN_FAILED, UserError
from hybridq.formats import Format
from hybridq.profiler.render.table import Column, Line, Note, Sheet, Terminal
from hybridq.results.drawing import titled
from hybridq.results.pictures import Panel, grids
from hybridq.searching.trial_runs import run_trials
from hybridq.settings.units import format_size, to_kib
from hybridq.sweeps import Engine, in_process
from hybridq.tracking.metrics import ERRORS, SCORES, first_of
from hybridq.tracking.run_view import UNIT

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from hybridq.recipe.schema import Recipe
    from hybridq.searching.plan_space import Changes, RecipeSpace
    from hybridq.tracking import RunView, Store

SAVED = "Blues"  # in a picture; what is lost is in oranges and reds
COLUMNS = (
    Column("Layer", "name"),
    Column("Weights", "text"),
    Column("Saves"),
    Column("Cross-entropy"),
    Column("rises by"),
    Column("Accuracy %"),
    Column("falls by"),
)
WITHOUT_CLASSES = {"Cross-entropy": "Squared error", "Accuracy %": "R2 %"}  # the columns' names there


@dataclass(frozen=True)
class Score:
    """A network on the validation examples: mean cross-entropy (nats), accuracy (percent).

    Where there are no classes, the mean squared error and R2 (percent) in their place.
    """

    cross_entropy: float
    accuracy: float

    @classmethod
    def of(cls, run: RunView) -> Score:
        """What a trial has logged."""
        error, score = first_of(ERRORS, run.metrics), first_of(SCORES["validation"], run.metrics)
        assert error is not None
        assert score is not None
        return cls(error, score)


@dataclass(frozen=True)
class Change:
    """One layer made narrower: the bytes of flash that this saves, and what the network then scores."""

    layer: str
    precision: Format
    saved_bytes: int
    score: Score
    rise: float  # of the cross-entropy, against the network without the change (nats)
    drop: float  # of the accuracy (points)
    run: str


@dataclass(frozen=True)
class Sensitivity:
    """The table of all layers and precisions. `failed`: the reason why a figure is missing, by change."""

    name: str
    data: str
    synthetic: bool
    clips: int  # of validation
    epochs: int  # trained on before the measurement
    flash_bytes: int  # of the recipe's own plan
    own: dict[str, Format]  # of every layer
    score: Score
    changes: tuple[Change, ...]
    failed: dict[str, str]
    unit: str = CLIPS  # what an example is called
    has_classes: bool = True

    def named(self, columns: Sequence[Column]) -> tuple[Column, ...]:
        """These columns, called after what there is to measure."""
        if self.has_classes:
            return tuple(columns)
        return tuple(one._replace(heading=WITHOUT_CLASSES.get(one.heading, one.heading)) for one in columns)

    def of(self, layer: str) -> list[Change]:
        """The changes of a layer."""
        return [change for change in self.changes if change.layer == layer]

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self) | {"schema": 1}

    def to_rich(self) -> Terminal:
        """The table for a terminal."""
        return Terminal(self.sheet())

    def sheet(self) -> Sheet:
        """A line for each layer and precision."""
        own = self.score
        lines = []
        for layer, precision in self.own.items():
            lines.append(Line((layer, str(precision), "", "", "", "", ""), "same"))
            lines += [Line(_cells(change)) for change in self.of(layer)]
        error, score = ("cross-entropy", "accuracy") if self.has_classes else ("squared error", "R2")
        one_is = f": one of them is {100 / self.clips:.2f} points" if self.has_classes else ""
        notes = [
            Note(f"As it is: {error} {own.cross_entropy:.4f}, {score} {own.accuracy:.2f} %"),
            Note(f"Flash as it is: {format_size(self.flash_bytes)}"),
            Note(f"{self.clips:,} validation {self.unit} of {self.data}{one_is}"),
            *(Note(f"Missing: {change}: {reason}", warning=True) for change, reason in self.failed.items()),
        ]
        if self.synthetic:
            notes.append(Note(SYNTHETIC_WARNING.capitalize(), warning=True))
        many = f"{self.epochs} epoch{'s' * (self.epochs != 1)} of training" if self.epochs else "no training"
        return Sheet(f"{self.name}, one layer narrower, after {many}", self.named(COLUMNS), tuple(lines), tuple(notes))


def measure(
    store: Store, parent: str, space: RecipeSpace, epochs: int, engine: Engine = in_process, workers: int = 1
) -> Sensitivity:
    """Measure every layer at every precision that saves flash, with so many epochs each; what is there is not repeated.

    Raises UserError where the recipe as it is cannot be measured.
    """
    single: list[Changes] = [{layer: to} for layer in space.layers for to in space.narrower(layer)]
    every: list[Changes] = [{}, *(change for change in single if space.flash(change) < space.flash({}))]
    trials = run_trials(store, parent, [_tuned(space, changes, epochs) for changes in every], engine, workers)
    own = trials.runs[0]
    if own is None:
        raise UserError(f"{space.name} as it is failed: {trials.reasons[0]}", RUN_FAILED)
    score, flash = Score.of(own), space.flash({})
    changes, failed = [], {}
    for change, run, reason in list(zip(every, trials.runs, trials.reasons, strict=True))[1:]:
        ((layer, precision),) = change.items()
        if run is None:
            failed[f"{layer} {precision}"] = reason
            continue
        narrowed = Score.of(run)
        rise, drop = narrowed.cross_entropy - score.cross_entropy, score.accuracy - narrowed.accuracy
        changes.append(Change(layer, precision, flash - space.flash(change), narrowed, rise, drop, run.id))
    return Sensitivity(
        name=space.name,
        data=own.tags.get("data.name", ""),
        synthetic=own.tags.get("data.synthetic") == "true",
        clips=store.clips(own.id)["validation"],
        epochs=epochs,
        flash_bytes=flash,
        own={layer: space.own(layer) for layer in space.layers},
        score=score,
        changes=tuple(changes),
        failed=failed,
        unit=own.tags.get(UNIT, CLIPS),
        has_classes=SCORES["validation"][0] in own.metrics,
    )


def picture(table: Sensitivity) -> Figure:
    """Layers by precisions: the rise of the cross-entropy, the fall of the accuracy, the flash saved."""
    changes = {(change.layer, str(change.precision)): change for change in table.changes}
    narrowest_last = sorted({change.precision for change in table.changes}, key=lambda precision: -precision.bits)
    error, score = ("cross-entropy rises by, nats", "accuracy falls by, points")
    if not table.has_classes:
        error, score = "squared error rises by", "R2 falls by, points"
    panels = (
        Panel(error, {place: change.rise for place, change in changes.items()}, "+.3f"),
        Panel(score, {place: change.drop for place, change in changes.items()}, "+.2f"),
        Panel(
            "flash saved, KiB", {place: to_kib(change.saved_bytes) for place, change in changes.items()}, ".1f", SAVED
        ),
    )
    after = f"after {table.epochs} epoch{'s' * (table.epochs != 1)}" if table.epochs else "without training"
    title = f"{table.name}: one layer narrower, {after}; {table.clips:,} validation {table.unit}"
    return grids(panels, list(table.own), list(map(str, narrowest_last)), titled(title, table.synthetic))


def _tuned(space: RecipeSpace, changes: Changes, epochs: int) -> Recipe:
    """The recipe trained on shortly. Its moving average, over more steps than that, would lag behind."""
    what = " ".join(f"{layer} {precision}" for layer, precision in changes.items()) or "as it is"
    training = {"epochs": epochs, "schedule": "constant", "warmup_epochs": 0, "average": 0.0}
    return space.varied(changes, f"{space.name}, {what}", training)


def _cells(change: Change) -> tuple[str, ...]:
    return (
        "",
        str(change.precision),
        format_size(change.saved_bytes),
        f"{change.score.cross_entropy:.4f}",
        f"{change.rise:+.4f}",
        f"{change.score.accuracy:.2f}",
        f"{change.drop:+.2f}",
    )
