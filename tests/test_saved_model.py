"""SavedModel folders: what Keras exports is the network that the Keras model is; damaged folders are refused."""

from __future__ import annotations

import contextlib
import io
import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from traps import Traps

from hybridq.errors import UserError
from hybridq.graph.reader import read_graph
from hybridq.profiler import profile


@pytest.fixture(scope="module")
def model() -> Any:
    import keras
    from keras import layers

    keras.utils.set_random_seed(1)
    inputs = keras.Input((16, 12, 3))
    x = layers.Conv2D(8, 3, strides=2, padding="same", activation="relu", bias_initializer="normal")(inputs)
    x = layers.MaxPooling2D(2)(layers.DepthwiseConv2D(3, padding="same", bias_initializer="normal")(x))
    x = layers.Dense(7, activation="relu", bias_initializer="normal")(layers.Flatten()(x))
    return keras.Model(inputs, layers.Dense(5, activation="softmax", bias_initializer="normal")(x))


@pytest.fixture(scope="module")
def exported(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "small.v1"
    model.export(folder, verbose=False)
    return folder


@pytest.fixture
def converted_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """The converter's program runs in this process, which has TensorFlow already: a process takes five seconds."""

    def run(command: Sequence[str], **options: object) -> subprocess.CompletedProcess[bytes]:
        code = command[command.index("-c") + 1]
        status, printed = 0, io.StringIO()
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
            patch.setattr(sys, "argv", ["-c", *command[command.index(code) + 1 :]])
            try:
                exec(code, {"__name__": "__main__"})
            except SystemExit as end:
                status = int(end.code or 0)
        return subprocess.CompletedProcess(command, status, printed.getvalue().encode(), b"")

    monkeypatch.setattr(subprocess, "run", run)


def test_an_exported_model_is_the_network_of_the_keras_model(exported: Path, model: Any, inner: Path) -> None:
    traps = Traps(inner)
    found, expected = read_graph(exported), read_graph(model)
    assert found.name == "small.v1"
    assert [op.kind for op in found.operators if not op.known] == []
    layers = [[(op.kind, op.output_shape, op.kernel, op.bias) for op in g.weighted] for g in (found, expected)]
    assert layers[0] == layers[1]
    reports = [profile(graph) for graph in (found, expected)]
    assert reports[0].totals == reports[1].totals
    assert reports[0].plans == reports[1].plans
    assert not traps.sprung


@pytest.mark.usefixtures("converted_here")
def test_an_operation_that_tensorflow_lite_lacks_is_not_costed(tmp_path: Path) -> None:
    import tensorflow as tf

    class Sorted(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((1, 8), tf.float32)])
        def __call__(self, x: Any) -> Any:
            return tf.math.bessel_i0(x @ tf.fill((8, 4), 0.5))

    module = Sorted()
    tf.saved_model.save(module, str(tmp_path / "odd"), signatures=module.__call__)
    graph = read_graph(tmp_path / "odd")
    assert [op.kind for op in graph.weighted] == ["Dense"]
    assert [op.output_shape for op in graph.operators if not op.known] == [(4,)]
    assert profile(graph).not_costed


@pytest.fixture(scope="module")
def keras_2(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """A model of Keras 2 with recurrent layers, and its folder."""
    keras = pytest.importorskip("tf_keras", reason="writes the folders of Keras 2")
    layers = keras.layers
    inputs = keras.Input((9, 4))
    x = layers.Bidirectional(layers.LSTM(4, return_sequences=True))(layers.ZeroPadding1D((1, 2))(inputs))
    model = keras.Model(inputs, layers.Dense(2)(layers.GRU(5)(x)), name="recurrent")
    folder = tmp_path_factory.mktemp("keras_2") / "folder"
    model.save(folder, save_format="tf", save_traces=False)  # the loops of its graph are not read, and take seconds
    model.save(folder.parent / "same.h5")
    return model, folder


def test_a_folder_of_keras_2_is_read_as_data(keras_2: tuple[Any, Path]) -> None:
    """It says what the layers are beside its graph, in which a recurrent layer is a loop."""
    model, folder = keras_2
    graph = read_graph(folder)
    assert graph == read_graph(folder.parent / "same.h5")
    assert [op.kind for op in graph.operators][1:] == ["ZeroPadding1D", "Bidirectional", "GRU", "Dense"]
    assert sum(op.parameters for op in graph.operators) == model.count_params()


def test_a_damaged_description_of_keras_2_is_refused(keras_2: tuple[Any, Path], tmp_path: Path) -> None:
    content = (keras_2[1] / "keras_metadata.pb").read_bytes()
    rng = random.Random(1)
    for _ in range(200):
        at = rng.randrange(1200)
        (tmp_path / "keras_metadata.pb").write_bytes(content[:at] + rng.randbytes(2) + content[at + 2 :])
        with contextlib.suppress(UserError):
            read_graph(tmp_path)


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^cannot read .*: a folder without saved_model\.pb"):
        read_graph(tmp_path)


@pytest.mark.usefixtures("converted_here")
def test_a_damaged_model_gives_one_line(exported: Path, tmp_path: Path) -> None:
    content = (exported / "saved_model.pb").read_bytes()
    (tmp_path / "saved_model.pb").write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match="damaged") as raised:
        read_graph(tmp_path)
    assert str(raised.value).startswith(f"{tmp_path}: ")
    assert "\n" not in str(raised.value)
