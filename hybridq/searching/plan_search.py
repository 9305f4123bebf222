"""Which layers to make how narrow: measured one by one, chosen by the table, the best of them trained and compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from hybridq.data.task import CLIPS, SYNTHETIC_WARNING
from hybridq.errors import RUN_FAILED, UserError
from hybridq.profiler.accounting import OWN
from hybridq.profiler.render.table import Column, Line, Note, Sheet, Terminal
from hybridq.profiler.render.words import BESIDES, BESIDES_WITH_FRONT_END
from hybridq.results import compare
from hybridq.results.scatter import frontier
from hybridq.runs.run_recipe import fingerprint_of
from hybridq.runs.sources import open_dataset
from hybridq.searching.plan_space import RecipeSpace, legend
from hybridq.searching.plans import Candidate, as_it_is, check, within_drop, within_flash
from hybridq.searching.sensitivity import Score, Sensitivity, measure, picture
from hybridq.searching.trial_runs import run_trials
from hybridq.searching.write_recipe import write_recipe
from hybridq.settings.units import format_size
from hybridq.sweeps import Engine, in_process, parent_run

if TYPE_CHECKING:
    from rich.console import RenderableType

    from hybridq.searching.request import Request
    from hybridq.tracking import Store

SEARCH, SENSITIVITY = "search", "sensitivity"  # tags of the runs that hold a search's trials
COLUMNS = (
    Column("Plan", "name"),
    Column("Flash"),
    Column("RAM"),
    Column("MACC"),
    Column("Fall predicted"),
    Column("Accuracy %"),
    Column("falls by"),
    Column("Cross-entropy"),
)


@dataclass(frozen=True)
class Trained:
    """A plan, and what its network scores on the validation clips after the training that the recipe asks for."""

    plan: Candidate
    score: Score
    run: str


@dataclass(frozen=True)
class PlansResult:
    """The plans that a search has trained, the recipe's own first; `best` is one of them."""

    request: Request
    drop: float | None
    run: str
    sensitivity: Sensitivity
    accounting: str
    trained: tuple[Trained, ...]
    best: Trained
    failed: dict[str, str]

    def fall(self, one: Trained) -> float:
        """Points of accuracy below the recipe's own plan."""
        return self.trained[0].score.accuracy - one.score.accuracy

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "schema": 1,
            "run": self.run,
            "sensitivity": self.sensitivity.to_json(),
            "limits": asdict(self.request.budget),
            "drop": self.drop,
            "plans": [self._plain(one) for one in self.trained],
            "best": self._plain(self.best),
            "recipe": str(self.request.out),
            "failed": self.failed,
        }

    def _plain(self, one: Trained) -> dict[str, Any]:
        totals = one.plan.profile.totals
        return {
            "code": one.plan.code,
            "changes": one.plan.changes,
            "flash_bytes": totals.flash_bytes,
            "ram_bytes": totals.ram_bytes,
            "macc": totals.macc,
            "fits": totals.fits,
            "predicted_rise": one.plan.rise,
            "predicted_drop": one.plan.drop,
            "cross_entropy": one.score.cross_entropy,
            "accuracy": one.score.accuracy,
            "drop": self.fall(one),
            "run": one.run,
        }

    def to_rich(self) -> RenderableType:
        """The sensitivities and the plans, for a terminal."""
        from rich.console import Group

        return Group(self.sensitivity.to_rich(), "", Terminal(self.sheet()))

    def sheet(self) -> Sheet:
        """A line for each plan that was trained, the best in bold, and what it is."""
        own, unit = self.trained[0], self.sensitivity.unit
        lines = tuple(
            Line(self._cells(one, own), "dominant" if one is self.best else "same" if one is own else "")
            for one in self.trained
        )
        layers = legend(self.sensitivity.own)
        flash = self.best.plan.flash_bytes
        facts = [
            f"Best: {self.best.plan.code}, written to {self.request.out}; {layers}",
            f"Flash: {format_size(flash)}, {flash:,} B, is what `hybridq profile {self.request.out}` counts",
        ]
        if self.accounting == OWN:
            what, (besides, _) = ("and front end make", BESIDES_WITH_FRONT_END) if unit == CLIPS else ("makes", BESIDES)
            facts.append(f"Estimate: code {what} an image of {format_size(flash + besides)}")
        facts.append(f"On validation {unit}; `hybridq train` of it says what the test {unit} say")
        warnings = [f"{code} failed: {reason}" for code, reason in self.failed.items()]
        if self.best is own:
            warnings.append("No narrower plan is good enough: the recipe as it is, is the best")
        if self.sensitivity.synthetic:
            warnings.append(SYNTHETIC_WARNING.capitalize())
        title = f"{self.sensitivity.name}, plans for {self.request.budget.label}"
        return Sheet(
            title,
            self.sensitivity.named(COLUMNS),
            lines,
            (*(Note(one) for one in facts), *(Note(one, True) for one in warnings)),
        )

    def _cells(self, one: Trained, own: Trained) -> tuple[str, ...]:
        totals = one.plan.profile.totals
        return (
            one.plan.code + " (as it is)" * (one is own),
            format_size(totals.flash_bytes),
            format_size(totals.ram_bytes),
            f"{totals.macc:,}",
            f"{one.plan.drop:.2f}",
            f"{one.score.accuracy:.2f}",
            f"{self.fall(one):+.2f}",
            f"{one.score.cross_entropy:.4f}",
        )


