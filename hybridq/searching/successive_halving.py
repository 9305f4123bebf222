"""Networks of a space, within the limits of a class: all trained short, the best of them on, the best of these fully.

That is successive halving, by Optuna's pruner, which is asked when a training has come to a ninth and to a third of its
epochs: it goes on where it is among the best third of those that came so far. The pruner asks of each as it
comes, so the first ones go on more easily. A network keeps its trial, its run and its checkpoint from rung to rung.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from hybridq.errors import RUN_FAILED, UserError
from hybridq.recipe.file import load_recipe
from hybridq.runs.run_recipe import fingerprint_of
from hybridq.runs.sources import open_dataset
from hybridq.searching.halving_result import HalvingResult, Trained, over_size
from hybridq.searching.networks import FAMILIES, FEATURES, Network, Sample, sample
from hybridq.searching.studies import open_study, trial_at
from hybridq.searching.trial_runs import run_trials
from hybridq.searching.write_recipe import write_recipe
from hybridq.settings.tree import Override, node_of
from hybridq.settings.yamlfile import parse_override
from hybridq.sweeps import in_process, parent_run
from hybridq.tracking.metrics import SCORES, first_of

if TYPE_CHECKING:
    from hybridq.data.task import TrainingData
    from hybridq.recipe.schema import Recipe
    from hybridq.searching.request import Request
    from hybridq.tracking import Run, Store
    from hybridq.training.history import Epoch

HALVING = "halving"  # tag of the run that holds the trials
FACTOR = 3  # one of so many goes on
RUN, STOPPED, FAILED = "run", "stopped", "failed"  # attributes of a trial: its run, the epoch it was stopped at, why
log = logging.getLogger("hybridq")


def search_space(
    store: Store, request: Request, families: Sequence[str], count: int, epochs: int | None = None
) -> HalvingResult:
    """Train `count` networks of these families within the request's limits by successive halving; write the best.

    The recipe gives the data and the training, of at most so many epochs. The study is kept beside the runs: the same
    request goes on where it was stopped, also with a larger count. Raises UserError for a recipe that is not of one
    float network, where nothing is within the limits, and where all trainings fail.
    """
    recipe = request.recipe if epochs is None else request.recipe.brief(epochs)
    _check(request)
    data = open_dataset(recipe)
    drawn = sample(families, recipe.features, len(data.labels), request.budget, count, recipe.training.seed)
    log.info("%s", drawn.summary())
    recipes = [_recipe(request, network, epochs) for network in drawn.networks]
    key = _key(request, recipe, data, families)
    about = f"Networks of {', '.join(families)} within {request.budget.label}, measured on validation clips."
    name = f"search {request.budget.label}"
    with parent_run(store, name, (HALVING, key), about, resume=True, command=request.command) as run:
        study = _Study(store, run.id, key, request.recipe.name, recipe.training.epochs)
        for number, one in enumerate(recipes):
            study.train(number, one)
        return _written(run, request, drawn, recipes, study)


def rungs_of(epochs: int) -> tuple[int, ...]:
    """After how many epochs a training may be stopped: a ninth of all, and a third, as whole numbers."""
    first = max(1, epochs // FACTOR**2)
    return tuple(rung for rung in (first, FACTOR * first) if rung < epochs)


class _Study:
    """Optuna's study of one search: the trial of each number is that of the network of that number."""

    def __init__(self, store: Store, run: str, key: str, name: str, epochs: int) -> None:
        import optuna

        self.store, self.run, self.key = store, run, key
        self.epochs, self.rungs = epochs, rungs_of(epochs)
        pruner = optuna.pruners.SuccessiveHalvingPruner(max(1, epochs // FACTOR**2), FACTOR)
        sampler = optuna.samplers.RandomSampler(0)  # it has nothing to propose: the networks are drawn already
        options = {"direction": "maximize", "pruner": pruner, "sampler": sampler}
        self.study = open_study(store, f"{name} halving {key[:8]}", **options)

    def train(self, number: int, recipe: Recipe) -> None:
        """Train a network as far as it deserves, unless that was done; what its process has left goes on."""
        from optuna.trial import TrialState

        known = self.study.get_trials(deepcopy=False)
        if number < len(known) and known[number].state.is_finished():
            return
        trial = trial_at(self.store, self.study, number) if number < len(known) else self.study.ask()
        stopper = _Stopper(self.key, trial, self.rungs)
        trials = run_trials(self.store, self.run, [recipe], partial(in_process, stopper=stopper))
        view = trials.runs[0]
        if view is None:
            trial.set_user_attr(FAILED, trials.reasons[0])
            self.study.tell(trial, state=TrialState.FAIL)
            return
        trial.set_user_attr(RUN, view.id)
        if STOPPED in trial.user_attrs:
            self.study.tell(trial, state=TrialState.PRUNED)
        else:
            self.study.tell(trial, first_of(SCORES["validation"], view.metrics))

    def trained(self, networks: Sequence[Network]) -> tuple[list[Trained], dict[str, str]]:
        """What the networks have reached; those that failed, with the reason."""
        from optuna.trial import TrialState

        trained, failed = [], {}
        for trial, network in zip(self.study.get_trials(deepcopy=False), networks, strict=False):
            if trial.state is TrialState.FAIL:
                failed[network.name] = trial.user_attrs[FAILED]
                continue
            stopped, reached = STOPPED in trial.user_attrs, dict(trial.intermediate_values)
            if not stopped:
                reached[self.epochs] = trial.value
            trained.append(Trained(network, reached, trial.user_attrs[RUN], stopped))
        return trained, failed


class _Stopper:
    """Tells the pruner what a training has reached at each rung, and ends it there on the pruner's word."""

    def __init__(self, key: str, trial: Any, rungs: tuple[int, ...]) -> None:
        self.key, self.trial, self.rungs = key, trial, rungs

    def should_stop(self, epochs: Sequence[Epoch], latest: Callable[[], float]) -> bool:
        """Whether to stop after these epochs: the best accuracy so far counts, of averaged weights or of the latest."""
        if STOPPED in self.trial.user_attrs:  # the process ended between that word and the end of the run
            return True
        done = len(epochs)
        if done not in self.rungs:
            return False
        self.trial.report(max(latest(), *(epoch.validation_accuracy or 0.0 for epoch in epochs)), done)
        if not self.trial.should_prune():
            return False
        self.trial.set_user_attr(STOPPED, done)
        return True


def _check(request: Request) -> None:
    recipe = request.recipe
    if recipe.own_data:
        raise UserError(f"{recipe.path}: the networks of --space hear sound; this recipe's data is no sound")
    if recipe.variants:
        raise UserError(f"{recipe.path} has a sweep section: a search is for a recipe of one run")
    if recipe.references or recipe.precision:
        raise UserError(f"{recipe.path}: a space is searched in float: no start_from, teacher or precision")
    drawn = {("features", key) for key in ("window", "hop", "transform", "coefficients", "frames")}
    for text in request.overrides:
        key = parse_override(text).key
        if key in (("features",), ("model",), *drawn) or (key[0] == "model" and key != ("model", "dropout")):
            raise UserError(f"--set {'.'.join(key)}: the space sets it")


def _recipe(request: Request, network: Network, epochs: int | None) -> Recipe:
    recipe = load_recipe(request.recipe.path, request.overrides, _settings(request, network))
    return recipe if epochs is None else recipe.brief(epochs)


def _settings(request: Request, network: Network) -> list[Override]:
    """What makes the network of the recipe: the base's published figures are not its own."""
    model = {key: list(value) if isinstance(value, tuple) else value for key, value in network.model.items()}
    values = {"name": network.name, "features": network.features, "model": model, "published": None}
    values["target"] = request.budget.name
    return [Override((key,), node_of(value, "the space")) for key, value in values.items()]


def _key(request: Request, recipe: Recipe, data: TrainingData, families: Sequence[str]) -> str:
    """What decides the trials, but for their number."""
    budget = request.budget
    limits = [budget.flash_bytes, budget.ram_bytes, budget.block_bytes, budget.memory_bytes, budget.operations]
    space = [repr(FEATURES), *(repr(FAMILIES[family]) for family in families)]
    deciding = [fingerprint_of(recipe, data), limits, list(families), space]
    return hashlib.sha256(json.dumps(deciding).encode()).hexdigest()


def _written(run: Run, request: Request, drawn: Sample, recipes: Sequence[Recipe], study: _Study) -> HalvingResult:
    """The tables, the picture, and the best as a recipe."""
    trained, failed = study.trained(drawn.networks)
    full = [one for one in trained if not one.stopped]
    if not full:
        raise UserError(f"all trainings failed: {next(iter(failed.values()), 'see their runs')}", RUN_FAILED)
    best = max(full, key=lambda one: (one.accuracy, -one.network.size.memory_bytes))
    size = best.network.size
    description = (
        f"{best.network.name}: {best.accuracy:.1f} % of the validation clips, {size.memory_bytes / 1e3:.1f} KB and "
        f"{size.operations / 1e6:.2f} M operations in 8 bits, found by a search within {request.budget.label}"
    )
    recipe = recipes[drawn.networks.index(best.network)]
    run.text(request.out.name, write_recipe(request, recipe, _settings(request, best.network), description))
    data = open_dataset(recipe)
    clips = f"{data.size('validation'):,} validation {data.unit} of {data.name}"
    result = HalvingResult(request, run.id, drawn, tuple(trained), best, failed, clips, data.synthetic)
    run.figure(over_size(result), "accuracy over size")
    run.json("halving.json", result.to_json())
    return result
