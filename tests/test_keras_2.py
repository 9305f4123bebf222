"""Models saved by Keras 2, also as SavedModel folders: read as data, they compute what they did."""

from __future__ import annotations

import contextlib
import json
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Run, answers

import hybridq
from hybridq.errors import UserError
from hybridq.models.own import KerasFile
from hybridq.quantization.load_model import load_model
from hybridq.runs.own_network import own_graph

SHAPE = (8, 8, 3)
KINDS = ["", ".h5", ".keras"]


@pytest.fixture(scope="module")
def keras_2() -> Any:
    return pytest.importorskip("tf_keras", reason="writes the files of Keras 2")


@pytest.fixture(scope="module")
def inputs() -> Any:
    return np.random.default_rng(0).random((20, *SHAPE), np.float32)


def with_weights(model: Any) -> Any:
    """The model with other weights than it begins with, none of them the same."""
    rng = np.random.default_rng(1)
    model.set_weights([rng.uniform(0.1, 1, w.shape).astype(w.dtype) for w in model.get_weights()])
    return model


@pytest.fixture(scope="module")
def saved(keras_2: Any, inputs: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """What a model answers to the inputs, and its folder beside its files."""
    layers, place = keras_2.layers, tmp_path_factory.mktemp("keras_2") / "model"
    read = keras_2.Input((4, 4, 4))
    inner = keras_2.Model(read, layers.SeparableConv2D(5, 3, padding="same", name="sep")(read), name="inner")
    chain = keras_2.Sequential(
        [keras_2.Input((4, 4, 5)), layers.Conv2D(3, 1, name="conv"), layers.PReLU()], name="chain"
    )
    x = read = keras_2.Input(SHAPE)
    for layer in (
        layers.Normalization(mean=None, name="norm"),
        layers.RandomFlip(),
        layers.Conv2D(4, 3, use_bias=False),
        layers.BatchNormalization(),
        layers.SpatialDropout2D(0.1),
        layers.DepthwiseConv2D(3),
        inner,
        chain,
        layers.Conv2DTranspose(2, 2, strides=2),
        layers.Flatten(),
        layers.Dense(3, activation="softmax"),
    ):
        x = layer(x)
    model = with_weights(keras_2.Model(read, x))
    for kind in KINDS:
        model.save(place.with_suffix(kind), **({} if kind else {"save_format": "tf", "save_traces": False}))
    return np.asarray(model(inputs, training=False)), place


@pytest.mark.parametrize("kind", KINDS)
def test_it_computes_what_it_did(saved: tuple[Any, Path], inputs: Any, kind: str) -> None:
    wanted, place = saved
    np.testing.assert_allclose(answers(load_model(place.with_suffix(kind)), inputs), wanted, atol=1e-6)


def test_recurrent_layers_and_models_in_a_sequence(keras_2: Any, tmp_path: Path) -> None:
    layers = keras_2.layers
    read = keras_2.Input((6, 2))
    inner = keras_2.Model(read, layers.Bidirectional(layers.LSTM(3, return_sequences=True))(read))
    model = with_weights(keras_2.Sequential([inner, layers.TimeDistributed(layers.Dense(4)), layers.GRU(2)]))
    model.save(tmp_path / "model", save_format="tf", save_traces=False)
    inputs = np.random.default_rng(0).random((3, 6, 2), np.float32)
    np.testing.assert_allclose(answers(load_model(tmp_path / "model"), inputs), np.asarray(model(inputs)), atol=1e-6)


def test_a_model_inside_that_is_used_twice(keras_2: Any, tmp_path: Path) -> None:
    layers = keras_2.layers
    inner, read = keras_2.Sequential([keras_2.Input((4,)), layers.Dense(4)]), keras_2.Input((4,))
    once = inner(read)
    model = with_weights(keras_2.Model(read, layers.Add()([once, inner(once)])))
    model.save(tmp_path / "model", save_format="tf", save_traces=False)
    inputs = np.random.default_rng(0).random((3, 4), np.float32)
    np.testing.assert_allclose(answers(load_model(tmp_path / "model"), inputs), np.asarray(model(inputs)), rtol=1e-6)


def test_a_folder_is_quantized_measured_and_named_in_a_recipe(
    keras_2: Any, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    layers, rng = keras_2.layers, np.random.default_rng(0)
    model = keras_2.Sequential([keras_2.Input((5,)), layers.Dense(6, "relu", name="dense"), layers.Dense(3, "softmax")])
    model.save("folder", save_format="tf", save_traces=False)
    x = rng.normal(size=(60, 5)).astype(np.float32)
    np.save("x.npy", x)
    np.save("y.npy", np.asarray(model(x)).argmax(1))
    code, _, err = run("quantize", "folder", "--calibrate", "x.npy", "--out", "narrow")
    assert code == 0, err
    code, out, err = run("evaluate", "narrow", "--inputs", "x.npy", "--labels", "y.npy", "--format", "json")
    assert code == 0, err
    assert json.loads(out)["accuracy"] > 90
    net = hybridq.convert(hybridq.quantize("folder", {"*": {"outputs": "8-bit"}}, x))
    assert net.evaluate(x, np.load("y.npy")).score > 90
    graph = own_graph(KerasFile(keras="folder"), (5,), (3,))
    assert graph.weighted[0].name == "dense"
    before = KerasFile(keras="folder").content()
    with_weights(model).save("folder", save_format="tf", save_traces=False)
    assert KerasFile(keras="folder").content() != before


def test_a_folder_without_layers_says_what_to_do(tmp_path: Path) -> None:
    import keras

    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).export(tmp_path / "exported", verbose=False)
    message = r"exported: a folder without Keras layers.*save the model as \.keras, or have TensorFlow convert it"
    for name in (load_model, lambda path: KerasFile(keras=str(path)).content()):
        with pytest.raises(UserError, match=message):
            name(tmp_path / "exported")


@pytest.mark.parametrize(
    ("name", "message"),
    [("Lambda", "'odd' is a Lambda, code that"), ("add", "is an operation of TensorFlow and no layer")],
)
def test_code_and_operations_are_refused(keras_2: Any, tmp_path: Path, name: str, message: str) -> None:
    read = keras_2.Input((4,))
    made = keras_2.layers.Lambda(lambda x: x + 1, name="odd")(read) if name == "Lambda" else read + 1
    keras_2.Model(read, made).save(tmp_path / "model", save_format="tf", save_traces=False)
    with pytest.raises(UserError, match=message):
        load_model(tmp_path / "model")


def test_damaged_arrays_are_refused(keras_2: Any, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    keras_2.Sequential([keras_2.Input((4,)), keras_2.layers.Dense(2)]).save(folder, save_format="tf", save_traces=False)
    index, data = folder / "variables" / "variables.index", folder / "variables" / "variables.data-00000-of-00001"
    contents = {file: file.read_bytes() for file in (index, data)}
    rng = random.Random(1)
    for file, content in contents.items():
        for end in (0, len(content) // 2):
            file.write_bytes(content[:end])
            with pytest.raises(UserError, match=r"model: its variables are damaged \(") as raised:
                load_model(folder)
            assert "\n" not in str(raised.value)
        for _ in range(20):
            at = rng.randrange(len(content))
            file.write_bytes(content[:at] + rng.randbytes(2) + content[at + 2 :])
            with contextlib.suppress(UserError):
                load_model(folder)
        file.write_bytes(content)
    index.unlink()
    with pytest.raises(UserError, match=r"model: no weights: variables/variables\.index is missing"):
        load_model(folder)


def test_a_layer_without_its_arrays_is_named(keras_2: Any, tmp_path: Path) -> None:
    metadata = []
    for bias in (False, True):
        model = keras_2.Sequential([keras_2.Input((4,)), keras_2.layers.Dense(2, use_bias=bias, name="dense")])
        model.save(tmp_path / str(bias), save_format="tf", save_traces=False)
        metadata.append(tmp_path / str(bias) / "keras_metadata.pb")
    shutil.copyfile(metadata[1], metadata[0])
    with pytest.raises(UserError, match="False: no weights for the bias of 'dense'"):
        load_model(tmp_path / "False")
