"""What training asks of data: examples in splits, what is to be learnt of them, and epochs of training examples.

Whatever gives these can be trained on, be it sound, images or arrays: see `training.fit.train`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from enum import StrEnum
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Truth = NDArray[Any]  # see Task
Examples = tuple[Floats, Floats]  # inputs (examples, *shape), targets (examples, *outputs)
Retarget = Callable[[Floats, Floats], Floats]  # inputs and targets of some examples -> other targets for them
SPLITS = ("training", "validation", "test")
SYNTHETIC_WARNING = "synthetic data: for trying the tool, not a result"
MOST_LISTED = 20  # classes in a line
CLIPS, SAMPLES = "clips", "samples"  # what examples are called


class Task(StrEnum):
    """What is learnt, and what is known of an example, its truth.

    classify: a probability for each class; truth (examples,) is the index of the class. regress: numbers; truth
    (examples, outputs) float. reconstruct: the input itself; truth (examples,) is 0 where an example is normal, 1 where
    it is an anomaly.
    """

    CLASSIFY = "classify"
    REGRESS = "regress"
    RECONSTRUCT = "reconstruct"


class LazyExamples(Protocol):
    """The examples of an epoch, made when they are asked for: so they need not all be in memory."""

    def __len__(self) -> int: ...

    def part(self, first: int, stop: int, /) -> Examples:
        """Those from `first` to `stop`, in the order to train on; asked for again they are the same."""
        ...


class LazyInputs(Protocol):
    """Inputs (examples, *shape) that are read when they are asked for: so they need not all be in memory."""

    def __len__(self) -> int: ...

    def __getitem__(self, which: slice, /) -> Floats: ...


Inputs = Floats | LazyInputs
PART = 256  # lazy inputs that are read at a time


class TrainingData(Protocol):
    """Examples in the splits "training", "validation" and "test"."""

    name: str  # for a person
    place: str  # where it lies: a path, for a person
    task: Task
    labels: tuple[str, ...]  # the names of the classes, in the order of the network's outputs; () where there are none
    synthetic: bool  # made up: what is measured on it is no result
    unit: str  # what an example is called, in the plural: "clips", "samples"

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of all content that decides what is learnt."""
        ...

    @property
    def synthetic_digest(self) -> str:
        """SHA-256 (hex) of what is made up and mixed into training; "" where nothing is."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """That of an input."""
        ...

    @property
    def outputs(self) -> tuple[int, ...]:
        """The shape of what a network is to answer with."""
        ...

    def size(self, split: str, /) -> int:
        """How many examples a split has; of the training split, how many an epoch has."""
        ...

    def inputs(self, split: str, /) -> tuple[Inputs, Truth]:
        """All of a split: inputs (examples, *shape), lazy ones where they are many, and the truth of each."""
        ...

    def calibration(self, most: int, /) -> Floats:
        """About `most` training inputs (n, *shape), evenly spaced over the split."""
        ...

    def annotations(self, split: str, /) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The word in each example of a split, where a class has several, and notes on the split, a line each."""
        ...

    def class_weights(self) -> dict[int, float] | None:
        """By what the loss of an example counts in training, for each class by its index; None: all the same."""
        ...

    def epochs(
        self, start: int, stop: int, seed: int, retarget: Retarget | None = None
    ) -> Generator[Examples | LazyExamples, None, None]:
        """The training examples of each epoch from start to stop (counted from 0), in the order to train on.

        An epoch depends on the seed and its number alone, so that a training which goes on sees what it would have
        seen. With `retarget` the targets are what that makes of the inputs and the data's own targets.
        """
        ...


def counts(data: TrainingData) -> dict[str, int]:
    """How many examples each split has."""
    return {split: data.size(split) for split in SPLITS}


def classes_in_words(labels: Sequence[str], unit: str) -> str:
    """Which classes there are, in a line: "2 words (no yes)", "3 classes (cat, dog, big bird)"; "" where none are."""
    if unit == CLIPS:
        return f"{len(labels)} words ({' '.join(labels)})"
    listed = ", ".join(labels[:MOST_LISTED]) + ", ..." * (len(labels) > MOST_LISTED)
    return f"{len(labels)} classes ({listed})" if labels else ""


def parts_of(inputs: Inputs) -> Iterator[Floats]:
    """Inputs as they lie in memory or, of lazy ones, some after the other."""
    if isinstance(inputs, np.ndarray):
        yield inputs
    else:
        yield from (inputs[first : first + PART] for first in range(0, len(inputs), PART))


def evenly(count: int, most: int) -> slice:
    """At most so many of `count` places, evenly spaced, the first one among them."""
    return slice(None, None, max(1, -(-count // most)))


def targets_of(task: Task, inputs: Floats, truth: Truth, labels: Sequence[str]) -> Floats:
    """What a network is to answer with: a one and zeros for each class, numbers, or the inputs themselves."""
    if task is Task.RECONSTRUCT:
        return inputs
    if task is Task.REGRESS:
        return np.asarray(truth, np.float32)
    made: Floats = np.eye(len(labels), dtype=np.float32)[truth]
    return made
