"""Sizes and training values: Optuna proposes them, the profiler drops what is too large, the rest is trained.

Two things are sought at once, accuracy on the validation clips and little flash, so there is no single best trial but
a Pareto front. (Optuna prunes trainings for one objective alone; `--epochs` keeps them short.)
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hybridq.errors import RUN_FAILED, UserError
from hybridq.profiler import profile
from hybridq.profiler.render.words import verdict
from hybridq.recipe.file import load_recipe
from hybridq.results import compare
from hybridq.results.comparison import Comparison
from hybridq.results.scatter import frontier
from hybridq.runs.experiment import graph_of
from hybridq.runs.run_recipe import fingerprint_of
from hybridq.runs.sources import open_dataset
from hybridq.searching.axes import Axis, axes_of, settings_of
from hybridq.searching.studies import open_study
from hybridq.searching.trial_runs import run_trials
from hybridq.searching.write_recipe import write_recipe
from hybridq.sweeps import parent_run
from hybridq.tracking.metrics import SCORES, first_of

if TYPE_CHECKING:
    from rich.console import RenderableType

    from hybridq.recipe.schema import Recipe
    from hybridq.searching.request import Request
    from hybridq.settings.tree import Override
    from hybridq.tracking import Run, RunView, Store

TRIALS = "trials"  # tag of the run that holds them
MOST_DROPPED = 500  # proposals in a row that do not fit
SCORED = dict(zip(SCORES["validation"], ("{:.1f} % of the validation data", "validation R2 {:.1f} %"), strict=True))
RUN, BEYOND = "run", "beyond the limits"  # attributes of a trial: the id of its run, or why it has none


@dataclass(frozen=True)
class TrialsResult:
    """What came of the trials: the rows of those that were trained, the most accurate one, how many were too large."""

    run: str
    comparison: Comparison
    best: str  # name of the row
    out: Path
    dropped: int
    failed: dict[str, str]

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return self.comparison.to_json() | {
            "run": self.run,
            "best": self.best,
            "front": [row.network for row in self.comparison.front],
            "dropped": self.dropped,
            "failed": self.failed,
            "recipe": str(self.out),
        }

    def to_rich(self) -> RenderableType:
        """The table of the trials, the front and the best."""
        from rich.console import Group
        from rich.text import Text

        lines = [
            f"On the front: {'; '.join(row.network for row in self.comparison.front)}",
            f"Most accurate: {self.best}, written to {self.out}",
            f"Not trained, beyond the limits: {self.dropped}",
            *(f"{name} failed: {reason}" for name, reason in self.failed.items()),
        ]
        return Group(self.comparison.to_rich(), *map(Text, lines))


def search_values(store: Store, request: Request, trials: int, epochs: int | None = None) -> TrialsResult:
    """Try values of the keys in the recipe's `search` section, and write the most accurate trial as a recipe.

    `trials` are trained, those of earlier sittings included, each for at most so many epochs. The study is kept beside
    the runs: the same request goes on where it was stopped. Raises UserError for a recipe without that section, and
    where nothing is within the budget or all trials fail.
    """
    recipe = request.recipe
    if recipe.variants:
        raise UserError(f"{recipe.path} has a sweep section: a search is for a recipe of one run")
    axes = axes_of(recipe)
    key = _key(request, epochs)
    about = f"Trials of {', '.join(axis.key for axis in axes)}, measured on validation data."
    with parent_run(store, f"search {recipe.name}", (TRIALS, key), about, resume=True, command=request.command) as run:
        study = _Study(store, run, request, axes, epochs, key)
        study.take_up()
        while len(study.ended) < trials:
            study.step()
        return study.result()


def _key(request: Request, epochs: int | None) -> str:
    """What decides the trials, but for their number."""
    recipe, budget = request.recipe, request.budget
    limits = [budget.flash_bytes, budget.ram_bytes, budget.memory_bytes, budget.operations, epochs]
    axes = {key: axis.model_dump() for key, axis in (recipe.search or {}).items()}
    deciding = [fingerprint_of(recipe, open_dataset(recipe)), recipe.accounting, limits, axes]
    return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()


class _Study:
    """Optuna's study of one search, and the runs of its trials."""

    def __init__(
        self, store: Store, run: Run, request: Request, axes: Sequence[Axis], epochs: int | None, key: str
    ) -> None:
        self.store, self.run, self.request, self.axes, self.epochs = store, run, request, axes, epochs
        self.failed: dict[str, str] = {}
        directions = ["maximize", "minimize"]  # accuracy, flash
        self.study = open_study(store, f"{request.recipe.name} {key[:8]}", directions=directions)

    @property
    def ended(self) -> list[Any]:
        """The trials that were trained, whatever came of it."""
        from optuna.trial import TrialState

        return list(self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.FAIL)))

    def take_up(self) -> None:
        """Put the proposals of a killed process back, to be made first."""
        from optuna.trial import TrialState

        for left in self.study.get_trials(states=(TrialState.RUNNING,)):
            self.study.tell(left.number, state=TrialState.PRUNED)
            self.study.enqueue_trial(left.params)

    def step(self) -> None:
        """One proposal: dropped, or trained and measured."""
        from optuna.trial import TrialState

        trial = self._proposed()
        recipe = self._recipe(trial)
        trials = run_trials(self.store, self.run.id, [recipe])
        view = trials.runs[0]
        if view is None:
            self.failed[recipe.name] = trials.reasons[0]
            self.study.tell(trial, state=TrialState.FAIL)
            return
        trial.set_user_attr(RUN, view.id)
        self.study.tell(trial, [first_of(SCORES["validation"], view.metrics), view.metrics["flash KiB"]])

    def result(self) -> TrialsResult:
        """The table, the picture, and the best as a recipe."""
        from optuna.trial import FixedTrial, TrialState

        done = self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if not done:
            raise UserError(f"all trials failed: {next(iter(self.failed.values()), 'see their runs')}", RUN_FAILED)
        views = self.store.runs(ids_or_names=list(dict.fromkeys(trial.user_attrs[RUN] for trial in done)))
        comparison = compare.table(views, sort=f"-{self._score(views)}", each=True)
        self.run.figure(frontier(comparison, title=f"{self.request.recipe.name}: trials"), "accuracy over flash")
        best = max(done, key=lambda trial: (trial.values[0], -trial.values[1], -trial.number))
        fixed = FixedTrial(best.params)
        out, (accuracy, kib) = self.request.out, best.values
        what = SCORED[self._score(views)].format(accuracy)
        description = f"the most accurate trial of a search: {what}, {kib:.1f} KiB of flash"
        text = write_recipe(self.request, self._recipe(fixed), self._settings(fixed), description)
        self.run.text(out.name, text)
        dropped = sum(BEYOND in trial.user_attrs for trial in self.study.trials)
        name = next(view.name for view in views if view.id == best.user_attrs[RUN])
        result = TrialsResult(self.run.id, comparison, name, out, dropped, self.failed)
        self.run.json("trials.json", result.to_json())
        return result

    def _score(self, views: Sequence[RunView]) -> str:
        """The metric by which these trials are compared."""
        return next(name for name in SCORES["validation"] if name in views[0].metrics)

    def _proposed(self) -> Any:
        """The next proposal that is within the limits."""
        import optuna

        for _ in range(MOST_DROPPED):
            # By the number of the trial: a search that was interrupted goes on as if it had not been.
            entropy = np.random.SeedSequence((self.request.recipe.training.seed, len(self.study.trials)))
            self.study.sampler = optuna.samplers.TPESampler(seed=int(entropy.generate_state(1)[0]))
            trial = self.study.ask()
            reason = self._beyond(self._recipe(trial))
            if not reason:
                return trial
            trial.set_user_attr(BEYOND, reason)
            self.study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        raise UserError(f"none of {MOST_DROPPED} proposals is within the limits; the last: {reason}")

    def _recipe(self, trial: Any) -> Recipe:
        """The recipe that a trial stands for; UserError, naming the axis with its line, for a value it cannot have."""
        request = self.request
        recipe = load_recipe(request.recipe.path, request.overrides, self._settings(trial))
        return recipe if self.epochs is None else recipe.brief(self.epochs)

    def _settings(self, trial: Any) -> list[Override]:
        return settings_of(self.axes, trial, self.request.recipe.name)

    def _beyond(self, recipe: Recipe) -> str:
        """Why a network need not be trained: a limit that it breaks, or maps that shrink to nothing; else ""."""
        try:
            report = profile(graph_of(recipe), self.request.budget, recipe.plan, recipe.accounting)
        except UserError as error:
            return str(error)
        return verdict(report).text if report.exceeded else ""
