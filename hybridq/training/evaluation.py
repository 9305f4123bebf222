"""How well a network tells its classes apart, and how sure that figure is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Z95 = 1.959963984540054  # the normal distribution's 97.5 % point


@dataclass(frozen=True)
class Evaluation:
    """Accuracies in percent; `confusion[i, j]` counts the examples of class i that were taken for class j."""

    labels: tuple[str, ...]
    confusion: NDArray[np.int64]

    @property
    def clips(self) -> int:
        """How many examples were counted."""
        return int(self.confusion.sum())

    @property
    def accuracy(self) -> float:
        """The share of the examples that were taken for what they are (percent)."""
        return 100 * float(np.trace(self.confusion)) / self.clips

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % confidence interval of the accuracy over the choice of examples (percent)."""
        low, high = wilson(int(np.trace(self.confusion)), self.clips)
        return 100 * low, 100 * high

    @property
    def word_accuracy(self) -> dict[str, float]:
        """The accuracy of each class that has examples (percent)."""
        totals = self.confusion.sum(1)
        return {
            word: 100 * float(self.confusion[i, i]) / int(totals[i]) for i, word in enumerate(self.labels) if totals[i]
        }

    @property
    def mean_word_accuracy(self) -> float:
        """The mean of the classes' accuracies: each counts the same, however many examples it has (percent)."""
        return float(np.mean(list(self.word_accuracy.values())))

    def to_json(self) -> dict[str, Any]:
        """All figures as plain data."""
        return {
            "accuracy": self.accuracy,
            "mean_word_accuracy": self.mean_word_accuracy,
            "interval": list(self.interval),
            "clips": self.clips,
            "confusion": self.confusion.tolist(),
            "labels": list(self.labels),
            "word_accuracy": self.word_accuracy,
        }


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
