"""Training on whatever data: classes, numbers and reconstructions of plain arrays, in which nothing sounds."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from conftest import answers
from small_training import Notes

from hybridq.data import lazy_inputs
from hybridq.data import task as task_module
from hybridq.data.arrays import read_arrays
from hybridq.data.samples import Samples, samples_of
from hybridq.data.settings import ArraysData, LayersAugment
from hybridq.data.task import Task, parts_of
from hybridq.runs.load_network import Trained
from hybridq.runs.measurement import measured
from hybridq.runs.model_folder import Bundle
from hybridq.training.evaluation import evaluated
from hybridq.training.fit import compile_model, train
from hybridq.training.settings import TrainingSettings
from hybridq.training.tasks import validate

SETTINGS = TrainingSettings(epochs=8, batch=8, learning_rate=0.03, average=0.5)


def points(task: Task, **settings) -> Samples:
    """Which corner of a square a point is near (one corner has few points), or a sum of its coordinates."""
    rng = np.random.default_rng(0)
    truth = rng.choice(3, 120, p=[0.45, 0.45, 0.1])
    x = np.array([[-1, -1], [1, 1], [1, -1]])[truth] + rng.normal(0, 0.3, (120, 2))
    y = {Task.CLASSIFY: truth, Task.REGRESS: x @ [1, -2], Task.RECONSTRUCT: (truth == 2).astype(int)}[task]
    given = ArraysData(arrays="points.npz", validation=0.25, test=0.25, **settings)
    return samples_of({"x": x, "y": y}, given, task, "points", "points.npz")


def network(outputs: int = 3, ending: str = "softmax"):
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    inputs = keras.Input((2,), name="input")
    hidden = layers.Dense(8, activation="relu", name="dense")(inputs)
    return keras.Model(inputs, layers.Dense(outputs, activation=ending, name="dense_1")(hidden))


def test_classes_are_learnt_also_after_a_stop_and_from_a_teacher(tmp_path):
    task, model, again = points(Task.CLASSIFY, balance=True), network(), network()
    history = train(model, task, SETTINGS, tmp_path / "a", Notes())
    assert history.best.validation_accuracy > 90
    inputs, truth = task.inputs("validation")
    right = np.mean(answers(model, inputs).argmax(1) == truth)
    assert validate(model, task).accuracy == pytest.approx(100 * right)

    with pytest.raises(KeyboardInterrupt):
        train(again, task, SETTINGS, tmp_path / "b", Notes(stop_after=3))
    resumed = train(network(), task, SETTINGS, tmp_path / "b", Notes(), resume=True)
    assert resumed.epochs == history.epochs

    pupil = network()
    taught = train(pupil, task, SETTINGS, tmp_path / "c", Notes(), teachers=[model])
    assert taught.best.validation_accuracy > 90
    assert taught.epochs != history.epochs


@pytest.mark.parametrize("task", [Task.REGRESS, Task.RECONSTRUCT])
def test_numbers_are_learnt_and_the_lowest_loss_is_kept(task, tmp_path):
    data = points(task)
    model = network(data.outputs[0], "linear")
    history = train(model, data, SETTINGS, tmp_path / "a", Notes())
    assert all(epoch.validation_accuracy is None for epoch in history.epochs)
    assert history.best.validation_loss == min(epoch.validation_loss for epoch in history.epochs)
    score = validate(model, data)
    assert score.error == pytest.approx(history.best.validation_loss, rel=1e-4)
    assert 50 < score.percent <= 100
    inputs, truth = data.inputs("validation")
    scored = evaluated(task, answers(model, inputs), inputs, truth, ())
    assert scored.r2 == pytest.approx(score.percent, abs=0.1)


def test_a_resumed_run_sees_the_changes_that_it_would_have_seen():
    rng = np.random.default_rng(0)
    arrays = {"x": rng.integers(0, 256, (40, 6, 6, 1)).astype(np.uint8), "y": np.arange(40) % 2}
    layers = LayersAugment(layers=[{"RandomFlip": {"mode": "horizontal"}}, {"RandomTranslation": {
        "height_factor": 0.3, "width_factor": 0.3}}])  # fmt: skip
    given = ArraysData(arrays="a.npz", normalise="unit")
    data = samples_of(arrays, given, Task.CLASSIFY, "a", "a.npz", augment=layers)
    whole = [epoch.part(0, 8)[0] for epoch in data.epochs(0, 3, seed=5)]
    resumed = [epoch.part(0, 8)[0] for epoch in data.epochs(2, 3, seed=5)]
    assert np.array_equal(whole[2], resumed[0])
    assert not np.array_equal(whole[0], whole[1])
    plain = samples_of(arrays, given, Task.CLASSIFY, "a", "a.npz")
    assert not np.array_equal(next(plain.epochs(0, 1, seed=5)).part(0, 8)[0], whole[0])
    assert np.array_equal(data.inputs("test")[0], plain.inputs("test")[0])  # training alone is changed


@pytest.mark.parametrize("task", Task)
def test_what_is_read_in_parts_scores_the_same(task, monkeypatch):
    """Validation and test of more than the memory holds."""
    data = points(task)
    ending = "softmax" if task is Task.CLASSIFY else "linear"
    model = network(data.outputs[0], ending)
    compile_model(model, SETTINGS, task)
    bundle = Bundle(Path(), data.labels, None, None, {}, "", task=task)
    vars(bundle)["model"] = model
    trained = Trained("points", bundle)
    whole = validate(model, data), measured(trained, *data.inputs("test"), data.labels).keras
    everything = data.inputs("all")[0]
    monkeypatch.setattr(lazy_inputs, "MOST_BYTES", 0)
    monkeypatch.setattr(task_module, "PART", 7)
    for split in ("validation", "test", "all"):
        assert not isinstance(data.inputs(split)[0], np.ndarray)
    assert np.array_equal(np.concatenate(list(parts_of(data.inputs("all")[0]))), everything)
    parts = validate(model, data), measured(trained, *data.inputs("test"), data.labels).keras
    for one, other in zip(*(vars(score).values() for score, _ in (parts, whole)), strict=True):
        assert one == (other and pytest.approx(other, rel=1e-5))
    assert parts[1].score == pytest.approx(whole[1].score, rel=1e-6)
    assert parts[1].metrics == pytest.approx(whole[1].metrics, rel=1e-6)


def test_validation_and_test_need_no_memory(tmp_path):
    """Each of 400 MB as float32."""
    rows, columns = 10_000, 10_000
    for split in ("train", "validation", "test"):
        np.lib.format.open_memmap(tmp_path / f"x_{split}.npy", "w+", np.uint8, (rows, columns)).flush()
        np.save(tmp_path / f"y_{split}.npy", np.arange(rows) % 2)
    tracemalloc.start()
    data = samples_of(read_arrays(tmp_path), ArraysData(arrays="a"), Task.CLASSIFY, "a", "a")
    read = [sum(part.sum() for part in parts_of(data.inputs(split)[0])) for split in ("validation", "test", "all")]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert read == [0, 0, 0]
    assert peak < 200e6
