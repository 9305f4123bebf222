"""`quantize`, `evaluate`, `export` and `verify` of a model file and of arrays: nothing of sound, no recipe, no run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Run

from hybridq.errors import UserError
from hybridq.integer import arithmetic
from hybridq.integer.artefact import load_network
from hybridq.runs.load_network import find_trained

SHAPES = {"classes": ((6, 4, 1), 3), "numbers": ((5,), 2), "copies": ((5,), 5)}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three models, the samples x of each, and what they should answer with, y."""
    import keras
    from keras import layers

    folder = tmp_path_factory.mktemp("models")
    random = np.random.default_rng(0)
    keras.utils.set_random_seed(0)
    for name, (shape, outputs) in SHAPES.items():
        inputs = keras.Input(shape)
        x = layers.Conv2D(3, 3, activation="relu", name="conv")(inputs) if len(shape) == 3 else inputs
        x = layers.Dense(8, activation="relu", name="dense")(layers.Flatten()(x))
        last = layers.Dense(outputs, "softmax" if name == "classes" else None, name="last")
        model = keras.Model(inputs, last(x))
        model.save(folder / f"{name}.keras")
        read = random.normal(size=(60, *shape))
        said = model.predict(read, verbose=0)
        np.save(folder / f"{name}_x.npy", read)
        np.save(folder / f"{name}_y.npy", said.argmax(1) if name == "classes" else said)
        if name == "classes":
            model.save(folder / f"{name}.h5")
    inputs = keras.Input((5, 1))
    keras.Model(inputs, layers.Dense(2, name="last")(layers.LSTM(2, name="lstm")(inputs))).save(folder / "lstm.keras")
    return folder


@pytest.fixture(scope="module")
def quantized(models: Path) -> Path:
    """The same folder, with each model quantized in it."""
    from hybridq.runs.quantize_model import Request, quantize

    for name in SHAPES:
        request = Request(str(models / f"{name}.keras"), "dense: 4-bit", str(models / f"{name}_x.npy"))
        quantize(request, models / name)
    return models


def figures(run: Run, *command: Any) -> Any:
    code, out, err = run(*command, "--format", "json")
    assert code == 0, err
    return json.loads(out)


def test_a_model_is_quantized_by_a_plan_and_measured(models: Path, run: Run, inner: Path) -> None:
    samples = ("--inputs", models / "classes_x.npy", "--labels", models / "classes_y.npy")
    before = figures(run, "evaluate", models / "classes.h5", *samples)
    assert before["accuracy"] == 100
    plan = "{'*': {outputs: 8-bit}, dense: binary, last: 4-bit}"
    given = ("--plan", plan, "--calibrate", models / "classes_x.npy", "--classes", "red, green,blue")
    code, out, err = run("quantize", models / "classes.keras", *given, "--out", "q")
    assert code == 0, err
    assert out.startswith("q: model.keras and network.hqn, its integer network (SHA-256 ")
    assert [line for line in out.splitlines() if " weights: " in line] == [
        "8-bit weights: conv",
        "binary weights: dense",
        "4-bit weights: last",
    ]
    code, out, err = run("quantize", "q", "--calibrate", models / "classes_x.npy", "--out", "again")
    assert code == 0, err
    assert "dense and last: as trained, not as the plan says, as the model was quantized before\n" in out
    found = figures(run, "evaluate", "q", *samples)
    assert found["labels"] == ["red", "green", "blue"]
    assert found["agreement"] > 97
    assert 40 < found["integer"]["accuracy"] < 100
    layers = load_network(inner / "q" / "network.hqn").layers
    assert {layer.name: str(layer.width) for layer in layers if hasattr(layer, "width")} == {
        "conv": "8-bit",
        "dense": "binary",
        "last": "4-bit",
    }
    by_itself = figures(run, "evaluate", "q/network.hqn", *samples, "--batch", 7)
    assert by_itself["integer"] == found["integer"]
    assert by_itself["keras"] is None
    code, _, err = run("quantize", models / "classes.keras", *given[:-1], "a,b,a", "--out", "r")
    assert (code, err) == (2, "hybridq: --classes a,b,a: every class needs a name of its own\n")
    code, _, err = run("quantize", models / "classes.keras", *given, "--out", "q")
    assert (code, err) == (
        2,
        "hybridq: q: model.keras, hybridq.json, network.hqn are there already; name another folder, or pass "
        "--overwrite\n",
    )


