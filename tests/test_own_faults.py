"""Bad data and networks in a recipe: one line, exit status 2, the recipe's line where it is about a key."""

from pathlib import Path

import numpy as np
import pytest
from conftest import Run

RECIPE = """\
name: bad
data:
  arrays: a.npz
model:
  python: net.py:dense
training: {epochs: 1}
"""
NETWORKS = """\
import keras
from keras import layers

def built(shape, outputs, ending="softmax"):
    inputs = keras.Input(shape, name="input")
    x = layers.Flatten(name="flatten")(inputs)
    return keras.Model(inputs, layers.Dense(outputs, activation=ending, name="dense")(x))

def dense(shape, outputs):
    return built(shape, outputs)

def too_few(shape, outputs):
    return built(shape, outputs - 1)

def other_inputs(outputs):
    return built((7,), outputs)

def logits(shape, outputs):
    return built(shape, outputs, "linear")

def asks(shape, colours):
    return None

def twice(shape, outputs):
    inputs = keras.Input(shape, name="input")
    ending = layers.Dense(outputs, activation="softmax", name="dense")(layers.Flatten()(inputs))
    return keras.Model(inputs, [ending, ending])

def code(shape, outputs):
    inputs = keras.Input(shape, name="input")
    return built(shape, outputs).__class__(inputs, layers.Lambda(lambda x: x[:, :3] + 1, name="odd")(inputs))

def no_model():
    return [1, 2]
"""
DATA = """\
import numpy as np
print("a word of its own")

def raises():
    return np.zeros(3)[7]

def one():
    return "x"

def unknown():
    return {"x": np.zeros((9, 2)), "z": np.zeros(9)}

def ragged():
    return [[1, 2], [3]], [0, 1]

def leaves():
    raise SystemExit
"""
GOOD = {"x": np.zeros((30, 4), np.float32), "y": np.arange(30) % 3}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NETWORKS)
    (tmp_path / "data.py").write_text(DATA)
    return tmp_path


def refused(run: Run, home: Path, recipe: str) -> str:
    """What `train` says of a recipe, less the command's name: one line."""
    (home / "a.yaml").write_text(recipe)
    code, out, err = run("train", "a.yaml")
    lines = [line for line in err.splitlines() if line != "a word of its own"]
    assert (code, out, len(lines)) == (2, "", 1), err
    assert "unexpected " not in err
    assert not (home / "mlruns").exists()
    return lines[0].removeprefix("hybridq: ")


def nan() -> np.ndarray:
    x = GOOD["x"].copy()
    x[7, 1] = np.nan
    return x


@pytest.mark.parametrize(("change", "message"), [
    ({"x": GOOD["x"].astype(str)}, "x: must be whole or real numbers (is <U32)"),
    ({"x": GOOD["x"].astype(complex)}, "x: must be whole or real numbers (is complex128)"),
    ({"x": np.zeros(30)}, "x: must be (examples, ...), a row for each example (is (30,))"),
    ({"x": np.zeros((30, 0))}, "x: must be (examples, ...), a row for each example (is (30, 0))"),
    ({"x": np.zeros((0, 4)), "y": np.zeros(0, int)}, "x: has no examples"),
    ({"x": nan()}, "x: example 7 has a NaN or an infinity in it"),
    ({"x": np.array([{}] * 30)}, "x.npy holds pickled Python objects, which are never loaded"),
    ({"x": None}, "no array x, and no x_train: give x, or x_train and what else there is (has y)"),
    ({"y": None}, "no array y, the classes of x"),
    ({"y": np.arange(29) % 3}, "y: has 29 examples, x has 30"),
    ({"y": np.arange(30) % 3 / 1}, "y: classes are whole numbers from 0, or text (is float64); task: regress learns"),
    ({"y": np.eye(3)[np.arange(30) % 3]}, "y: must be (examples,), a class for each (is (30, 3)): take argmax over"),
    ({"y": np.arange(30) % 3 - 1}, "y: example 0 is of class -1; there are 0 to 1"),
    ({"y": np.arange(30) * 1_000_000}, "y: a class 29,000,000; at most 1,000 can be told apart"),
    ({"y": np.zeros(30, int)}, "y: there is one class, '0': two or more can be told apart"),
    ({"y": np.arange(30) % 3 * 2}, "y: no training example of class 1, 3"),
    ({"labels": np.array(["a", "b"])}, "y: example 2 is of class 2; there are 0 to 1"),
    ({"x_test": GOOD["x"]}, "x beside x_train or x_test: give x, or x_train"),
    ({"x": np.full((30, 4), np.inf, np.float16)}, "x: example 0 has a NaN or an infinity in it"),
    ({"x": GOOD["x"] + np.float64(1e39)}, "x: example 0 has a NaN or an infinity in it, or is beyond float32"),
    ({"labels": np.array("cat")}, "labels: must be (classes,), two names or more, all different (is <U3())"),
    ({"labels": np.array(["a", "a", "b"])}, "labels: must be (classes,), two names or more, all different"),
    ({"groups": np.zeros((30, 2))}, "groups: must be (examples,), a group for each (is (30, 2))"),
    ({"groups": np.zeros(30)}, "groups: 1 are too few to draw validation and test from"),
])  # fmt: skip
def test_bad_arrays(run: Run, home: Path, change: dict[str, np.ndarray | None], message: str) -> None:
    arrays = {name: array for name, array in (GOOD | change).items() if array is not None}
    np.savez(home / "a.npz", **arrays)
    said = refused(run, home, RECIPE)
    assert said.startswith("a.yaml:3: data.arrays: a.npz: ")
    assert message in said


