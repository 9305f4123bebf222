"""How well a network does what it has learnt: classes told apart, numbers, inputs reconstructed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hybridq.data.task import Floats, Inputs, Task, Truth, parts_of, targets_of

Z95 = 1.959963984540054  # the normal distribution's 97.5 % point


@dataclass(frozen=True)
class Evaluation:
    """Accuracies in percent; `confusion[i, j]` counts the examples of class i that were taken for class j."""

    SCORE: ClassVar = "accuracy"  # the name of its one figure, in percent

    labels: tuple[str, ...]
    confusion: NDArray[np.int64]

    @property
    def score(self) -> float:
        """The one figure by which networks are compared: the accuracy (percent)."""
        return self.accuracy

    @property
    def metrics(self) -> dict[str, float]:
        """By the names of `hybridq.tracking.metrics`, less the split and the network that come before them."""
        low, high = self.interval
        return {"accuracy low %": low, "accuracy high %": high, "mean word accuracy %": self.mean_class_accuracy}

    @property
    def examples(self) -> int:
        """How many examples were counted."""
        return int(self.confusion.sum())

    @property
    def accuracy(self) -> float:
        """The share of the examples that were taken for what they are (percent)."""
        return 100 * float(np.trace(self.confusion)) / self.examples

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % confidence interval of the accuracy over the choice of examples (percent)."""
        low, high = wilson(int(np.trace(self.confusion)), self.examples)
        return 100 * low, 100 * high

    @property
    def class_accuracy(self) -> dict[str, float]:
        """The accuracy of each class that has examples (percent)."""
        totals = self.confusion.sum(1)
        return {
            word: 100 * float(self.confusion[i, i]) / int(totals[i]) for i, word in enumerate(self.labels) if totals[i]
        }

    @property
    def mean_class_accuracy(self) -> float:
        """The mean of the classes' accuracies: each counts the same, however many examples it has (percent)."""
        return float(np.mean(list(self.class_accuracy.values())))

    def __str__(self) -> str:
        low, high = self.interval
        sure = f"{low:.1f} to {high:.1f} with 95 % confidence"
        return f"accuracy {self.accuracy:.1f} % of {self.examples:,} samples ({sure})"

    def to_json(self) -> dict[str, Any]:
        """All figures as plain data."""
        return {
            "accuracy": self.accuracy,
            "mean_class_accuracy": self.mean_class_accuracy,
            "interval": list(self.interval),
            "examples": self.examples,
            "confusion": self.confusion.tolist(),
            "labels": list(self.labels),
            "class_accuracy": self.class_accuracy,
        }


@dataclass(frozen=True)
class Approximation:
    """How near real outputs are to what they should be; errors are means over all numbers of all examples.

    `r2` is the share of the targets' variance that is explained, in percent: 100 is exact, 0 no better than the mean of
    the targets. Of a reconstruction these are of the normal examples; `auc` is the area under the ROC curve of telling
    anomalies by the squared error of an example, 0.5 by chance, and None where there are none.
    """

    SCORE: ClassVar = "R2"

    examples: int
    squared_error: float
    absolute_error: float
    r2: float
    auc: float | None = None

    @property
    def score(self) -> float:
        """The one figure by which networks are compared: R2 (percent)."""
        return self.r2

    @property
    def metrics(self) -> dict[str, float]:
        """By the names of `hybridq.tracking.metrics`, less the split and the network that come before them."""
        errors = {"squared error": self.squared_error, "absolute error": self.absolute_error}
        return errors | ({} if self.auc is None else {"anomaly AUC": self.auc})

    def __str__(self) -> str:
        errors = f"mean absolute error {self.absolute_error:.4g}, mean squared error {self.squared_error:.4g}"
        area = "" if self.auc is None else f", AUC of anomalies {self.auc:.3f}"
        return f"R2 {self.r2:.1f} % of {self.examples:,} samples, {errors}{area}"

    def to_json(self) -> dict[str, Any]:
        """All figures as plain data."""
        return {
            "examples": self.examples,
            "squared_error": self.squared_error,
            "absolute_error": self.absolute_error,
            "r2": self.r2,
            "auc": self.auc,
        }