def test_samples_on_another_scale_are_named(quantized: Path, run: Run, inner: Path) -> None:
    np.save("large.npy", 255 * np.load(quantized / "classes_x.npy"))
    labels = ("--labels", quantized / "classes_y.npy")
    said = "% of the input numbers are beyond "
    out = run("evaluate", quantized / "classes", "--inputs", "large.npy", *labels)[1]
    assert said in " ".join(out.split())
    out = run("evaluate", quantized / "classes", "--inputs", quantized / "classes_x.npy", *labels)[1]
    assert said not in " ".join(out.split())


def test_numbers_are_measured_by_their_errors(quantized: Path, run: Run) -> None:
    place = quantized / "numbers"
    found = figures(run, "evaluate", place, "--inputs", f"{place}_x.npy", "--labels", f"{place}_y.npy", "--batch", 7)
    network = load_network(place / "network.hqn")
    x, y = np.load(f"{place}_x.npy").astype(np.float32), np.load(f"{place}_y.npy").astype(np.float64)
    (output,) = arithmetic.outputs(network, arithmetic.quantized(x, network.input_fraction))
    errors = output * 2.0 ** -network.layers[-1].fraction - y
    wanted = {
        "examples": 60,
        "squared_error": np.mean(errors**2),
        "absolute_error": np.mean(np.abs(errors)),
        "r2": 100 * (1 - np.mean(errors**2) / np.var(y, axis=0).mean()),
    }
    assert {name: found["integer"][name] for name in wanted} == pytest.approx(wanted)
    assert found["keras"]["r2"] == pytest.approx(found["integer"]["r2"], abs=0.5)
    assert found["agreement"] is None
    code, out, _ = run("evaluate", place, "--inputs", f"{place}_x.npy", "--labels", f"{place}_y.npy")
    assert code == 0
    assert f"R2 {found['r2']:.2f} %" in out


def test_a_reconstruction_is_measured_against_its_input(quantized: Path, run: Run) -> None:
    place = quantized / "copies"
    assert find_trained(str(place)).task.value == "reconstruct"
    found = figures(run, "evaluate", place, "--inputs", f"{place}_x.npy")
    model = figures(run, "evaluate", quantized / "copies.keras", "--inputs", f"{place}_x.npy")
    x = np.load(f"{place}_x.npy").astype(np.float32)
    errors = np.load(f"{place}_y.npy") - x
    assert model["absolute_error"] == pytest.approx(np.mean(np.abs(errors)), rel=1e-4)
    assert found["keras"]["absolute_error"] == pytest.approx(model["absolute_error"], rel=0.1)
    worn = np.argsort((errors**2).mean(1)) >= 50
    np.save(f"{place}_worn.npy", worn)
    told = figures(run, "evaluate", place, "--inputs", f"{place}_x.npy", "--labels", f"{place}_worn.npy", "--batch", 9)
    assert told["examples"] == 50
    by_model = errors[~worn]
    assert told["keras"]["absolute_error"] == pytest.approx(np.mean(np.abs(by_model)), rel=0.1)
    assert 0 < told["auc"] < 1


@pytest.mark.parametrize("name", SHAPES)
def test_it_is_exported_and_its_numbers_come_back(name: str, quantized: Path, run: Run, inner: Path) -> None:
    code, out, err = run("export", quantized / name, "--out", "image")
    assert code == 0, err
    assert "tensors of" in out
    about = json.loads((inner / "image" / "build.json").read_text())
    assert about["estimate"]["flash_bytes"] > 0
    assert ("hybridq_class(" in (inner / "image" / "src" / "hybridq.h").read_text()) == (name == "classes")


