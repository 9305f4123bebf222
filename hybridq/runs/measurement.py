"""What a trained network scores on examples: as Keras computes it and, where it is quantized, in integers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hybridq.backend.tensorflow import keras_backend
from hybridq.data.settings import OWN_DATA
from hybridq.data.task import CLIPS, Floats, Inputs, Task, Truth, parts_of
from hybridq.errors import UserError
from hybridq.integer import arithmetic
from hybridq.integer.answers import answers, inputs_of, numbers_of
from hybridq.integer.artefact import digest
from hybridq.integer.description import Rejection
from hybridq.integer.network import IntegerNetwork
from hybridq.paths import cache_root
from hybridq.quantization.model import is_grid
from hybridq.recipe.file import recipe_of
from hybridq.runs.clips import open_audio
from hybridq.runs.load_network import Trained
from hybridq.runs.sources import open_dataset
from hybridq.speech.audio.negatives import Negatives, commands_of, present
from hybridq.speech.dataset import Dataset
from hybridq.speech.decision import Decisions, decisions, softmax
from hybridq.training.evaluation import Result, both_classes, evaluated, reconstruction
from hybridq.training.tasks import Score

if TYPE_CHECKING:
    import keras

INTEGER, KERAS = "integer network", "Keras model"
BATCH = 256  # examples that a network answers at a time
VOICES = 240  # of the synthetic data set, where no recipe says how many
log = logging.getLogger("hybridq")


@dataclass(frozen=True)
class Measurement:
    """A network on examples. `keras` is None for an integer network by itself, `integer` where there is none.

    `lacking` says why. `digest` is the SHA-256 of the integer network; `agreement` the percentage of the examples for
    which both name the same class, None where there are no classes.
    `on_grids`: it was trained on grids of 8 bits, so that the integer network is what was trained. `decisions`, of the
    network whose figures count, at `threshold`: None for a network that always answers with a command. `notes` say
    where the clips of silence and of unknown words come from.
    """

    keras: Result | None
    integer: Result | None
    digest: str | None
    agreement: float | None
    on_grids: bool
    lacking: str = ""
    decisions: Decisions | None = None
    threshold: float = 0.0
    notes: tuple[str, ...] = ()
    synthetic: bool = False
    unit: str = CLIPS

    @property
    def result(self) -> Result:
        """The figures that count: the integer network's where it is what was trained, or all there is."""
        counts = self.integer if self.counts == INTEGER else self.keras
        assert counts
        return counts

    @property
    def counts(self) -> str:
        """Which network's figures count: INTEGER or KERAS."""
        return INTEGER if self.keras is None or (self.on_grids and self.integer) else KERAS

    def metrics(self) -> dict[str, float]:
        """For the run: see `hybridq.tracking.metrics`."""
        result = self.result
        metrics = {f"test {result.SCORE} %": result.score}
        metrics |= {f"test {name}": figure for name, figure in result.metrics.items()}
        if self.integer and self.keras:
            metrics[f"integer test {result.SCORE} %"] = self.integer.score
            metrics[f"Keras test {result.SCORE} %"] = self.keras.score
        if self.agreement is not None:
            metrics["integer agreement %"] = self.agreement
        if self.decisions:
            metrics["decision threshold"] = self.threshold
            rates = self.decisions.rates(self.threshold)
            metrics |= {f"test {name} %": rate.percent for name, rate in rates.items()}
        return metrics

    def to_json(self) -> dict[str, Any]:
        """The figures that count, and under `keras` and `integer` those of each network (null: there is none)."""
        figures = self.result.to_json()
        if self.decisions:
            figures |= {"decision": self.decisions.to_json(self.threshold), "notes": list(self.notes)}
        return figures | {
            "counts": self.counts,
            "keras": self.keras.to_json() if self.keras else None,
            "integer": self.integer.to_json() | {"sha256": self.digest} if self.integer else None,
            "agreement": self.agreement,
            "no_integer_network": self.lacking or None,
        }


