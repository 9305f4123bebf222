"""Recipes on data and networks of the user's own: trained, compared, reproduced, reported as those on sound."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from conftest import REPOSITORY, Run, command

from hybridq.backend.tensorflow import load_tensorflow
from hybridq.data.task import SPLITS
from hybridq.profiler import profile
from hybridq.recipe.file import load_recipe
from hybridq.runs.experiment import check_ready, graph_of, network
from hybridq.runs.load_network import find_trained
from hybridq.runs.run_recipe import fingerprint_of
from hybridq.runs.sources import open_dataset
from hybridq.tracking import open_store

FILES = {
    "float.yaml": """
        data: {arrays: motions.npz, normalise: per_channel}
        model: {keras: net.keras}
        training: {epochs: 4, batch: 16, learning_rate: 0.05}
        accounting: packed
        """,
    "int8.yaml": """
        extends: float.yaml
        start_from: float.yaml
        precision: {"*": {weights: 8-bit, outputs: 8-bit}}
        training: {epochs: 1}
        search: {training.learning_rate: {choices: [0.001]}}
        """,
    "numbers.yaml": """
        task: regress
        data: {python: "own.py:numbers", synthetic: true}
        model: {python: "own.py:network"}
        training: {epochs: 3, batch: 16, learning_rate: 0.01}
        """,
    "anomaly.yaml": """
        task: reconstruct
        data: {python: "own.py:machine"}
        model: {python: "own.py:network"}
        precision: {"*": {weights: 8-bit, outputs: 8-bit}}
        training: {epochs: 3, batch: 16, learning_rate: 0.01}
        """,
}
OWN = """
import keras
import numpy as np
from keras import layers

RNG = np.random.default_rng(1)

def numbers():
    x = RNG.normal(0, 1, (160, 6)).astype("float32")
    return x, x[:, :2] + 1

def machine():
    x = np.concatenate([RNG.normal(0, 0.2, (160, 6)) + np.linspace(0, 2, 6), RNG.normal(0, 2, (40, 6))])
    return {"x": x, "y": np.repeat([0, 1], [160, 40])}

def network(shape, outputs):
    inputs = x = keras.Input(shape, name="input")
    x = layers.Dense(4, activation="relu", name="dense")(x)
    return keras.Model(inputs, layers.Dense(outputs, name="dense_1")(x))
"""
MOTIONS = ("lying down", "running", "walking")


def written(home: Path) -> Path:
    """The recipes with their data and networks in a folder."""
    load_tensorflow()  # before Keras does, with the threads that a worker has: they decide the last digits of weights
    import keras
    from keras import layers

    home.mkdir(exist_ok=True)
    for name, text in FILES.items():
        (home / name).write_text("\n".join(line[8:] for line in text.splitlines()))
    (home / "own.py").write_text(OWN)
    rng, phase = np.random.default_rng(0), np.arange(16) / 2
    y = np.arange(120) % 3
    x = 9.8 + y[:, None, None] * np.sin(phase)[:, None] + rng.normal(0, 0.3, (120, 16, 2))
    np.savez(home / "motions.npz", x=x, y=y, groups=np.arange(120) // 12, labels=np.array(MOTIONS))
    keras.utils.set_random_seed(0)
    inputs = x = keras.Input((16, 2), name="input")
    x = layers.Conv1D(4, 3, activation="relu", name="conv1d")(x)
    x = layers.GlobalAveragePooling1D(name="pool")(x)
    keras.Model(inputs, layers.Dense(3, activation="softmax", name="dense")(x)).save(home / "net.keras")
    return home


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All of them trained, by a sweep in this process."""
    folder = written(tmp_path_factory.mktemp("own") / "recipes")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder.parent)
        assert command("sweep", "recipes") == 0
    return folder.parent


@pytest.fixture
def at_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)


@pytest.mark.usefixtures("at_home")
def test_every_task_logs_its_figures_its_network_and_why_there_is_no_integer_one() -> None:
    store = open_store()
    runs = {run.name: run for run in store.runs() if run.params}
    assert set(runs) == {"float", "int8", "numbers", "anomaly"}
    classes = {"test accuracy %", "test accuracy low %", "validation accuracy best %", "validation cross-entropy"}
    numbers = {"test R2 %", "test squared error", "test absolute error", "validation R2 best %"}
    assert classes <= set(runs["float"].metrics)
    assert classes | {"integer test accuracy %", "integer agreement %"} <= set(runs["int8"].metrics)
    assert numbers <= set(runs["numbers"].metrics)
    assert not {"test accuracy %", "training accuracy %"} & set(runs["numbers"].metrics)
    assert numbers | {"test anomaly AUC", "integer test R2 %", "training loss"} <= set(runs["anomaly"].metrics)
    assert runs["anomaly"].metrics["test anomaly AUC"] > 0.8
    assert runs["int8"].tags["data.words"] == "lying down, running, walking"
    assert store.clips(runs["anomaly"].id) == {"training": 128, "validation": 16, "test": 56}
    for run in runs.values():
        names = {path.name for path in store.download(run.id, "model").iterdir()}
        assert names == {"model.keras", "hybridq.json"}
        assert ("network.sha256" in run.tags) == (run.name in ("int8", "anomaly"))
    trained = find_trained("int8", store)
    assert trained.bundle
    assert trained.bundle.standardisation.changes
    assert trained.integers
    assert trained.integers.description.normalisation == asdict(trained.bundle.standardisation)
    x = np.load("recipes/motions.npz")["x"]
    data = open_dataset(load_recipe("recipes/int8.yaml"))
    chosen = data.splits["test"].places
    assert np.array_equal(trained.bundle.standardisation.apply(x)[chosen], data.inputs("test")[0])