def test_a_model_file_is_exported_in_8_bits(models: Path, run: Run, inner: Path) -> None:
    pytest.importorskip("unicorn", reason="needs pip install hybridq[deploy]")
    from hybridq.image import toolchain

    code, _, err = run("export", models / "classes.h5", "--calibrate", models / "classes_x.npy", "--out", "image")
    assert code == 0, err
    layers = load_network(inner / "image" / "network.hqn").layers
    assert {str(layer.width) for layer in layers if hasattr(layer, "width")} == {"8-bit"}
    if toolchain.cortex_m4() and toolchain.host():
        samples = ("--inputs", models / "classes_x.npy", "--labels", models / "classes_y.npy", "--samples", 30)
        found = figures(run, "verify", "image", *samples, "--emulated", 2)
        assert found["exact"]
        assert found["accuracy"] > 90
        np.save("large.npy", 255 * np.load(models / "classes_x.npy"))
        out = " ".join(run("verify", "image", "--inputs", "large.npy", "--samples", 2)[1].split())
        assert "estimated: the network alone, as the memory report counts it; together: the whole image" in out
        assert "% of the input numbers are beyond" in out


def test_an_image_that_answers_with_numbers_is_measured_by_them(quantized: Path, run: Run, inner: Path) -> None:
    pytest.importorskip("unicorn", reason="needs pip install hybridq[deploy]")
    from hybridq.image import toolchain

    if not (toolchain.cortex_m4() and toolchain.host()):
        pytest.skip("needs compilers: pip install ziglang")
    assert run("export", quantized / "numbers", "--out", "image")[0] == 0
    samples = ("--inputs", quantized / "numbers_x.npy", "--labels", quantized / "numbers_y.npy", "--emulated", 2)
    found = figures(run, "verify", "image", *samples)
    assert found["exact"]
    place = quantized / "numbers"
    told = figures(run, "evaluate", place, "--inputs", f"{place}_x.npy", "--labels", f"{place}_y.npy")
    assert found["r2"] == pytest.approx(told["integer"]["r2"], abs=0.01)


ADVICE = {
    "evaluate net.onnx --inputs x.npy": "net.onnx: an ONNX file holds no Keras layers",
    "export net.pt --out z": "net.pt: a PyTorch file holds weights and code",
    "quantize net.tflite --out z": "net.tflite: a .tflite file holds no Keras layers to quantize: an int8 one",
    "quantize net.hqn --out z": "net.hqn: a network of integers already; this takes the Keras model that it w",
    "search classes.keras --flash 2KiB": "classes.keras: a model, not a recipe; a recipe (YAML) may name it",
    "verify net.hqn": "net.hqn: a file; `hybridq export net.hqn --out image` makes a folder of it, to verify",
    "profile net.onnx": "net.onnx: an ONNX file; the package onnx2tf makes a .tflite file of it, which can be read",
    "profile net.pth": "net.pth: a PyTorch file; the package litert-torch makes a .tflite file of its model",
    "profile net.hqn": "net.hqn: a network of integers, not a model; `hybridq export` of it says what it takes",
    "train classes.keras": "classes.keras: a model, not a recipe; a recipe (YAML) may name it, as model: {keras: FILE}",
    "quantize nothing.h5 --out z": "nothing.h5: no trained network here: there is no such file or folder",
    "export classes.keras --out z": "classes.keras is not quantized: --calibrate X.npy, some hundred samples, gives",
    "quantize classes.keras --out z": "classes.keras: --calibrate X.npy is needed: some hundred samples as the mod",
    "quantize classes.keras --out z --plan bits": "--plan bits: none of int8, int8-weights, hybrid, no YAML or JSON fi",
    "quantize classes.keras --out z --plan conf:8-bit": "precision: the pattern 'conf' matches no layer; the nearest",
    "quantize classes.keras --out z --plan conv:8-bot": "precision.conv.weights: '8-bot' is not a precision; did you m",
    "quantize classes.keras --out z --plan {conv:": "--plan: not valid YAML",
    "quantize classes.keras --out z --plan x.json": "x.json: no such file",
    "quantize classes.keras --calibrate classes_x.npy --out z --classes a,b": "classes.keras: 3 outputs and 2 classes",
    "quantize classes.keras --calibrate numbers_x.npy --out z": "numbers_x.npy: must be (n, 6, 4, 1), as the model rea",
    "quantize lstm.keras --calibrate numbers_x.npy --out z": "lstm.keras: lstm: LSTM layers have no form in integers;",
    "evaluate classes.keras": "classes.keras: it does not say what it was trained on; --inputs X.npy names samples",
    "evaluate classes.keras --labels classes_y.npy": "--labels classes_y.npy: what --inputs stands for, which is not g",
    "evaluate classes.keras --inputs classes_x.npy": "classes.keras: --labels Y.npy is needed: the class of each",
    "evaluate classes.keras --inputs classes_x.npy --data z": "--inputs: --data, --threshold and --picture do not go",
    "evaluate classes.keras --inputs classes_x.npy --labels numbers_y.npy": "numbers_y.npy: must be (n,), the class of",
    "evaluate numbers.keras --inputs numbers_x.npy": "numbers.keras: --labels Y.npy is needed: what it should answer",
    "evaluate numbers.keras --inputs numbers_x.npy --labels numbers_x.npy": "numbers_x.npy: must be (n, 2), as the mod",
    "evaluate classes.keras --inputs classes_x.npy --labels bad.npy": "bad.npy: sample 7 is of class 3; there are 0 to",
}