@pytest.mark.parametrize(("recipe", "message"), [
    (RECIPE.replace("a.npz", "b.npz"), "a.yaml:3: data.arrays: b.npz: no such file or folder"),
    (RECIPE.replace("a.npz", "net.py"), "a.yaml:3: data.arrays: net.py: damaged, or not an .npz file"),
    (RECIPE.replace("a.npz", "x.npy"), "a.yaml:3: data.arrays: x.npy: one array alone: name the folder"),
    (RECIPE.replace("a.npz", "empty"), "a.yaml:3: data.arrays: empty: no .npy file in this folder"),
    (RECIPE.replace("arrays: a.npz", "images: empty"), "a.yaml:3: data.images: empty: no pictures in class folders"),
    (RECIPE.replace("a.npz", "a.npz\n  validation: 0"), "a.npz: no validation data: give x_validation, or a share as"),
    (RECIPE.replace("a.npz", "a.npz\n  test: 0.95"), "data.validation and data.test: nothing would be left to train"),
    (RECIPE.replace("a.npz", "a.npz\n  normalize: unit"), "a.yaml:4: data.normalize: unknown key; did you mean"),
    (RECIPE.replace("a.npz", "a.npz\n  source: v0.02"), "a.yaml:4: data.source: stands beside data.arrays"),
    (RECIPE.replace("a.npz", "a.npz\n  images: b"), "data.images: stands beside data.arrays"),
    (RECIPE + "features: {hop: 3}\n", "a.yaml:7: features: is for sound; these are arrays"),
    (RECIPE + "task: sort\n", "a.yaml:7: task: 'sort' is not one of classify, regress, reconstruct"),
    (RECIPE.replace("epochs: 1", "synthetic_voices: 9"), "a.yaml:6: training.synthetic_voices: unknown key"),
    (RECIPE.replace("epochs: 1", "augment: {layers: [{Dense: {}}]}"), "augment.layers: each is one of Keras' random"),
    (RECIPE.replace("epochs: 1", "augment: {layers: [{RandomFlop: {}}]}"), "no layer 'RandomFlop'; did you mean"),
    (RECIPE.replace("epochs: 1", "augment: {layers: [{RandomFlip: {mod: x}}]}"), "a.yaml:6: training.augment.layers: "),
    (RECIPE.replace("epochs: 1", "augment: {layers: [{RandomFlip: {}}]}"), "RandomFlip cannot change inputs of (4,)"),
    (RECIPE.replace("model:\n  python: net.py:dense\n", ""), "model: must be given: model.keras or model.python, or a"),
    (RECIPE.replace("python: net.py:dense", "name: cnn"), "a.yaml:5: model.name: cnn reads (rows, columns, 1), an in"),
    (RECIPE.replace("net.py:dense", "net.py"), "a.yaml:5: model.python: "),
    (RECIPE.replace("net.py:dense", "nit.py:dense"), "a.yaml:5: model.python: nit.py: no such file"),
    (RECIPE.replace("net.py:dense", "net.py:danse"), "net.py: no function 'danse'; did you mean 'dense'?"),
    (RECIPE.replace("net.py:dense", "net.py:asks"), "net.py:asks: it asks for colours; there are shape and outputs"),
    (RECIPE.replace("net.py:dense", "net.py:no_model"), "net.py:no_model: returned no Keras model but list"),
    (RECIPE.replace("net.py:dense", "net.py:twice"), "net.py:twice: has 2 outputs; one can be trained here"),
    (RECIPE.replace("net.py:dense", "net.py:code"), "a.yaml:5: model.python: layer 'odd' is a Lambda, code that"),
    (RECIPE.replace("net.py:dense", "net.py:too_few"), "model.python: answers with (2,) (dense), the data wants (3,)"),
    (RECIPE.replace("net.py:dense", "net.py:other_inputs"), "model.python: reads (7,), an input of the data is (4,)"),
    (RECIPE.replace("net.py:dense", "net.py:logits"), "dense: to classify, the last layer needs the activation"),
    (RECIPE.replace("python: net.py:dense", "keras: a.npz"), "a.yaml:5: model.keras: a.npz: not a model file"),
    (RECIPE.replace("python: net.py:dense", "keras: empty"), "a.yaml:5: model.keras: empty: a folder without Keras"),
    (RECIPE + "precision: {conv*: 8-bit}\n", "a.yaml:7: precision: the pattern 'conv*' matches no layer"),
    ("task: regress\n" + RECIPE.replace("net.py:dense", "net.py:too_few"), "net.py:7: too_few raised ValueError: "),
    ("task: regress\nmodel: {name: cnn}\ndata: {images: empty}\n", "a.yaml:3: data.images: empty: no pictures"),
    ("task: regress\n", "a.yaml:1: task: sound can only be classified"),
])  # fmt: skip
def test_bad_recipes(run: Run, home: Path, recipe: str, message: str) -> None:
    np.savez(home / "a.npz", **GOOD)
    np.save(home / "x.npy", GOOD["x"])
    (home / "empty").mkdir()
    assert message in refused(run, home, recipe)


