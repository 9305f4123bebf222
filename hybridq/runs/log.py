"""What a run logs: recipe and sizes before its training, its epochs, and at the end the network and what it scores."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hybridq.data.task import TrainingData, counts
from hybridq.integer.artefact import NETWORK, save_network
from hybridq.paths import scratch
from hybridq.profiler import Profile, profile
from hybridq.results import pictures
from hybridq.runs.experiment import CALIBRATION
from hybridq.runs.load_network import NETWORK_DIGEST, Trained, with_integers
from hybridq.runs.measurement import Measurement, measured, validation_metrics
from hybridq.runs.model_folder import Bundle, save_bundle, weights_digest
from hybridq.runs.sources import source_of
from hybridq.settings.units import to_kib, to_millions
from hybridq.settings.yamlfile import to_yaml
from hybridq.speech.decision import USUAL_FALSE_ACCEPTS
from hybridq.training.evaluation import Evaluation
from hybridq.training.history import Epoch, History, Watcher
from hybridq.training.tasks import validate

if TYPE_CHECKING:
    import keras

    from hybridq.recipe.schema import Recipe
    from hybridq.tracking import Run

WEIGHTS = "weights.sha256"  # tag: of the trained weights
NO_INTEGERS = "no integer network"  # tag: why a quantized network has no form in integers
log = logging.getLogger("hybridq")


def log_inputs(run: Run, recipe: Recipe, data: TrainingData) -> None:
    """The recipe and the data, before the training."""
    run.text("recipe.yaml", to_yaml(recipe.resolved()))
    run.dataset(
        data.name,
        data.digest,
        data.place,
        words=data.labels,
        synthetic=data.synthetic,
        clips=counts(data),
        unit=data.unit,
    )


def sizes(cost: Profile) -> dict[str, float]:
    """What is known before training; logged first, for MLflow's compare page shows first what was logged first."""
    report = cost.to_json()
    totals, target = report["totals"], report["target"]
    return {
        "flash KiB": to_kib(totals["flash_bytes"]),
        "flash as published KiB": to_kib(totals["published_rule_bytes"]),
        "RAM KiB": to_kib(totals["ram_bytes"]),
        "MACC M": to_millions(totals["macc"]),
        "flash share %": 100 * totals["flash_bytes"] / target["flash_bytes"],
        "RAM share %": 100 * totals["ram_bytes"] / target["ram_bytes"],
        **({} if totals["fits"] is None else {"fits": float(totals["fits"])}),
    }


@dataclass(frozen=True)
class EpochLog:
    """Passes what it is told on to another watcher, and each epoch to the run, which notes no epoch twice."""

    other: Watcher
    run: Run

    def begin(self, epochs: Sequence[Epoch]) -> None:
        """The epochs that a checkpoint brings along, before the first new one."""
        for epoch in epochs:  # its process may have been killed between the checkpoint and the store
            self._log(epoch)
        self.other.begin(epochs)

    def batch(self, epoch: int, share: float) -> None:
        """How far an epoch has come (share of its batches)."""
        self.other.batch(epoch, share)

    def epoch(self, epoch: Epoch) -> None:
        """An epoch that has ended."""
        self._log(epoch)
        self.other.epoch(epoch)

    def _log(self, epoch: Epoch) -> None:
        self.run.metrics(
            {
                name: value
                for name, value in {
                    "training accuracy %": epoch.training_accuracy,
                    "training loss": epoch.training_loss,
                    "validation accuracy %": epoch.validation_accuracy,
                    "validation loss": epoch.validation_loss,
                    "learning rate": epoch.learning_rate,
                }.items()
                if value is not None
            }
            | ({"pruned %": 100 * epoch.sparsity} if epoch.sparsity else {}),
            step=epoch.epoch,
        )


def log_result(
    run: Run, recipe: Recipe, data: TrainingData, model: keras.Model, history: History, cost: Profile
) -> None:
    """The trained network, what it scores, the pictures."""
    run.tags({WEIGHTS: weights_digest(model)})
    with bundled(recipe, data, model) as bundle:
        run.artifact(bundle.folder)
        trained = with_integers(bundle, run.name, lambda: data.calibration(CALIBRATION))
        _log_integers(run, trained, bundle.folder.parent)
        tested = _measured(trained, data, "test")
        validated = _measured(trained, data, "validation") if tested.decisions else None
    if recipe.training.prune.sparsity and trained.integers:  # now it is known which weights an image leaves out
        cost = profile(model, recipe.target, recipe.plan, recipe.accounting, trained.integers)
        run.metrics(sizes(cost))
    result = tested.result
    run.json("evaluation.json", tested.to_json())
    run.json("profile.json", cost.to_json())
    synthetic = data.synthetic
    if isinstance(result, Evaluation) and len(data.labels) <= pictures.MOST_CLASSES:
        picture = pictures.confusion(result.confusion, data.labels, data.unit, title=run.name, synthetic=synthetic)
        run.figure(picture, "confusion matrix")
    run.figure(pictures.learning_curves(history.epochs, title=run.name, synthetic=synthetic), "learning curves")
    run.figure(pictures.flash_by_layer(cost.to_json(), title=run.name, synthetic=synthetic), "flash by layer")
    if tested.decisions and validated and validated.decisions:
        splits = {"test": tested.decisions, "validation": validated.decisions}
        decisions = {split: decided.to_json(tested.threshold) for split, decided in splits.items()}
        picture = pictures.decision_curves(decisions, title=run.name, synthetic=synthetic)
        run.figure(picture, "false accepts over false rejects")
        run.json("validation decision.json", decisions["validation"])
        at = validated.decisions.threshold_at(USUAL_FALSE_ACCEPTS)
        run.metrics({} if at is None else {"validation threshold": at})
    run.metrics(tested.metrics() | _validated(model, data) | {"training minutes": history.minutes})


def log_trial(run: Run, data: TrainingData, model: keras.Model, history: History, cost: Profile) -> None:
    """What a trial keeps: no network, and figures of the validation examples alone."""
    run.metrics(_validated(model, data) | {"training minutes": history.minutes})
    run.json("profile.json", cost.to_json())


@contextmanager
def bundled(recipe: Recipe, data: TrainingData, model: keras.Model) -> Iterator[Bundle]:
    """The trained network as a folder, for as long as it takes to log it."""
    with scratch() as place:
        travels = source_of(recipe).travels(data)
        yield save_bundle(place / "model", model, data.labels, recipe=recipe.resolved(), **travels)


def _validated(model: keras.Model, data: TrainingData) -> dict[str, float]:
    """What the weights that are kept score on the validation examples."""
    return validation_metrics(data.task, validate(model, data))


def _measured(trained: Trained, data: TrainingData, split: str) -> Measurement:
    return measured(trained, *data.inputs(split), data.labels, *data.annotations(split))


def _log_integers(run: Run, trained: Trained, scratch: Path) -> None:
    """The integer network of a quantized one, or why there is none."""
    if trained.integers:
        run.tags({NETWORK_DIGEST: save_network(trained.integers, scratch / NETWORK)})
        run.artifact(scratch / NETWORK)
    elif trained.lacking:
        log.info("%s: there is no integer network: %s", run.name, trained.lacking)
        run.tags({NO_INTEGERS: trained.lacking})
