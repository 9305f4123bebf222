"""One recipe, from the recordings to a tracked run; and many, as a sweep.

recipe -> audio -> features -> network -> quantized by the plan -> trained -> evaluated -> profiled -> tracked
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hybridq import compare, pictures
from hybridq.audio import AudioSet, choose_words, open_source
from hybridq.backend import load_tensorflow
from hybridq.bundle import ABOUT, MODEL, Bundle, load_bundle, save_bundle
from hybridq.dataset import Dataset
from hybridq.errors import BAD_INPUT, RUN_FAILED, NotWritable, UserError
from hybridq.evaluation import Evaluation, evaluate
from hybridq.features import FrontEnd
from hybridq.graph import Graph, read_graph
from hybridq.models import build_model
from hybridq.paths import cache_root
from hybridq.profiler import Profile, profile
from hybridq.quantize import copy_weights, quantize
from hybridq.training import Epoch, History, Watcher, best_weights, train

if TYPE_CHECKING:
    import keras

    from hybridq.recipe import Recipe
    from hybridq.tracking import Run, RunView, Store

KIB = 1024
CHECKPOINT = "checkpoint.npz"
FINGERPRINT = "fingerprint"  # tag: what decides the result of a run, so that an equal run need not be trained again
SWEEP = "sweep"  # tag of a sweep's parent run: what decides its runs
log = logging.getLogger("hybridq")


@dataclass
class Laboratory:
    """Where runs are made: the store that keeps them, who watches, and what has been trained already.

    `resume` continues interrupted runs from their checkpoints and takes a finished run of the
    same fingerprint as it is.
    """

    store: Store
    watch: Callable[[Recipe, Dataset], Watcher]
    sweep: str | None = None
    resume: bool = False
    done: dict[str, str] = field(default_factory=dict)  # fingerprint -> run id

    def run(self, recipe: Recipe) -> str:
        """Train, evaluate and profile one recipe, after those that it starts from or is taught by; returns the run id.

        Raises UserError; the run is then in the store, marked as failed, with the reason.
        """
        data = open_dataset(recipe)
        fingerprint = self._fingerprint(recipe, data)
        known = self._finished(fingerprint, anew=not self.resume)
        if known:
            log.info("%s: trained already, run %s", run_name(recipe), known[:8])
            self.done[fingerprint] = known
            return known
        parent = self._needed(recipe, "start_from", "model", data)
        tutor = self._needed(recipe, "teacher", "data", data)
        folder = self._checkpoints() / fingerprint[:16]
        with self._start(recipe, data, fingerprint, parent, tutor, folder) as run:
            self._log_inputs(run, recipe, data)
            model = network(recipe, len(data.words))
            if parent:
                copy_weights(self._network_of(parent), model)
            teacher = self._network_of(tutor) if tutor else None
            watcher = _Logging(self.watch(recipe, data), run)
            try:
                history = train(model, data, recipe.training, folder / CHECKPOINT, watcher, self.resume, teacher)
            except KeyboardInterrupt:
                if best_weights(folder / CHECKPOINT, model):
                    self._log_bundle(run, recipe, data, model)
                raise
            self._log_result(run, recipe, data, model, history)
        shutil.rmtree(folder, ignore_errors=True)
        self.done[fingerprint] = run.id
        return run.id

    def _needed(self, recipe: Recipe, key: str, same: str, data: Dataset) -> str | None:
        """The id of the finished run that a recipe's `start_from` or `teacher` asks for; trained now if there is none.

        The two recipes must agree on the features, and on the section `same`.
        """
        other = recipe.references.get(key)
        if other is None:
            return None
        if other.features != recipe.features or getattr(other, same) != getattr(recipe, same):
            raise UserError(f"{recipe.name}: {key} needs the same features and the same {same} as {other.name}")
        return self._finished(self._fingerprint(other, data), anew=False) or self.run(other)

    def _network_of(self, run: str) -> keras.Model:
        return load_bundle(self.store.download(run, "model")).model()

    def _finished(self, fingerprint: str, anew: bool) -> str | None:
        if fingerprint in self.done or anew:
            return self.done.get(fingerprint)
        found = [r for r in self.store.runs() if r.status == "FINISHED" and r.tags.get(FINGERPRINT) == fingerprint]
        return found[-1].id if found else None

    def _fingerprint(self, recipe: Recipe, data: Dataset) -> str:
        parts = [recipe.digest(), data.audio.digest, list(data.words)]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def _checkpoints(self) -> Path:
        return (self.store.root or Path("mlruns")) / "checkpoints"

    def _start(
        self, recipe: Recipe, data: Dataset, fingerprint: str, parent: str | None, tutor: str | None, folder: Path
    ) -> Run:
        marker = folder / "run"
        if self.resume and marker.exists() and (folder / CHECKPOINT).exists():
            return self.store.resume_run(marker.read_text())
        shutil.rmtree(folder, ignore_errors=True)
        tags = {
            FINGERPRINT: fingerprint,
            "recipe": recipe.name,
            "description": recipe.description or "",
            "data.synthetic": "true" if data.audio.synthetic else "false",
        }
        if recipe.published:
            published = recipe.published.model_dump(exclude_none=True)
            tags |= {f"published.{key}": str(value) for key, value in published.items()}
        if parent:
            tags["started from"] = parent
        if tutor:
            tags["taught by"] = tutor
        run = self.store.start_run(run_name(recipe), params=recipe.flat(), tags=tags, parent=self.sweep)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            marker.write_text(run.id)
        except OSError as error:
            problem = NotWritable(folder, error)
            run.close(problem)
            raise problem from error
        return run

    def _log_inputs(self, run: Run, recipe: Recipe, data: Dataset) -> None:
        from hybridq.yamlfile import to_yaml

        run.text("recipe.yaml", to_yaml(recipe.resolved()))
        run.dataset(
            data.audio.name,
            data.audio.digest,
            str(data.audio.root),
            words=data.words,
            synthetic=data.audio.synthetic,
            clips={split: len(data.split(split)) for split in ("training", "validation", "test")},
        )

    def _log_bundle(self, run: Run, recipe: Recipe, data: Dataset, model: keras.Model) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "model"
            save_bundle(folder, model, data.words, data.front_end, data.normalisation, recipe.resolved())
            run.artifact(folder)

    def _log_result(self, run: Run, recipe: Recipe, data: Dataset, model: keras.Model, history: History) -> None:
        self._log_bundle(run, recipe, data, model)
        x, truth = data.inputs("test")
        result = evaluate(model, x, truth, data.words)
        cost = profile(model, recipe.target, recipe.plan, recipe.accounting)
        run.json("evaluation.json", result.to_json())
        run.json("profile.json", cost.to_json())
        synthetic = data.audio.synthetic
        run.figure(
            pictures.confusion(result.confusion, data.words, title=run.name, synthetic=synthetic),
            "confusion matrix",
        )
        run.figure(pictures.learning_curves(history.epochs, title=run.name, synthetic=synthetic), "learning curves")
        run.figure(pictures.flash_by_layer(cost.to_json(), title=run.name, synthetic=synthetic), "flash by layer")
        run.metrics(_metrics(result, cost, history))


@dataclass(frozen=True)
class _Logging:
    """Passes what it is told on to another watcher, and each epoch to the run."""

    other: Watcher
    run: Run

    def batch(self, epoch: int, share: float, accuracy: float) -> None:
        self.other.batch(epoch, share, accuracy)

    def epoch(self, epoch: Epoch) -> None:
        self.run.metrics(
            {
                "training accuracy %": epoch.training_accuracy,
                "training loss": epoch.training_loss,
                "validation accuracy %": epoch.validation_accuracy,
                "validation loss": epoch.validation_loss,
                "learning rate": epoch.learning_rate,
            },
            step=epoch.epoch,
        )
        self.other.epoch(epoch)


def sweep(laboratory: Laboratory, name: str, recipes: Sequence[Recipe]) -> tuple[str, dict[str, str]]:
    """Run the recipes as children of one parent run; returns its id, and the message of each run that failed.

    A run that fails does not stop the others. With `resume`, the newest sweep over the same recipes goes on.
    """
    names = ", ".join(dict.fromkeys(recipe.name for recipe in recipes))
    key = hashlib.sha256(json.dumps([recipe.digest() for recipe in recipes]).encode()).hexdigest()
    tags = {"description": f"A sweep over {len(recipes)} runs: {names}.", SWEEP: key}
    failed: dict[str, str] = {}
    store = laboratory.store
    earlier = [run for run in store.runs() if run.tags.get(SWEEP) == key] if laboratory.resume else []
    with store.resume_run(earlier[-1].id) if earlier else store.start_run(name, params={}, tags=tags) as parent:
        laboratory.sweep = parent.id
        for recipe in recipes:
            try:
                laboratory.run(recipe)
            except UserError as error:
                failed[run_name(recipe)] = str(error)
                log.error("%s failed: %s", run_name(recipe), error)
                if error.exit_code not in (RUN_FAILED, BAD_INPUT):
                    raise  # the disk or the store: the next run would fail the same way
        if laboratory.done:
            rows = compare.table(store.runs(ids_or_names=list(laboratory.done.values()))).rows
            parent.figure(pictures.frontier(rows), "accuracy over flash")
    return parent.id, failed


def evaluate_bundle(bundle: Bundle, source: str, split: str, voices: int = 240) -> Evaluation:
    """The accuracy of a trained network on the clips of its words in another data set.

    Words that the folder lacks are left out of the count. Raises UserError where it has none of them.
    """
    audio = _audio(source, voices)
    words = [word for word in bundle.labels if any(clip.word == word for clip in audio.clips)]
    if not words:
        raise UserError(f"{audio.root}: no clips of {', '.join(bundle.labels)}, the words that this network knows")
    if len(words) < len(bundle.labels):
        log.warning("%s has no clips of %s", audio.name, ", ".join(w for w in bundle.labels if w not in words))
    data = Dataset(audio, words, bundle.front_end, cache_root())
    x, truth = data.inputs(split, bundle.normalisation)
    return evaluate(bundle.model(), x, _positions(bundle.labels, words)[truth], bundle.labels)


def find_bundle(run_or_model: str, store: Store | None) -> tuple[Bundle, RunView | None]:
    """A trained network by a path, or by the id or name of a run in the store."""
    path = Path(run_or_model)
    if path.exists() or path.suffix == ".keras" or store is None:
        return load_bundle(path), None
    view = store.find(run_or_model)
    folder = store.download(view.id, "model")
    for name in (MODEL, ABOUT):  # from a server, the folder may have come alone
        store.download(view.id, f"model/{name}")
    return load_bundle(folder), view


def open_dataset(recipe: Recipe) -> Dataset:
    """The data set that a recipe trains on, with its words chosen."""
    audio = _audio(recipe.data.source, recipe.data.voices)
    words = choose_words(audio, recipe.data.words)
    return Dataset(
        audio, words, FrontEnd.of(recipe.features), cache_root(), recipe.data.balance, recipe.features.normalisation
    )


def network(recipe: Recipe, classes: int) -> keras.Model:
    """The untrained network of a recipe, quantized by its plan; its first weights depend on the seed alone."""
    load_tensorflow()
    import keras

    keras.utils.clear_session()  # a sweep builds many networks in one process
    keras.utils.set_random_seed(recipe.training.seed)
    return quantize(build_model(recipe.model, FrontEnd.of(recipe.features).shape, classes), recipe.plan)


def graph_of(recipe: Recipe) -> Graph:
    """The operators of a recipe's network, float32 and untrained. `words: auto` counts as ten."""
    classes = 10 if recipe.data.words == "auto" else len(recipe.data.words)
    return read_graph(build_model(recipe.model, FrontEnd.of(recipe.features).shape, classes))