@dataclass
class ErrorSums:
    """Sums over samples: of errors, and of the targets' squared distances from their mean, number by number.

    Parts are joined as Chan, Golub and LeVeque do, so that large numbers lose nothing.
    """

    mean: NDArray[np.float64]
    spread: NDArray[np.float64]
    count: int = 0
    absolute: float = 0.0
    squared: float = 0.0

    @classmethod
    def none(cls, numbers: int) -> ErrorSums:
        """Of no sample yet, with so many numbers each."""
        return cls(np.zeros(numbers), np.zeros(numbers))

    @property
    def variance(self) -> float:
        """That of each number of the targets over the samples, its mean over the numbers."""
        return float(self.spread.sum()) / (self.count * len(self.mean))

    def add(self, outputs: NDArray[np.float64], wanted: NDArray[np.float64]) -> None:
        """Some samples more, (n, numbers) each."""
        errors, many = outputs - wanted, len(wanted)
        if not many:
            return
        self.absolute += float(np.abs(errors).sum())
        self.squared += float((errors**2).sum())
        mean, together = wanted.mean(0), self.count + many
        apart = mean - self.mean
        self.spread += ((wanted - mean) ** 2).sum(0) + apart**2 * (self.count * many / together)
        self.mean += apart * (many / together)
        self.count = together

    def approximation(self) -> Approximation:
        """The means, and R2."""
        numbers = self.count * len(self.mean)
        squared = self.squared / numbers
        return Approximation(self.count, squared, self.absolute / numbers, explained(squared, self.variance))


Result = Evaluation | Approximation


def evaluated(task: Task, outputs: NDArray[Any], inputs: Floats, truth: Truth, labels: tuple[str, ...]) -> Result:
    """What a network's outputs (examples, *outputs) for these inputs score; truth: see `hybridq.data.task.Task`."""
    if task is Task.CLASSIFY:
        return evaluation(outputs.argmax(1), truth, labels)
    targets = targets_of(task, inputs, truth, labels).reshape(len(truth), -1).astype(np.float64)
    errors = outputs.reshape(targets.shape) - targets
    auc = None
    if task is Task.RECONSTRUCT:
        if truth.any() and not truth.all():
            auc = roc_area((errors**2).mean(1), truth)
        errors, targets = errors[truth == 0], targets[truth == 0]
    squared = float((errors**2).mean())
    return Approximation(len(errors), squared, float(np.abs(errors).mean()), r_squared(squared, targets), auc)


def reconstruction(answer: Callable[[Floats], NDArray[Any]], inputs: Inputs, truth: Truth) -> Approximation:
    """What `evaluated` says of a reconstruction, of inputs that are read in parts; answer: the network."""
    sums: ErrorSums | None = None
    scores, first = [], 0
    for read in parts_of(inputs):
        wanted = read.reshape(len(read), -1).astype(np.float64)
        made = answer(read).reshape(wanted.shape)
        normal = truth[first : first + len(read)] == 0
        sums = sums or ErrorSums.none(wanted.shape[1])
        sums.add(made[normal], wanted[normal])
        scores.append(((made - wanted) ** 2).mean(1))
        first += len(read)
    assert sums
    area = roc_area(np.concatenate(scores), truth) if truth.any() and not truth.all() else None
    return replace(sums.approximation(), auc=area)


def both_classes(probabilities: NDArray[Any]) -> NDArray[Any]:
    """Probabilities (examples, classes) as they are; of one alone (examples, 1), the second class's, those of both."""
    if probabilities.shape[-1] > 1:
        return probabilities
    return np.concatenate([1 - probabilities, probabilities], axis=-1)


def r_squared(squared_error: float, targets: NDArray[Any]) -> float:
    """The share of the variance of targets (examples, ...) that a mean squared error leaves explained (percent)."""
    return explained(squared_error, float(np.var(targets, axis=0, dtype=np.float64).mean()))


def explained(squared_error: float, variance: float) -> float:
    """The share of a variance that a mean squared error leaves explained (percent)."""
    return 100 * (1 - squared_error / max(variance, 1e-12))


def roc_area(scores: NDArray[np.float64], truth: NDArray[np.int64]) -> float:
    """The share of pairs of an example of truth 1 and one of truth 0 in which the former scores more; ties half."""
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]  # from 1, the mean rank of equal scores
    positives = int(truth.sum())
    wins = float(ranks[truth == 1].sum()) - positives * (positives + 1) / 2
    return wins / (positives * (len(truth) - positives))


def evaluation(answers: NDArray[np.int64], truth: NDArray[np.int64], labels: tuple[str, ...]) -> Evaluation:
    """Of the classes that a network answered with, and the true ones, both (examples,) as indices into `labels`."""
    confusion = np.zeros((len(labels), len(labels)), np.int64)
    np.add.at(confusion, (truth, answers), 1)
    return Evaluation(labels, confusion)


def wilson(hits: int, trials: int) -> tuple[float, float]:
    """Wilson's score interval at 95 % for a proportion (E. B. Wilson, JASA 22, 1927), within [0, 1]."""
    if not 0 <= hits <= trials or trials < 1:
        raise ValueError(f"{hits} of {trials} is no proportion")
    share, square = hits / trials, Z95**2 / trials
    middle = (share + square / 2) / (1 + square)
    half = math.sqrt(square * (share * (1 - share) + square / 4)) / (1 + square)
    return max(0.0, middle - half), min(1.0, middle + half)