def search_plans(
    store: Store,
    request: Request,
    drop: float | None = None,
    count: int = 3,
    epochs: int = 1,
    engine: Engine = in_process,
    workers: int = 1,
) -> PlansResult:
    """Find the most accurate plan within the budget or, with `drop`, the smallest that loses at most so many points.

    `count` plans are trained, after a table of sensitivities with so many epochs for each. All searches of one recipe
    log to one run; what is there is not made again. The best is written as a recipe. Raises UserError where no plan
    is within the budget.
    """
    recipe = request.recipe
    space = RecipeSpace.of(recipe)
    check(space, request.budget)
    own = as_it_is(space, request.budget)
    key = fingerprint_of(recipe, open_dataset(recipe), SEARCH, str(epochs))
    about = "Which layers may be narrower: plans by a table of sensitivities, measured on validation data."
    name = f"search {recipe.name}"
    with parent_run(store, name, (SEARCH, key), about, resume=True, command=request.command) as run:
        about = "One layer narrower at a time: what that costs, on validation data."
        tag = (SENSITIVITY, key)
        with parent_run(store, f"sensitivity {recipe.name}", tag, about, resume=True, parent=run.id) as part:
            table = measure(store, part.id, space, epochs, engine, workers)
        run.json("sensitivity.json", table.to_json())
        run.figure(picture(table), "sensitivity")
        if drop is None:
            chosen = within_flash(space, table, request.budget, count)
        else:
            chosen = within_drop(space, table, request.budget, drop, count)
        plans = [own, *(one for one in chosen if one.code != own.code)]
        recipes = [space.varied(one.changes, f"{recipe.name} {one.code}") for one in plans]
        trials = run_trials(store, run.id, recipes, engine, workers)
        trained = [Trained(one, Score.of(view), view.id) for one, view in zip(plans, trials.runs, strict=True) if view]
        failed = {one.code: reason for one, reason in zip(plans, trials.reasons, strict=True) if reason}
        if own.code in failed:
            raise UserError(f"{recipe.name} as it is failed: {failed[own.code]}", RUN_FAILED)
        best = _best(trained, drop)
        result = PlansResult(request, drop, run.id, table, best.plan.profile.accounting, tuple(trained), best, failed)
        description = (
            f"{best.plan.code}, {format_size(best.plan.flash_bytes)}, found by a search within {request.budget.label}"
        )
        text = write_recipe(request, recipes[plans.index(best.plan)], (), description)
        run.json(f"plans/{best.plan.code}.json", result.to_json())
        run.text(f"plans/{best.plan.code}.yaml", text)
        comparison = compare.table([view for view in store.runs(sweep=run.id) if view.trial])
        run.figure(frontier(comparison, title=f"{recipe.name}: plans that were trained"), "accuracy over flash")
    return result


def _best(trained: Sequence[Trained], drop: float | None) -> Trained:
    """The most accurate plan within the budget or, with a drop that is allowed, the smallest that keeps to it."""
    within = [one for one in trained if one.plan.fits]
    if not within:
        raise UserError("all plans within the limits failed", RUN_FAILED)
    if drop is not None:
        least = trained[0].score.accuracy - drop
        good = [one for one in within if one.score.accuracy >= least]
        if good:
            return min(good, key=lambda one: (one.plan.flash_bytes, -one.score.accuracy))
    return max(within, key=lambda one: (one.score.accuracy, -one.score.cross_entropy))