def run_name(recipe: Recipe) -> str:
    """The recipe's name, with the seed where it is not 0."""
    return f"{recipe.name} seed {recipe.training.seed}" if recipe.training.seed else recipe.name


@cache
def _audio(source: str, voices: int) -> AudioSet:
    return open_source(source, voices=voices)


def _positions(labels: Sequence[str], words: Sequence[str]) -> Any:
    import numpy as np

    return np.array([labels.index(word) for word in words])


def _metrics(result: Evaluation, cost: Profile, history: History) -> dict[str, float]:
    found = cost.to_json()
    totals, target = found["totals"], found["target"]
    return {
        "test accuracy %": result.accuracy,
        "test accuracy low %": result.interval[0],
        "test accuracy high %": result.interval[1],
        "test mean word accuracy %": result.mean_word_accuracy,
        "validation accuracy best %": history.best.validation_accuracy,
        "flash KiB": totals["flash_bytes"] / KIB,
        "flash as published KiB": totals["published_rule_bytes"] / KIB,
        "RAM KiB": totals["ram_bytes"] / KIB,
        "MACC M": totals["macc"] / 1e6,
        "flash share %": 100 * totals["flash_bytes"] / target["flash_bytes"],
        "RAM share %": 100 * totals["ram_bytes"] / target["ram_bytes"],
        "fits": float(totals["fits"]),
        "training minutes": history.minutes,
    }
