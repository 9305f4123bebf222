"""One recipe becomes one tracked run: trained, evaluated, profiled, logged.

It may be killed at any moment. What is on the disk is then the checkpoint of the last whole epoch and, in the store, a
run that is not FINISHED; a laboratory that resumes goes on with both. A run is FINISHED only when all of it is logged.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from hybridq import pictures
from hybridq.backend import keras_backend, threads
from hybridq.bundle import Bundle, load_bundle, save_bundle, weights_digest
from hybridq.dataset import Dataset
from hybridq.decision import USUAL_FALSE_ACCEPTS
from hybridq.deploy.artefact import save_network
from hybridq.deploy.convert import settle
from hybridq.errors import RUN_FAILED, UserError
from hybridq.experiment import network, network_from, open_dataset, open_voices, run_name
from hybridq.measurement import Measurement, measured
from hybridq.paths import locked
from hybridq.profiler import Profile, profile
from hybridq.quantize import is_grid
from hybridq.tracking import TRIAL
from hybridq.trained import NETWORK, NETWORK_DIGEST, Trained, with_integers
from hybridq.training import Epoch, History, Judge, Watcher, best_weights, train, validate
from hybridq.yamlfile import to_yaml

if TYPE_CHECKING:
    import keras

    from hybridq.recipe import Recipe
    from hybridq.tracking import Run, RunView, Store

KIB = 1024
CHECKPOINT = "checkpoint.npz"
FINGERPRINT = "fingerprint"  # tag: what decides the result of a run, so that an equal run need not be trained again
WEIGHTS = "weights.sha256"  # tag: of the trained weights
THREADS = "threads"  # tag: TensorFlow's, which decide the last digits
BACKEND = "backend"  # tag: of Keras
STOPPED = "stopped"  # tag: the epochs of a trial that its judge has ended early
REPRODUCES = "reproduces"  # tag: id of the run that this one repeats
NO_INTEGERS = "no integer network"  # tag: why a quantized network has no form in integers
log = logging.getLogger("hybridq")


@dataclass
class Laboratory:
    """Where runs are made: the store that keeps them, who watches, and what has been trained already.

    `resume` goes on with interrupted runs from their checkpoints, and takes a finished run of the same fingerprint as
    it is. `reproduces` is the id of a run to be made again: what is trained is then a run of its own, whatever equal
    ones there are. A `trial` is measured on the validation clips alone and keeps no network; it only equals trials.
    A `judge` may end the training of one early; it then only equals those under the same judge.
    """

    store: Store
    watch: Callable[[Recipe, Dataset], Watcher]
    sweep: str | None = None
    resume: bool = False
    done: dict[str, str] = field(default_factory=dict)  # fingerprint -> run id
    reproduces: str | None = None
    trial: bool = False
    judge: Judge | None = None

    def run(self, recipe: Recipe) -> str:
        """Train, evaluate and profile one recipe, after those that it starts from or is taught by; returns the run id.

        Raises UserError; the run is then in the store, marked as failed, with the reason.
        """
        data = open_dataset(recipe)
        apart = [self.reproduces] if self.reproduces else []
        apart += [TRIAL] * self.trial + ([self.judge.key] if self.judge else [])
        fingerprint = fingerprint_of(recipe, data, *apart)
        known = self._finished(fingerprint, anew=not self.resume)
        if not known:
            parent = self._needed(recipe.parent, data) if recipe.parent else None
            tutors = [self._needed(tutor, data) for tutor in recipe.tutors]
            folder = (self.store.root or Path("mlruns")) / "checkpoints" / fingerprint[:16]
            taken = f"{run_name(recipe)}: another process trains the same; waiting for it"
            with locked(folder.with_suffix(".lock"), lambda: log.warning(taken)):
                known = self._finished(fingerprint, anew=not self.resume)
                known = known or self._made(recipe, data, fingerprint, parent, tutors, folder)
        else:
            log.info("%s: trained already, run %s", run_name(recipe), known[:8])
        self.done[fingerprint] = known
        return known

    def _made(
        self, recipe: Recipe, data: Dataset, fingerprint: str, parent: str | None, tutors: list[str], folder: Path
    ) -> str:
        with self._start(recipe, data, fingerprint, parent, tutors, folder) as run, _explained(recipe):
            self._log_inputs(run, recipe, data)
            start = self._network_of(parent) if parent else None
            model = network_from(start, recipe, data) if start else network(recipe, len(data.words))
            run.tags({BACKEND: keras_backend()})
            cost = profile(model, recipe.target, recipe.plan, recipe.accounting)
            run.metrics(_sizes(cost))
            teachers = [self._network_of(tutor) for tutor in tutors]
            watcher = _Logging(self.watch(recipe, data), run)
            try:
                file = folder / CHECKPOINT
                history = train(model, data, recipe.training, file, watcher, self.resume, teachers, self.judge)
            except KeyboardInterrupt:
                if not self.trial and best_weights(folder / CHECKPOINT, model):
                    with _bundled(recipe, data, model) as bundle:
                        run.artifact(bundle.folder)
                raise
            if any(map(is_grid, model.layers)):
                _settled(model)
            if (count := len(history.epochs)) < recipe.training.epochs:
                run.tags({STOPPED: f"after {count} of {recipe.training.epochs} epochs"})
            if self.trial:
                run.metrics(_validated(model, data) | {"training minutes": history.minutes})
                run.json("profile.json", cost.to_json())
            else:
                self._log_result(run, recipe, data, model, history, cost)
        shutil.rmtree(folder, ignore_errors=True)
        return run.id

    def _needed(self, recipe: Recipe, data: Dataset) -> str:
        """The id of the finished run of a recipe that another one needs; trained now if there is none."""
        return self._finished(fingerprint_of(recipe, data), anew=False) or replace(self, trial=False, judge=None).run(
            recipe
        )

    def _network_of(self, run: str) -> keras.Model:
        return load_bundle(self.store.download(run, "model")).model

    def _finished(self, fingerprint: str, anew: bool) -> str | None:
        if fingerprint in self.done or anew:
            return self.done.get(fingerprint)
        found = [run for run in self._equal(fingerprint) if run.status == "FINISHED"]
        return found[-1].id if found else None

    def _equal(self, fingerprint: str) -> list[RunView]:
        return [run for run in self.store.runs() if run.tags.get(FINGERPRINT) == fingerprint]

    def _start(
        self, recipe: Recipe, data: Dataset, fingerprint: str, parent: str | None, tutors: list[str], folder: Path
    ) -> Run:
        """The run to log to: one that was interrupted, where there is one to go on with; else a new one."""
        if self.resume:
            left = [run for run in self._equal(fingerprint) if run.status != "FINISHED" and self._may_take(run)]
            if left and (folder / CHECKPOINT).exists():
                return self.store.resume_run(left[-1].id)
            fresh = [run for run in left if "training loss" not in run.metrics]
            if fresh:
                return self.store.resume_run(fresh[-1].id)
        shutil.rmtree(folder, ignore_errors=True)
        tags = {
            FINGERPRINT: fingerprint,
            THREADS: str(threads()),
            "recipe": recipe.name,
            "description": recipe.description or "",
            "data.synthetic": "true" if data.audio.synthetic else "false",
            "training.synthetic": "true" if recipe.hears_voices else "false",
        }
        if self.trial:
            tags[TRIAL] = "true"
        elif recipe.published:
            published = recipe.published.model_dump(exclude_none=True)
            tags |= {f"published.{key}": str(value) for key, value in published.items()}
        if parent:
            tags["started from"] = parent
        if tutors:
            tags["taught by"] = ", ".join(tutors)
        if recipe.training.synthetic_voices:
            tags["training.synthetic.digest"] = open_voices(recipe, data.words).digest
        if self.reproduces:
            tags[REPRODUCES] = self.reproduces
        return self.store.start_run(run_name(recipe), params=recipe.flat(), tags=tags, parent=self.sweep)

    def _may_take(self, run: RunView) -> bool:
        """Whether an unfinished run may be gone on with: nobody else is at it, or it is this sweep's to give away."""
        ours = self.sweep is not None and run.parent == self.sweep
        return ours or run.status != "RUNNING" or self.store.abandoned(run)

    def _log_inputs(self, run: Run, recipe: Recipe, data: Dataset) -> None:
        run.text("recipe.yaml", to_yaml(recipe.resolved()))
        run.dataset(
            data.audio.name,
            data.digest,
            str(data.audio.root),
            words=data.words,
            synthetic=data.audio.synthetic,
            clips={split: len(data.split(split)) for split in ("training", "validation", "test")},
        )

    def _log_result(
        self, run: Run, recipe: Recipe, data: Dataset, model: keras.Model, history: History, cost: Profile
    ) -> None:
        run.tags({WEIGHTS: weights_digest(model)})
        with _bundled(recipe, data, model) as bundle:
            run.artifact(bundle.folder)
            trained = with_integers(bundle, run.name, lambda: data)
            _log_integers(run, trained, bundle.folder.parent)
            found = _measured(trained, data, "test")
            checked = _measured(trained, data, "validation") if found.decisions else None
        result = found.result
        run.json("evaluation.json", found.to_json())
        run.json("profile.json", cost.to_json())
        synthetic = data.audio.synthetic
        run.figure(
            pictures.confusion(result.confusion, data.words, title=run.name, synthetic=synthetic),
            "confusion matrix",
        )
        run.figure(pictures.learning_curves(history.epochs, title=run.name, synthetic=synthetic), "learning curves")
        run.figure(pictures.flash_by_layer(cost.to_json(), title=run.name, synthetic=synthetic), "flash by layer")
        if found.decisions and checked and checked.decisions:
            curves = {"test": found.decisions, "validation": checked.decisions}
            picture = pictures.decision_curves(curves, found.threshold, title=run.name, synthetic=synthetic)
            run.figure(picture, "false accepts over false rejects")
            run.json("validation decision.json", checked.decisions.to_json(found.threshold))
            at = checked.decisions.threshold_at(USUAL_FALSE_ACCEPTS)
            run.metrics({} if at is None else {"validation threshold": at})
        run.metrics(found.metrics() | _validated(model, data) | {"training minutes": history.minutes})


