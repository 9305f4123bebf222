"""One recipe becomes one tracked run: trained, evaluated, profiled, logged.

It may be killed at any moment. What is on the disk is then the checkpoint of the last whole epoch and, in the store, a
run that is not FINISHED; a laboratory that resumes goes on with both. A run is FINISHED only when all of it is logged.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from hybridq.backend.tensorflow import keras_backend, threads
from hybridq.data.task import TrainingData
from hybridq.errors import RUN_FAILED, UserError, plain_interrupts
from hybridq.integer.convert import settle
from hybridq.paths import locked
from hybridq.profiler import profile
from hybridq.quantization.model import is_grid
from hybridq.runs.experiment import network, network_from, run_name
from hybridq.runs.log import EpochLog, bundled, log_inputs, log_result, log_trial, sizes
from hybridq.runs.model_folder import load_bundle
from hybridq.runs.sources import open_dataset
from hybridq.tracking import TRIAL
from hybridq.training.checkpoint import restore_best
from hybridq.training.fit import train
from hybridq.training.history import EarlyStopper, Watcher

if TYPE_CHECKING:
    import keras

    from hybridq.recipe.schema import Recipe
    from hybridq.tracking import Run, RunView, Store

CHECKPOINT = "checkpoint.npz"
FINGERPRINT = "fingerprint"  # tag: what decides the result of a run, so that an equal run need not be trained again
THREADS = "threads"  # tag: TensorFlow's, which decide the last digits
BACKEND = "backend"  # tag: of Keras
STOPPED = "stopped"  # tag: the epochs of a trial that its early stopper has ended
REPRODUCES = "reproduces"  # tag: id of the run that this one repeats
log = logging.getLogger("hybridq")


@dataclass
class Laboratory:
    """Where runs are made: the store that keeps them, who watches, and what has been trained already.

    `resume` goes on with interrupted runs from their checkpoints, and takes a finished run of the same fingerprint as
    it is. `reproduces` is the id of a run to be made again: what is trained is then a run of its own, whatever equal
    ones there are. A `trial` is measured on the validation clips alone and keeps no network; it only equals trials.
    A `stopper` may end the training of one early; it then only equals those under the same stopper.
    """

    store: Store
    watch: Callable[[Recipe, TrainingData], Watcher]
    sweep: str | None = None
    resume: bool = False
    done: dict[str, str] = field(default_factory=dict)  # fingerprint -> run id
    reproduces: str | None = None
    trial: bool = False
    stopper: EarlyStopper | None = None

    def run(self, recipe: Recipe) -> str:
        """Train, evaluate and profile one recipe, after those that it starts from or is taught by; returns the run id.

        Raises UserError; the run is then in the store, marked as failed, with the reason.
        """
        data = open_dataset(recipe)
        apart = [self.reproduces] if self.reproduces else []
        apart += [TRIAL] * self.trial + ([self.stopper.key] if self.stopper else [])
        fingerprint = fingerprint_of(recipe, data, *apart)
        known = self._finished(fingerprint, anew=not self.resume)
        folder = (self.store.root or Path("mlruns")) / "checkpoints" / fingerprint[:16]
        if not known:
            parent = self._needed(recipe.parent, data) if recipe.parent else None
            tutors = [self._needed(tutor, data) for tutor in recipe.tutors]
            taken = f"{run_name(recipe)}: another process trains the same; waiting for it"
            with locked(folder.with_suffix(".lock"), lambda: log.warning(taken)):
                known = self._finished(fingerprint, anew=not self.resume)
                known = known or self._made(recipe, data, fingerprint, parent, tutors, folder)
        else:
            log.info("%s: trained already, run %s", run_name(recipe), known[:8])
            _tidy(folder)
        self.done[fingerprint] = known
        return known

    def _made(
        self, recipe: Recipe, data: TrainingData, fingerprint: str, parent: str | None, tutors: list[str], folder: Path
    ) -> str:
        with (
            self._start(recipe, data, fingerprint, parent, tutors, folder) as run,
            _explained(recipe),
            plain_interrupts(),
        ):
            log_inputs(run, recipe, data)
            start = self._network_of(parent) if parent else None
            model = network_from(start, recipe, data) if start else network(recipe, data)
            run.tags({BACKEND: keras_backend()})
            cost = profile(model, recipe.target, recipe.plan, recipe.accounting)
            run.metrics(sizes(cost))
            teachers = [self._network_of(tutor) for tutor in tutors]
            watcher = EpochLog(self.watch(recipe, data), run)
            try:
                file = folder / CHECKPOINT
                with plain_interrupts():
                    history = train(model, data, recipe.training, file, watcher, self.resume, teachers, self.stopper)
            except KeyboardInterrupt:
                if not self.trial and restore_best(folder / CHECKPOINT, model):
                    with bundled(recipe, data, model) as bundle:
                        run.artifact(bundle.folder)
                raise
            if any(map(is_grid, model.layers)):
                _settled(model)
            if (count := len(history.epochs)) < recipe.training.epochs:
                run.tags({STOPPED: f"after {count} of {recipe.training.epochs} epochs"})
            if self.trial:
                log_trial(run, data, model, history, cost)
            else:
                log_result(run, recipe, data, model, history, cost)
        shutil.rmtree(folder, ignore_errors=True)
        return run.id

    def _needed(self, recipe: Recipe, data: TrainingData) -> str:
        """The id of the finished run of a recipe that another one needs; trained now if there is none."""
        return self._finished(fingerprint_of(recipe, data), anew=False) or replace(self, trial=False, stopper=None).run(
            recipe
        )

    def _network_of(self, run: str) -> keras.Model:
        return load_bundle(self.store.download(run, "model")).model

    def _finished(self, fingerprint: str, anew: bool) -> str | None:
        if fingerprint in self.done or anew:
            return self.done.get(fingerprint)
        finished = [run for run in self._equal(fingerprint) if run.status == "FINISHED"]
        return finished[-1].id if finished else None

    def _equal(self, fingerprint: str) -> list[RunView]:
        return [run for run in self.store.runs() if run.tags.get(FINGERPRINT) == fingerprint]

    def _start(
        self, recipe: Recipe, data: TrainingData, fingerprint: str, parent: str | None, tutors: list[str], folder: Path
    ) -> Run:
        """The run to log to: one that was interrupted, where there is one to go on with; else a new one."""
        if self.resume:
            left = [run for run in self._equal(fingerprint) if run.status != "FINISHED" and self._may_take(run)]
            if left and (folder / CHECKPOINT).exists():
                return self.store.resume_run(left[-1].id)
            # Without a checkpoint, one that has logged no epoch, or whose epochs this sweep lost with a machine
            again = [run for run in left if "training loss" not in run.metrics or self._ours(run)]
            if again:
                return self.store.resume_run(again[-1].id)
        shutil.rmtree(folder, ignore_errors=True)
        tags = {
            FINGERPRINT: fingerprint,
            THREADS: str(threads()),
            "recipe": recipe.name,
            "description": recipe.description or "",
            "data.synthetic": "true" if data.synthetic else "false",
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
        if data.synthetic_digest:
            tags["training.synthetic.digest"] = data.synthetic_digest
        if self.reproduces:
            tags[REPRODUCES] = self.reproduces
        return self.store.start_run(run_name(recipe), params=recipe.flat(), tags=tags, parent=self.sweep)

    def _may_take(self, run: RunView) -> bool:
        """Whether an unfinished run may be gone on with: nobody else is at it, or it is this sweep's to give away."""
        return self._ours(run) or run.status != "RUNNING" or self.store.abandoned(run)

    def _ours(self, run: RunView) -> bool:
        return self.sweep is not None and run.parent == self.sweep


def _tidy(folder: Path) -> None:
    """Remove what a process left that was killed just after its run: the checkpoint, and the file of its lock."""
    lock = folder.with_suffix(".lock")
    if folder.exists() or lock.exists():
        with suppress(BlockingIOError), locked(lock, _leave):
            shutil.rmtree(folder, ignore_errors=True)


def _leave() -> None:
    raise BlockingIOError  # another process trains the same anew, in that folder


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


def fingerprint_of(recipe: Recipe, data: TrainingData, *further: str) -> str:
    """SHA-256 (hex) of all that decides the result of a run: the recipe, the content of the data set, its classes.

    `further` is what tells a run from others of the same recipe.
    """
    parts = [recipe.digest(), data.digest, list(data.labels), *further]
    if data.synthetic_digest:
        parts.append(data.synthetic_digest)
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