@pytest.mark.parametrize(("function", "message"), [
    ("raises", "data.py:5: raises raised IndexError: index 7 is out of bounds"),
    ("leaves", "data.py:17: leaves raised SystemExit: no reason given"),
    ("one", "data.py:one: returned str, not (x, y), (x, y, groups) or a dict of arrays"),
    ("unknown", "data.py:unknown: returned 'z', which is none of x, y, groups, x_train and so on"),
    ("ragged", "data.py:ragged: returned what is no array"),
    ("nowhere", "data.py: no function 'nowhere'"),
])  # fmt: skip
def test_a_function_that_gives_no_data(run: Run, home: Path, function: str, message: str) -> None:
    said = refused(run, home, RECIPE.replace("arrays: a.npz", f"python: data.py:{function}"))
    assert said.startswith(f"a.yaml:3: data.python: {message}")


def test_a_function_that_needs_too_much_memory(run: Run, home: Path) -> None:
    (home / "data.py").write_text("import numpy as np\n\ndef huge():\n    return np.ones((2**40, 2**12))\n")
    (home / "a.yaml").write_text(RECIPE.replace("arrays: a.npz", "python: data.py:huge"))
    code, _, err = run("train", "a.yaml")
    assert code == 3
    assert err.startswith("hybridq: not enough memory (Unable to allocate 32.0 PiB")
    assert err.count("\n") == 1


def test_no_python(run: Run, home: Path) -> None:
    (home / "data.py").write_text("def f(:\n")
    said = refused(run, home, RECIPE.replace("arrays: a.npz", "python: data.py:f"))
    assert said.startswith("a.yaml:3: data.python: data.py:1: no Python: ")


def test_a_damaged_file_is_told(run: Run, home: Path) -> None:
    np.savez(home / "a.npz", **GOOD)
    whole = (home / "a.npz").read_bytes()
    for end in (0, 30, len(whole) // 2, len(whole) - 10):
        (home / "a.npz").write_bytes(whole[:end])
        assert "a.npz: damaged, or not an .npz file" in refused(run, home, RECIPE)


def test_the_networks_of_a_space_hear_sound(run: Run, home: Path) -> None:
    np.savez(home / "a.npz", **GOOD)
    (home / "a.yaml").write_text(RECIPE)
    code, _, err = run("search", "a.yaml", "--space", "hello-edge", "--class", "S")
    assert (code, len(err.splitlines())) == (2, 1)
    assert "a.yaml: the networks of --space hear sound" in err