@dataclass(frozen=True)
class _Logging:
    """Passes what it is told on to another watcher, and each epoch to the run, which notes no epoch twice."""

    other: Watcher
    run: Run

    def begin(self, epochs: Sequence[Epoch]) -> None:
        for epoch in epochs:  # its process may have been killed between the checkpoint and the store
            self._log(epoch)
        self.other.begin(epochs)

    def batch(self, epoch: int, share: float, accuracy: float) -> None:
        self.other.batch(epoch, share, accuracy)

    def epoch(self, epoch: Epoch) -> None:
        self._log(epoch)
        self.other.epoch(epoch)

    def _log(self, epoch: Epoch) -> None:
        self.run.metrics(
            {
                "training accuracy %": epoch.training_accuracy,
                "training loss": epoch.training_loss,
                "validation accuracy %": epoch.validation_accuracy,
                "validation loss": epoch.validation_loss,
                "learning rate": epoch.learning_rate,
            }
            | ({"pruned %": 100 * epoch.sparsity} if epoch.sparsity else {}),
            step=epoch.epoch,
        )


@contextmanager
def _explained(recipe: Recipe) -> Iterator[None]:
    """Turns a lack of memory into a UserError that says what to do."""
    try:
        yield
    except Exception as error:
        if not isinstance(error, MemoryError) and type(error).__name__ != "ResourceExhaustedError":
            raise
        raise UserError(f"out of memory; try a training.batch below {recipe.training.batch}", RUN_FAILED) from error