@pytest.mark.usefixtures("at_home")
def test_tables_and_the_report_say_samples_and_classes(run: Run) -> None:
    code, out, _ = run("compare", "float", "int8")
    assert code == 0
    assert "Data: motions; 3 classes (lying down, running, walking)." in out
    code, out, _ = run("compare", "numbers", "anomaly")
    assert code == 0
    assert "R2" in out
    assert "AUC" in out
    assert "SYNTHETIC DATA" in out
    code, out, _ = run("evaluate", "anomaly")
    assert code == 0
    assert "anomaly AUC" in out
    code, out, _ = run("evaluate", "int8", "--split", "validation")
    assert "validation samples; mean of the classes" in " ".join(out.split())
    assert "lying down" in out
    store = open_store()
    (parent,) = (one for one in store.runs() if "sweep" in one.tags)
    page = store.download(parent.id, "report.html").read_text(encoding="utf-8")
    for expected in ("Which classes are confused", "true class", "lying down", "Samples", "Loss on the validation"):
        assert expected in page
    for sound in ("clips of", "word said", "Words"):
        assert sound not in page


@pytest.mark.usefixtures("at_home")
def test_a_run_is_taken_as_it_is_and_reproduced_to_the_last_bit(run: Run) -> None:
    code, _, err = run("train", "recipes/int8.yaml", "--resume")
    assert code == 0
    assert "int8: trained already" in err
    code, out, _ = run("reproduce", "anomaly", "--format", "json")
    assert code == 0
    assert json.loads(out)["same_weights"]


def test_a_worker_process_makes_the_same_weights(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(home / "recipes", tmp_path / "recipes")
    monkeypatch.chdir(tmp_path)
    assert command("sweep", "recipes/float.yaml", "--workers", 2) == 0
    (here,) = (run for run in open_store().runs() if run.params)
    monkeypatch.chdir(home)
    (there,) = (run for run in open_store().runs() if run.name == "float")
    assert here.tags["weights.sha256"] == there.tags["weights.sha256"]
    assert here.metrics["test accuracy %"] == there.metrics["test accuracy %"]


@pytest.mark.usefixtures("at_home")
def test_a_search_over_values_finds_its_way(run: Run) -> None:
    code, out, _ = run("search", "recipes/int8.yaml", "--trials", 1, "--out", "found.yaml")
    assert code == 0
    assert "validation" in out
    assert load_recipe("found.yaml").training.learning_rate == 0.001


@pytest.mark.parametrize("file", ["images/hybrid", "sensors/hybrid", "anomaly/hybrid"])
def test_the_recipes_that_come_along_are_ready(file: str) -> None:
    recipe = load_recipe(REPOSITORY / "recipes" / f"{file}.yaml")
    check_ready(recipe)
    data, cost = open_dataset(recipe), profile(graph_of(recipe), recipe.target, recipe.plan, recipe.accounting)
    assert data.synthetic is (file != "images/hybrid")
    assert all(data.size(split) > 100 for split in SPLITS)
    assert cost.to_json()["totals"]["fits"]


def test_a_network_of_networks_is_known_by_its_flat_names_before_it_is_built(tmp_path: Path) -> None:
    import keras
    from keras import layers

    inner = keras.Sequential([keras.Input((16, 2)), layers.Conv1D(4, 3, name="conv"), layers.ReLU()], name="backbone")
    ending = [layers.Flatten(), layers.Dense(3, activation="softmax", name="dense")]
    home = written(tmp_path / "a")
    keras.Sequential([keras.Input((16, 2)), inner, *ending]).save(home / "net.keras")
    recipe = load_recipe(home / "float.yaml", ['precision={"backbone_conv": "4-bit", "*": {"outputs": "8-bit"}}'])
    check_ready(recipe)
    names = [op.name for op in graph_of(recipe).weighted]
    made = network(recipe, open_dataset(recipe))
    assert names == [layer.name for layer in made.layers if layer.weights] == ["backbone_conv", "dense"]
    assert type(made.get_layer("backbone_conv")).__name__ == "QConv1D"


def test_the_fingerprint_covers_arrays_and_files_and_no_path(tmp_path: Path) -> None:
    home, moved = written(tmp_path / "a"), tmp_path / "b"

    def fingerprint(folder: Path, name: str) -> str:
        recipe = load_recipe(folder / name)
        check_ready(recipe)
        return fingerprint_of(recipe, open_dataset(recipe))

    before = {name: fingerprint(home, name) for name in FILES}
    assert len(set(before.values())) == len(FILES)
    shutil.copytree(home, moved)
    assert {name: fingerprint(moved, name) for name in FILES} == before
    (moved / "own.py").write_text(OWN + "# a word more\n")
    arrays = dict(np.load(moved / "motions.npz"))
    arrays["x"][5, 3, 1] += 1
    np.savez(moved / "motions.npz", **arrays)
    assert all(fingerprint(moved, name) != before[name] for name in FILES)
    shutil.copy(home / "motions.npz", moved)
    assert fingerprint(moved, "float.yaml") == before["float.yaml"]
    import keras

    other = keras.models.load_model(moved / "net.keras")
    other.set_weights([weight + 1 for weight in other.get_weights()])
    other.save(moved / "net.keras")
    assert fingerprint(moved, "float.yaml") != before["float.yaml"]
