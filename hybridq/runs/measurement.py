"""What a trained network scores on labelled clips: as Keras computes it and, where it is quantized, in integers."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridq.errors import UserError
from hybridq.integer import arithmetic
from hybridq.integer.artefact import digest
from hybridq.integer.description import Rejection
from hybridq.paths import cache_root
from hybridq.quantize.model import is_grid
from hybridq.runs.experiment import open_audio
from hybridq.runs.load_network import Trained
from hybridq.speech.audio.negatives import Negatives, commands_of, present
from hybridq.speech.dataset import Dataset
from hybridq.speech.decision import Decisions, decisions, softmax
from hybridq.training.evaluation import Evaluation, evaluation

INTEGER, KERAS = "integer network", "Keras model"
VOICES = 240  # of the synthetic data set, where no recipe says how many
log = logging.getLogger("hybridq")


@dataclass(frozen=True)
class Measurement:
    """A network on clips. `keras` is None for an integer network by itself, `integer` where there is none (`lacking`).

    `digest` is the SHA-256 of the integer network; `agreement` the percentage of the clips that both hear alike.
    `on_grids`: it was trained on grids of 8 bits, so that the integer network is what was trained. `decisions`, of the
    network whose figures count, at `threshold`: None for a network that always answers with a command. `notes` say
    where the clips of silence and of unknown words come from.
    """

    keras: Evaluation | None
    integer: Evaluation | None
    digest: str | None
    agreement: float | None
    on_grids: bool
    lacking: str = ""
    decisions: Decisions | None = None
    threshold: float = 0.0
    notes: tuple[str, ...] = ()
    synthetic: bool = False

    @property
    def result(self) -> Evaluation:
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
        metrics = {
            "test accuracy %": self.result.accuracy,
            "test accuracy low %": self.result.interval[0],
            "test accuracy high %": self.result.interval[1],
            "test mean word accuracy %": self.result.mean_word_accuracy,
        }
        if self.integer and self.keras and self.agreement is not None:
            metrics["integer test accuracy %"] = self.integer.accuracy
            metrics["Keras test accuracy %"] = self.keras.accuracy
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
    inputs: NDArray[np.float32],
    truth: NDArray[np.int64],
    labels: tuple[str, ...],
    words: Sequence[str] = (),
    notes: tuple[str, ...] = (),
    threshold: float | None = None,
) -> Measurement:
    """Both networks over inputs (clips, coefficients, frames, 1); true labels (clips,) are indices into `labels`.

    `words` are those in the clips, where unknown words are a class; `threshold` stands for the network's own.
    """
    by_keras = by_integers = None
    on_grids = False
    if trained.bundle:
        model = trained.bundle.model
        on_grids = any(map(is_grid, model.layers))
        by_keras = np.asarray(model.predict(inputs, batch_size=256, verbose=0), np.float64)
    if trained.integers:
        quantized = arithmetic.quantized(inputs, trained.integers.input_fraction)
        by_integers = arithmetic.logits(trained.integers, quantized) * 2.0 ** -trained.integers.layers[-1].fraction
    agreement = None
    if by_keras is not None and by_integers is not None:
        agreement = 100 * float(np.mean(by_keras.argmax(1) == by_integers.argmax(1)))
    measurement = Measurement(
        keras=None if by_keras is None else evaluation(by_keras.argmax(1), truth, labels),
        integer=None if by_integers is None else evaluation(by_integers.argmax(1), truth, labels),
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


def measured_on(trained: Trained, source: str | None, split: str, threshold: float | None = None) -> Measurement:
    """A network on the clips of its words in a data set; without one, in that of its recipe.

    Words that the data set lacks are left out of the count. `threshold` stands for the network's own. Raises UserError
    where it has none of them.
    """
    own = trained.bundle.recipe.get("data", {}) if trained.bundle else {}
    if not (source or own):
        raise UserError(
            f"{trained.name}: an integer network does not say what it was trained on; --data names the clips"
        )
    end, normalisation, labels = trained.hears
    audio = open_audio(source or own["source"], own.get("voices", VOICES), commands_of(labels) != labels)
    words = present(audio, labels)
    if not commands_of(words):
        known = ", ".join(commands_of(labels))
        raise UserError(f"{audio.root}: no clips of {known}, the words that this network knows")
    if len(words) < len(labels):
        log.warning("%s has no clips of %s", audio.name, ", ".join(word for word in labels if word not in words))
    data = Dataset(audio, words, end, cache_root(), negatives=_negatives(trained, own))
    x, truth = data.inputs(split, normalisation)
    clips, truth = data.split(split), np.array([labels.index(word) for word in words])[truth]
    measurement = measured(trained, x, truth, labels, clips.words, clips.notes, threshold)
    return replace(measurement, synthetic=audio.synthetic)


def _negatives(trained: Trained, own: Mapping[str, Any]) -> Negatives:
    """The shares of its recipe, or the usual ones; the words that it was trained on."""
    words = trained.rejection.unknown_words if trained.rejection else ()
    shares = {name: own[name] for name in ("silence", "unknown") if own.get(name)}
    return Negatives(**shares, words=words)
