"""What training minimises and watches: one row of one table a task, and one for two classes by a single output."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hybridq.data.task import (
    PART,
    Examples,
    Floats,
    LazyExamples,
    LazyInputs,
    Task,
    TrainingData,
    Truth,
    parts_of,
    targets_of,
)
from hybridq.training.evaluation import ErrorSums, explained, r_squared

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Learning:
    """loss: of the share of label smoothing; metrics: those of Keras, by the names that `validate` reads.

    targets: what the network answers with, of the targets of the data.
    """

    loss: Callable[[float], Any]
    metrics: Callable[[], list[Any]]
    targets: Callable[[Floats], Floats] = lambda targets: targets


def _cross_entropy(label_smoothing: float) -> Any:
    import keras

    return keras.losses.CategoricalCrossentropy(label_smoothing=label_smoothing)


def _of_classes() -> list[Any]:
    import keras

    return [
        keras.metrics.CategoricalAccuracy(name="accuracy"),
        keras.metrics.CategoricalCrossentropy(name="cross_entropy"),
    ]


def _binary_cross_entropy(label_smoothing: float) -> Any:
    import keras

    return keras.losses.BinaryCrossentropy(label_smoothing=label_smoothing)


def same_class(targets: Any, probabilities: Any) -> Any:
    """Whether both are above a half: a teacher's targets are no ones and zeros."""
    from keras import ops

    return ops.cast((targets > 0.5) == (probabilities > 0.5), "float32")


def _of_two_classes() -> list[Any]:
    import keras

    return [
        keras.metrics.MeanMetricWrapper(same_class, name="accuracy"),
        keras.metrics.BinaryCrossentropy(name="cross_entropy"),
    ]


def _squared_error(_: float) -> Any:
    import keras

    return keras.losses.MeanSquaredError()


def _of_numbers() -> list[Any]:
    import keras

    return [keras.metrics.MeanSquaredError(name="squared_error")]


LEARNING = {
    Task.CLASSIFY: Learning(_cross_entropy, _of_classes),
    Task.REGRESS: Learning(_squared_error, _of_numbers),
    Task.RECONSTRUCT: Learning(_squared_error, _of_numbers),
}
BY_ONE_OUTPUT = Learning(_binary_cross_entropy, _of_two_classes, lambda targets: targets[:, 1:])  # of the second class


def learning_of(model: keras.Model, task: Task) -> Learning:
    """What a network learns of a task: two classes may be told apart by one output, the probability of the second."""
    return BY_ONE_OUTPUT if task is Task.CLASSIFY and model.outputs[0].shape[-1] == 1 else LEARNING[task]


@dataclass(frozen=True)
class Score:
    """A network on the validation examples.

    `loss` is what training minimises there, `error` the same of the labels as they are: mean cross-entropy (nats) or
    mean squared error. `percent` is the one figure by which networks are compared: the accuracy, or R2, which says what
    share of the variance is explained. `accuracy` (percent) is None where there are no classes.
    """

    loss: float
    error: float
    percent: float
    accuracy: float | None


def validate(model: keras.Model, data: TrainingData) -> Score:
    """A compiled model on the validation examples."""
    inputs, truth = data.inputs("validation")
    learning = learning_of(model, data.task)
    if isinstance(inputs, np.ndarray):
        targets: Floats = targets_of(data.task, inputs, truth, data.labels)
        given: dict[str, Any] = {"x": inputs, "y": learning.targets(targets), "batch_size": PART}
    else:
        given = {"x": batches(_Examples(data, inputs, truth), PART, learning.targets)}
    scores: dict[str, float] = model.evaluate(**given, verbose=0, return_dict=True)
    if data.task is Task.CLASSIFY:
        accuracy = 100 * scores["accuracy"]
        return Score(scores["loss"], scores["cross_entropy"], accuracy, accuracy)
    error = scores["squared_error"]
    if data.task is Task.REGRESS:
        percent = r_squared(error, truth)
    else:
        percent = r_squared(error, inputs) if isinstance(inputs, np.ndarray) else explained(error, _variance(inputs))
    return Score(scores["loss"], error, percent, None)


@dataclass(frozen=True)
class _Examples:
    """Examples that are no training, as they are read."""

    data: TrainingData
    inputs: LazyInputs
    truth: Truth

    def __len__(self) -> int:
        return len(self.inputs)

    def part(self, first: int, stop: int, /) -> Examples:
        """Inputs and targets from `first` to `stop`."""
        read = self.inputs[first:stop]
        return read, targets_of(self.data.task, read, self.truth[first:stop], self.data.labels)


def _variance(inputs: LazyInputs) -> float:
    """The variance of each number over all inputs, its mean over the numbers. They are read once more for it."""
    sums: ErrorSums | None = None
    for read in parts_of(inputs):
        numbers = read.reshape(len(read), -1).astype(np.float64)
        sums = sums or ErrorSums.none(numbers.shape[1])
        sums.add(numbers, numbers)
    assert sums
    return sums.variance


def batches(examples: LazyExamples, size: int, targets: Callable[[Floats], Floats]) -> Any:
    """Lazy examples as Keras takes them: batches by their numbers; `targets` makes a network's of the data's."""
    import keras

    class Batches(keras.utils.PyDataset):  # type: ignore[misc]
        def __len__(self) -> int:
            return math.ceil(len(examples) / size)

        def __getitem__(self, number: int) -> Examples:
            inputs, answers = examples.part(number * size, min((number + 1) * size, len(examples)))
            return inputs, targets(answers)

    return Batches()