def _settled(model: keras.Model) -> None:
    """Biases as the integer network has them, so that what is measured is what the device computes."""
    with suppress(UserError):  # a plan may put some tensors on grids and others not: no integer network
        settle(model)


def _validated(model: keras.Model, data: Dataset) -> dict[str, float]:
    """What the weights that are kept score on the validation clips."""
    found = validate(model, data)
    return {
        "validation accuracy best %": 100 * found["accuracy"],
        "validation cross-entropy": found["cross_entropy"],
    }


@contextmanager
def _bundled(recipe: Recipe, data: Dataset, model: keras.Model) -> Iterator[Bundle]:
    """The trained network as a folder, for as long as it takes to log it."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "model"
        yield save_bundle(
            folder, model, data.words, data.front_end, data.normalisation, recipe.resolved(), data.unknown_words
        )


def _measured(trained: Trained, data: Dataset, split: str) -> Measurement:
    clips = data.split(split)
    return measured(trained, *data.inputs(split), data.words, clips.said, clips.notes)


def _log_integers(run: Run, trained: Trained, scratch: Path) -> None:
    """The integer network of a quantized one, or why there is none."""
    if trained.integers:
        run.tags({NETWORK_DIGEST: save_network(trained.integers, scratch / NETWORK)})
        run.artifact(scratch / NETWORK)
    elif trained.lacking:
        log.info("%s: there is no integer network: %s", run.name, trained.lacking)
        run.tags({NO_INTEGERS: trained.lacking})


def fingerprint_of(recipe: Recipe, data: Dataset, *further: str) -> str:
    """SHA-256 (hex) of all that decides the result of a run: the recipe, the content of the data set, its words.

    `further` is what tells a run from others of the same recipe.
    """
    parts = [recipe.digest(), data.digest, list(data.words), *further]
    if recipe.training.synthetic_voices:
        parts.append(open_voices(recipe, data.words).digest)
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _sizes(cost: Profile) -> dict[str, float]:
    """What is known before training; logged first, for MLflow's compare page shows first what was logged first."""
    found = cost.to_json()
    totals, target = found["totals"], found["target"]
    return {
        "flash KiB": totals["flash_bytes"] / KIB,
        "flash as published KiB": totals["published_rule_bytes"] / KIB,
        "RAM KiB": totals["ram_bytes"] / KIB,
        "MACC M": totals["macc"] / 1e6,
        "flash share %": 100 * totals["flash_bytes"] / target["flash_bytes"],
        "RAM share %": 100 * totals["ram_bytes"] / target["ram_bytes"],
        "fits": float(totals["fits"]),
    }
