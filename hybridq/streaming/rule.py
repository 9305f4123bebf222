"""When a command counts as heard in a stream: smoothed probabilities, a threshold, and a time of rest.

The probabilities of the last answers are averaged (as in Chen, Parada and Heigold, "Small-footprint keyword spotting
using deep neural networks", ICASSP 2014, section 2.3). A command is heard where it is the largest of these means and
at least the threshold, unless another one was heard less than the refractory time ago. Times are in samples.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from hybridq.errors import UserError
from hybridq.runs.load_network import Trained
from hybridq.speech.audio.negatives import commands_of
from hybridq.speech.decision import REJECTED
from hybridq.speech.mfcc import FrontEnd
from hybridq.speech.settings import DecisionSettings

Probabilities = NDArray[np.float64]  # (classes,)
Answer = tuple[int, Probabilities]  # samples heard so far, and what the network says of the last of them


@dataclass(frozen=True)
class Rule:
    """An inference every so many columns; the mean of `smoothing` answers; `refractory` in samples."""

    threshold: float
    every: int
    smoothing: int
    refractory: int

    @classmethod
    def of(cls, settings: DecisionSettings, end: FrontEnd) -> Rule:
        """The rule that a recipe's `decision` section describes, of a stream that this front end hears."""
        answers = settings.smoothing_ms / 1000 * end.sample_rate / (end.hop * settings.every)
        return cls(
            settings.threshold,
            settings.every,
            max(1, round(answers)),
            round(settings.refractory_ms / 1000 * end.sample_rate),
        )


@dataclass(frozen=True)
class Moment:
    """The smoothed probabilities after an answer; the command among them, or "" with a score that no threshold meets.

    `sample`: how many samples were heard by then.
    """

    sample: int
    probabilities: Probabilities
    word: str
    score: float


def settings_of(trained: Trained, **instead: float | None) -> DecisionSettings:
    """The `decision` section that a network was trained with; `instead` has values to take in its place.

    A network that says nothing of one has the defaults. Raises UserError for values that cannot be.
    """
    if trained.bundle:
        decision = trained.bundle.recipe.get("decision", {})
    else:
        decision = dict(trained.integers.description.decision or {}) if trained.integers else {}
        decision |= {"threshold": trained.rejection.threshold if trained.rejection else 0.0}
    try:
        return DecisionSettings.model_validate(decision | {key: one for key, one in instead.items() if one is not None})
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(f"{trained.name}: decision.{'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def moments(answers: Iterable[Answer], labels: Sequence[str], smoothing: int) -> Iterator[Moment]:
    """Each answer with the mean of the last `smoothing` of them, fewer at the beginning."""
    last: deque[Probabilities] = deque(maxlen=smoothing)
    commands = set(commands_of(labels))
    for sample, probabilities in answers:
        last.append(probabilities)
        mean = np.mean(last, axis=0)
        largest = int(mean.argmax())
        heard = labels[largest] in commands
        yield Moment(sample, mean, labels[largest] if heard else "", float(mean[largest]) if heard else REJECTED)


def heard(stream: Iterable[Moment], threshold: float, refractory: int) -> Iterator[tuple[Moment, bool]]:
    """Each moment, and whether a command counts as heard at it."""
    rests_until = 0
    for moment in stream:
        hit = moment.score >= threshold and moment.sample >= rests_until
        if hit:
            rests_until = moment.sample + refractory
        yield moment, hit
