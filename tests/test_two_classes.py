"""Two classes by one output of sigmoid; and a recipe on own data that is taught, pruned, interrupted and resumed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Run, command

import hybridq
from hybridq.integer.artefact import load_network
from hybridq.recipe.file import load_recipe
from hybridq.runs.experiment import check_ready
from hybridq.runs.log import EpochLog
from hybridq.runs.sources import open_dataset
from hybridq.tracking import open_store

FILES = {
    "float.yaml": """
        data: {arrays: worn.npz}
        model: {python: "own.py:network"}
        training: {epochs: 6, batch: 16, learning_rate: 0.03}
        accounting: packed
        """,
    "narrow.yaml": """
        extends: float.yaml
        start_from: float.yaml
        teacher: float.yaml
        precision: {"*": {weights: 8-bit, outputs: 8-bit}, dense: 4-bit}
        training: {epochs: 3, teacher_share: 0.5, prune: {sparsity: 0.5, last: 2}}
        """,
}
OWN = """
import keras
from keras import layers

def network(shape):
    inputs = keras.Input(shape, name="input")
    x = layers.Dense(8, activation="relu", name="dense")(inputs)
    x = layers.Dropout(0.2, name="dropout")(x)
    return keras.Model(inputs, layers.Dense(1, activation="sigmoid", name="last")(x))
"""
LABELS = ("normal", "worn")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The narrow network trained, after the one that it starts from and is taught by; interrupted, and resumed."""
    folder = tmp_path_factory.mktemp("two")
    for name, text in FILES.items():
        (folder / name).write_text("\n".join(line[8:] for line in text.splitlines()))
    (folder / "own.py").write_text(OWN)
    rng = np.random.default_rng(0)
    y = np.arange(200) % 4 == 0
    x = rng.normal(0, 0.6, (200, 6)) + y[:, None] * np.array([1, -1, 1, 0, 0, 1])
    np.savez(folder / "worn.npz", x=x, y=np.array(LABELS)[y.astype(int)])
    batch = EpochLog.batch

    def interrupt(log: EpochLog, epoch: int, share: float) -> None:
        if log.run.name == "narrow" and epoch == 2:
            raise KeyboardInterrupt
        batch(log, epoch, share)

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        with pytest.MonkeyPatch.context() as once:
            once.setattr(EpochLog, "batch", interrupt)
            assert command("train", "narrow.yaml") == 130
        assert command("train", "narrow.yaml", "--resume") == 0
    return folder


@pytest.fixture(autouse=True)
def at_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)


def test_it_is_measured_as_any_classes_are() -> None:
    runs = {run.name: run for run in open_store().runs()}
    assert set(runs) == {"float", "narrow"}
    for run in runs.values():
        assert run.status == "FINISHED"
        assert run.tags["data.words"] == "normal, worn"
        assert 85 < run.metrics["test accuracy low %"] + 15 < run.metrics["test accuracy %"] + 15
        assert run.metrics["validation cross-entropy"] < 0.5
    narrow = runs["narrow"]
    assert narrow.metrics["integer agreement %"] > 90
    assert narrow.metrics["training accuracy %"] > 80  # of targets that are half the teacher's
    assert narrow.tags["taught by"] == narrow.tags["started from"] == runs["float"].id


def test_a_training_that_was_interrupted_ends_as_one_that_was_not(run: Run) -> None:
    code, out, err = run("reproduce", "narrow", "--format", "json")
    assert code == 0, err
    assert json.loads(out)["same_weights"]


def test_half_of_the_weights_are_pruned() -> None:
    store = open_store()
    network = load_network(store.download(store.find("narrow").id, "network.hqn"))
    weights: Any = network.layers[0]
    assert weights.name == "dense"
    assert np.mean(weights.weights == 0) >= 0.5


def test_evaluate_says_the_same_in_every_way(run: Run) -> None:
    arrays = np.load("worn.npz")
    np.save("x.npy", arrays["x"])
    np.save("y.npy", arrays["y"])
    samples = ("--inputs", "x.npy", "--labels", "y.npy", "--format", "json")
    code, out, err = run("evaluate", "narrow", *samples)
    assert code == 0, err
    found = json.loads(out)["integer"]
    assert found["labels"] == list(LABELS)
    assert found["accuracy"] > 85
    code, out, err = run("evaluate", "narrow", "--split", "all", "--format", "json")
    assert code == 0, err
    assert json.loads(out)["integer"]["confusion"] == found["confusion"]
    store = open_store()
    net = hybridq.load(store.download(store.find("narrow").id, "network.hqn"))
    assert net.evaluate(arrays["x"], arrays["y"]).to_json()["confusion"] == found["confusion"]


def test_its_image_computes_the_same(run: Run) -> None:
    pytest.importorskip("unicorn", reason="needs pip install hybridq[deploy]")
    np.save("x.npy", np.load("worn.npz")["x"][:50])
    np.save("y.npy", np.load("worn.npz")["y"][:50])
    assert run("export", "narrow", "--out", "image")[0] == 0
    code, out, err = run(
        "verify", "image", "--inputs", "x.npy", "--labels", "y.npy", "--emulated", 3, "--format", "json"
    )
    assert code == 0, err
    said = json.loads(out)
    assert said["exact"]
    assert said["accuracy"] > 80


def test_sizes_and_times_are_foretold(run: Run) -> None:
    check_ready(load_recipe("narrow.yaml"))
    assert open_dataset(load_recipe("narrow.yaml")).outputs == (2,)
    code, out, err = run("sweep", "narrow.yaml", "--dry-run")
    assert code == 0, err
    assert "narrow" in out