def measured(
    trained: Trained,
    inputs: Inputs,
    truth: Truth,
    labels: tuple[str, ...],
    words: Sequence[str] = (),
    notes: tuple[str, ...] = (),
    threshold: float | None = None,
) -> Measurement:
    """Both networks over inputs (examples, *shape); the truth is that of the network's task, of classes `labels`.

    `words` are those in the clips, where unknown words are a class; `threshold` stands for the network's own.
    """
    forms: dict[str, Callable[[Floats], NDArray[np.float64]]] = {}
    if trained.bundle:
        forms[KERAS] = partial(_outputs_of_model, trained.bundle.model, trained.task)
    if trained.integers:
        forms[INTEGER] = partial(_outputs, trained.integers, trained.task)
    answered: dict[str, NDArray[np.float64]] = {}
    if trained.task is Task.RECONSTRUCT and not isinstance(inputs, np.ndarray):
        scores: dict[str, Result] = {name: reconstruction(form, inputs, truth) for name, form in forms.items()}
    else:
        read = inputs if isinstance(inputs, np.ndarray) else np.zeros(0, np.float32)  # `evaluated` needs none
        answered = {name: np.concatenate([form(part) for part in parts_of(inputs)]) for name, form in forms.items()}
        scores = {name: evaluated(trained.task, made, read, truth, labels) for name, made in answered.items()}
    by_keras, by_integers, agreement = answered.get(KERAS), answered.get(INTEGER), None
    if by_keras is not None and by_integers is not None and trained.task is Task.CLASSIFY:
        agreement = 100 * float(np.mean(by_keras.argmax(1) == by_integers.argmax(1)))
    on_grids = trained.bundle is not None and any(map(is_grid, trained.bundle.model.layers))
    measurement = Measurement(
        keras=scores.get(KERAS),
        integer=scores.get(INTEGER),
        digest=digest(trained.integers) if trained.integers else None,
        agreement=agreement,
        on_grids=on_grids,
        lacking=trained.lacking,
        notes=notes,
    )
    rejection = trained.rejection or (None if threshold is None else Rejection(threshold))
    if rejection is None:
        return measurement
    probabilities = softmax(by_integers) if measurement.counts == INTEGER and by_integers is not None else by_keras
    assert probabilities is not None
    words = words or [labels[one] for one in truth]
    decided = decisions(probabilities, truth, labels, words, rejection.unknown_words)
    at = rejection.threshold if threshold is None else threshold
    return replace(measurement, decisions=decided, threshold=at)


def _outputs_of_model(model: keras.Model, task: Task, inputs: Floats) -> NDArray[np.float64]:
    """What a Keras model makes of inputs: numbers, or of classes their probabilities (examples, classes)."""
    made = np.asarray(outputs(model, inputs), np.float64)
    return both_classes(made) if task is Task.CLASSIFY else made


def _outputs(network: IntegerNetwork, task: Task, inputs: Floats) -> NDArray[np.float64]:
    """What an integer network makes of inputs: numbers, or of classes their logits (examples, classes)."""
    read = inputs_of(network, inputs)
    if task is Task.CLASSIFY:
        logits = numbers_of(arithmetic.logits(network, read), network.results[0].stands_for)
        return logits if logits.shape[1] > 1 else np.concatenate([np.zeros_like(logits), logits], axis=1)
    return answers(network, read)[0]


def validation_metrics(task: Task, score: Score) -> dict[str, float]:
    """Of the weights that are kept, for the run: see `hybridq.tracking.metrics`."""
    if task is Task.CLASSIFY:
        return {"validation accuracy best %": score.percent, "validation cross-entropy": score.error}
    return {"validation R2 best %": score.percent, "validation squared error": score.error}


def outputs(model: keras.Model, inputs: Floats) -> NDArray[np.float32]:
    """What a Keras model answers to inputs (examples, *shape): its outputs (examples, ...).

    A single batch goes through the layers one by one: to trace a graph first, as for several, would take longer.
    """
    if len(inputs) <= BATCH and keras_backend() == "tensorflow":
        return np.asarray(model(inputs, training=False))
    return np.asarray(model.predict(inputs, batch_size=BATCH, verbose=0))


def measured_on(trained: Trained, source: str | None, split: str, threshold: float | None = None) -> Measurement:
    """A network on a data set; without one, on that of its recipe. Of clips those of its words.

    Words that the data set lacks are left out of the count. `threshold` stands for the network's own. Raises UserError
    where it has none of them.
    """
    own = trained.bundle.recipe.get("data", {}) if trained.bundle else {}
    if not (source or own):
        of_sound = "an integer network does not say what it was trained on; --data names the clips"
        others = "it does not say what it was trained on; --inputs X.npy names samples, --labels Y.npy their classes"
        raise UserError(f"{trained.name}: {of_sound if trained.hears_sound else others}")
    kind = next((key for key in OWN_DATA if key in own), None)
    if trained.bundle and kind:
        data = open_dataset(recipe_of(trained.bundle.recipe | {"data": own | {kind: source or own[kind]}}))
        measurement = measured(trained, *data.inputs(split), data.labels, threshold=threshold)
        return replace(measurement, synthetic=data.synthetic, unit=data.unit)
    end, normalisation, labels = trained.hears
    audio = open_audio(source or own["source"], own.get("voices", VOICES), commands_of(labels) != labels)
    words = present(audio, labels)
    if not commands_of(words):
        known = ", ".join(commands_of(labels))
        raise UserError(f"{audio.root}: no clips of {known}, the words that this network knows")
    if len(words) < len(labels):
        log.warning("%s has no clips of %s", audio.name, ", ".join(word for word in labels if word not in words))
    clips_of = Dataset(audio, words, end, cache_root(), negatives=_negatives(trained, own))
    x, truth = clips_of.inputs(split, normalisation)
    clips, truth = clips_of.split(split), np.array([labels.index(word) for word in words])[truth]
    measurement = measured(trained, x, truth, labels, clips.words, clips.notes, threshold)
    return replace(measurement, synthetic=audio.synthetic)


def _negatives(trained: Trained, own: Mapping[str, Any]) -> Negatives:
    """The shares of its recipe, or the usual ones; the words that it was trained on."""
    words = trained.rejection.unknown_words if trained.rejection else ()
    shares = {name: own[name] for name in ("silence", "unknown") if own.get(name)}
    return Negatives(**shares, words=words)
