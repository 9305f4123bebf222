"""Training on whatever data: a task of plain arrays, in which nothing sounds."""

from collections.abc import Generator

import numpy as np
import pytest
from numpy.typing import NDArray
from small_training import Notes

from hybridq.data.task import Examples, Floats, Retarget, TrainingData
from hybridq.training.fit import train, validate
from hybridq.training.settings import TrainingSettings

SIZES = {"training": 60, "validation": 30, "test": 30}


class Points(TrainingData):
    """Which corner of a square a point is near; one corner has few points."""

    labels = ("lower left", "upper right", "lower right")

    def __init__(self) -> None:
        corners = np.array([[-1, -1], [1, 1], [1, -1]], np.float32)
        self.splits = {}
        for seed, (split, count) in enumerate(SIZES.items()):
            rng = np.random.default_rng(seed)
            truth = rng.choice(3, count, p=[0.45, 0.45, 0.1])
            points = corners[truth] + rng.normal(0, 0.3, (count, 2))
            self.splits[split] = points.astype(np.float32), truth

    def size(self, split: str, /) -> int:
        return SIZES[split]

    def inputs(self, split: str, /) -> tuple[Floats, NDArray[np.int64]]:
        return self.splits[split]

    def class_weights(self) -> dict[int, float] | None:
        counts = np.bincount(self.splits["training"][1])
        return {i: float(counts.mean() / count) for i, count in enumerate(counts)}

    def epochs(
        self, start: int, stop: int, seed: int, retarget: Retarget | None = None
    ) -> Generator[Examples, None, None]:
        points, truth = self.splits["training"]
        for number in range(start, stop):
            order = np.random.default_rng((seed, number)).permutation(len(truth))
            inputs, targets = points[order], np.eye(3, dtype=np.float32)[truth[order]]
            yield inputs, retarget(inputs, targets) if retarget else targets


def network():
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    inputs = keras.Input((2,), name="input")
    hidden = layers.Dense(8, activation="relu", name="dense")(inputs)
    return keras.Model(inputs, layers.Dense(3, activation="softmax", name="dense_1")(hidden))


SETTINGS = TrainingSettings(epochs=8, batch=8, learning_rate=0.03, average=0.5)


def test_a_task_of_arrays_is_learnt_also_after_a_stop_and_from_a_teacher(tmp_path):
    task, model, again = Points(), network(), network()
    history = train(model, task, SETTINGS, tmp_path / "a", Notes())
    assert history.best.validation_accuracy > 90
    inputs, truth = task.inputs("validation")
    right = np.mean(model.predict(inputs, verbose=0).argmax(1) == truth)
    assert validate(model, task)["accuracy"] == pytest.approx(right)

    with pytest.raises(KeyboardInterrupt):
        train(again, task, SETTINGS, tmp_path / "b", Notes(stop_after=3))
    resumed = train(network(), task, SETTINGS, tmp_path / "b", Notes(), resume=True)
    assert resumed.epochs == history.epochs

    pupil = network()
    taught = train(pupil, task, SETTINGS, tmp_path / "c", Notes(), teachers=[model])
    assert taught.best.validation_accuracy > 90
    assert taught.epochs != history.epochs