@pytest.mark.parametrize("command", ADVICE)
def test_what_a_command_cannot_take_is_named_with_the_nearest_way(
    command: str, models: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(models)
    for suffix in ("onnx", "pt", "pth", "tflite", "hqn"):
        Path(f"net.{suffix}").write_bytes(b"none of ours")
    np.save("bad.npy", np.where(np.arange(60) == 7, 3, 0))
    code, out, err = run(*command.split())
    assert (code, out) == (2, "")
    assert err.startswith(f"hybridq: {ADVICE[command]}")
    assert err.count("\n") == 1
    assert not Path("z").exists()


def test_samples_of_one_class_alone_are_noted(models: Path, run: Run, inner: Path) -> None:
    np.save("one.npy", np.ones(60, int))
    code, out, _ = run(
        "evaluate", models / "classes.keras", "--inputs", models / "classes_x.npy", "--labels", "one.npy"
    )
    assert code == 0
    assert "one.npy: all samples are of one class, 1" in out


def test_several_outputs_are_converted_and_not_measured(run: Run, inner: Path) -> None:
    import keras
    from keras import layers

    import hybridq

    inputs = keras.Input((5,))
    x = layers.Dense(4, activation="relu", name="dense")(inputs)
    keras.Model(inputs, [layers.Dense(3, "softmax", name="kind")(x), layers.Dense(1, name="size")(x)]).save("two.keras")
    np.save("x.npy", np.random.default_rng(0).normal(size=(20, 5)))
    np.save("y.npy", np.zeros(20, int))
    code, out, err = run("quantize", "two.keras", "--calibrate", "x.npy", "--out", "two")
    assert code == 0, err
    assert "hybridq export two --out image" in out
    assert "evaluate" not in out
    assert run("export", "two", "--out", "image")[0] == 0
    samples = ("--inputs", "x.npy", "--labels", "y.npy")
    one = "only a network of one"
    for command, message in {
        ("evaluate", "two"): f"two: {one} input and one output can be measured (inputs: 1, outputs: 2)",
        ("evaluate", "two/network.hqn"): f"two/network.hqn: {one} output can be measured (outputs: 2)",
        ("verify", "image"): "--labels y.npy: this network has several outputs; without it all are compared",
    }.items():
        code, _, err = run(*command, *samples)
        assert (code, err) == (2, f"hybridq: {message}\n")
    net = hybridq.load("two/network.hqn")
    assert [one.shape for one in net.predict(np.load("x.npy"))] == [(20, 3), (20, 1)]
    with pytest.raises(UserError, match=r"only a network of one output can be measured, this has \(3,\), \(1,\)"):
        net.evaluate(np.load("x.npy"), np.load("y.npy"))
