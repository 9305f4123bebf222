"""When a command counts as heard: false accepts and false rejects, and how a threshold trades one for the other.

A command is accepted where it is the most probable of all classes and its probability is at least the threshold.
Everything else is a rejection: silence, an unknown word, or a command that the network is not sure of.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridq.speech.audio import SILENCE, UNKNOWN
from hybridq.speech.audio.negatives import commands_of

FALSE_ACCEPTS = "false accepts"  # clips of no command answered with one
TRAINED_WORDS = "false accepts of trained words"  # of these: other words that the network learnt as unknown
NEW_WORDS = "false accepts of new words"  # words that it never heard in training
OTHER_WORDS = "false accepts of unnamed words"  # official clips whose name does not tell the word
SILENT = "false accepts of silence"
FALSE_REJECTS = "false rejects"  # clips of a command answered with none
WRONG = "wrong commands"  # clips of a command answered with another
RATES = (FALSE_ACCEPTS, TRAINED_WORDS, NEW_WORDS, OTHER_WORDS, SILENT, FALSE_REJECTS, WRONG)

REJECTED = -1.0  # the score of a clip in which no command is heard: below every threshold
USUAL_FALSE_ACCEPTS = 5.0  # percent of the validation clips, at which a run notes the threshold
POINTS = 200  # of a curve, at most

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Rate:
    """So many of the clips."""

    hits: int
    clips: int

    @property
    def percent(self) -> float:
        """The share as a percentage; there must be clips."""
        return 100 * self.hits / self.clips


@dataclass(frozen=True)
class Decisions:
    """The score of each clip: the probability of the command that was heard, or REJECTED.

    `commands` and `right` (whether it is the one that was said) are those of clips of commands, `others` those of the
    rest, by the rate that counts them.
    """

    commands: Scores
    right: NDArray[np.bool_]
    others: Mapping[str, Scores]

    def rates(self, threshold: float) -> dict[str, Rate]:
        """The rates of RATES at a threshold, those that have clips."""
        accepted = self.commands >= threshold
        rates = {name: _rate(scores >= threshold) for name, scores in {FALSE_ACCEPTS: self._all, **self.others}.items()}
        rates |= {FALSE_REJECTS: _rate(~accepted), WRONG: _rate(accepted & ~self.right)}
        return {name: rates[name] for name in RATES if name in rates and rates[name].clips}

    def curve(self) -> Iterator[tuple[float, dict[str, Rate]]]:
        """The rates over the threshold, from 0 to where nothing is accepted."""
        scores = np.unique(np.concatenate([self.commands, self._all, [0.0]]))
        scores = scores[scores >= 0]
        for at in np.unique(np.linspace(0, len(scores) - 1, min(POINTS, len(scores))).astype(int)):
            yield float(scores[at]), self.rates(float(scores[at]))

    def threshold_at(self, percent: float) -> float | None:
        """The lowest threshold, to three digits, with at most so many false accepts; None where even 1 has more."""
        for thousandths in range(1001):
            if 100 * np.count_nonzero(self._all >= thousandths / 1000) <= percent * len(self._all):
                return thousandths / 1000
        return None

    def to_json(self, threshold: float) -> dict[str, Any]:
        """The rates at a threshold, with the clips behind them, and in percent over all thresholds."""
        return {
            "threshold": threshold,
            "rates": {name: vars(rate) | {"percent": rate.percent} for name, rate in self.rates(threshold).items()},
            "curve": [
                {"threshold": at, **{name: rate.percent for name, rate in rates.items()}} for at, rates in self.curve()
            ],
        }

    @property
    def _all(self) -> Scores:
        return np.concatenate([np.zeros(0), *self.others.values()])


def decisions(
    probabilities: NDArray[Any],
    truth: NDArray[np.int64],
    labels: Sequence[str],
    words: Sequence[str],
    learnt: Sequence[str],
) -> Decisions:
    """From probabilities (clips, classes), true classes (clips,) as indices into `labels`, and the word in each clip.

    A word is "" where nobody knows it. `learnt` are the words that the network was trained on as unknown.
    """
    heard = probabilities.argmax(1)
    commands = [labels.index(word) for word in commands_of(labels)]
    scores = np.where(np.isin(heard, commands), probabilities.max(1).astype(np.float64), REJECTED)
    kinds = np.array([_kind(labels[one], word, learnt) for one, word in zip(truth, words, strict=True)])
    mine = kinds == FALSE_REJECTS
    others = {name: scores[kinds == name] for name in RATES if name in kinds and name != FALSE_REJECTS}
    return Decisions(scores[mine], (heard == truth)[mine], others)


def softmax(logits: NDArray[Any]) -> Scores:
    """Probabilities (clips, classes) of logits."""
    powers = np.exp(logits - logits.max(1, keepdims=True))
    shares: Scores = powers / powers.sum(1, keepdims=True)
    return shares


def _kind(label: str, word: str, learnt: Sequence[str]) -> str:
    """The rate that a clip counts for."""
    if label == SILENCE:
        return SILENT
    if label != UNKNOWN:
        return FALSE_REJECTS
    return (TRAINED_WORDS if word in learnt else NEW_WORDS) if word else OTHER_WORDS


def _rate(hits: NDArray[np.bool_]) -> Rate:
    return Rate(int(hits.sum()), len(hits))
