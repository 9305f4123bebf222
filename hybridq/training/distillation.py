"""Distillation: training targets from the answers of other networks (Hinton et al., arXiv 1503.02531).

The teachers see the very inputs that the student sees, augmented as they are, and what they make of them is the target,
or a share of it. Nothing else in training changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hybridq.data.task import Floats, Retarget
from hybridq.training.evaluation import both_classes

if TYPE_CHECKING:
    import keras


def soft_targets(teachers: Sequence[keras.Model], share: float = 1.0, temperature: float | None = 1.0) -> Retarget:
    """A function (inputs, targets) -> targets: `share` of the teachers' mean answer, the rest of the targets as is.

    Where targets (examples, classes) are probabilities, a `temperature` above 1 makes each teacher's more even, one
    below 1 less; None: they are numbers of another kind, which stay as they are.
    """

    def retarget(inputs: Floats, targets: Floats) -> Floats:
        answers = [np.asarray(teacher.predict_on_batch(inputs)) for teacher in teachers]
        if temperature is not None:
            answers = [softened(both_classes(answer), temperature) for answer in answers]
        mean: Any = np.mean(answers, axis=0)
        mixed: Floats = (share * mean + (1 - share) * targets).astype(np.float32)
        return mixed

    return retarget


def softened(probabilities: Floats, temperature: float) -> Floats:
    """The softmax (examples, classes) of logits divided by `temperature`, from that of the logits themselves."""
    powers = np.power(probabilities.astype(np.float64), 1 / temperature)
    soft: Floats = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
    return soft
