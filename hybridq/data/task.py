"""What training asks of data: examples in splits, the classes that they belong to, and epochs of training batches.

Whatever gives these can be trained on, be it sound, images or arrays: see `training.fit.train`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Examples = tuple[Floats, Floats]  # inputs (examples, *shape), targets (examples, classes): a probability for each class
Retarget = Callable[[Floats, Floats], Floats]  # inputs and targets of some examples -> other targets for them


class TrainingData(Protocol):
    """Examples that each belong to one class, in the splits "training", "validation" and "test"."""

    labels: tuple[str, ...]  # the names of the classes, in the order of the network's outputs

    def size(self, split: str, /) -> int:
        """How many examples a split has; of the training split, how many an epoch has."""
        ...

    def inputs(self, split: str, /) -> tuple[Floats, NDArray[np.int64]]:
        """All of a split: inputs (examples, *shape), and the true classes (examples,) as indices into `labels`."""
        ...

    def class_weights(self) -> dict[int, float] | None:
        """By what the loss of an example counts in training, for each class by its index; None: all the same."""
        ...

    def epochs(
        self, start: int, stop: int, seed: int, retarget: Retarget | None = None
    ) -> Generator[Examples, None, None]:
        """The training examples of each epoch from start to stop (counted from 0), in the order to train on.

        An epoch depends on the seed and its number alone, so that a training which goes on sees what it would have
        seen. With `retarget` the targets are what that makes of the inputs and the data's own targets.
        """
        ...
