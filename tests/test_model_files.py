"""`.keras` files: read as the model that they were saved from, and mutated ones read or refused."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from conftest import REPOSITORY
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from stranger_files import read_or_refused

from hybridq.errors import UserError
from hybridq.graph.keras.file import LARGEST_CONFIG
from hybridq.graph.reader import read_graph


@pytest.fixture(scope="module")
def hybrid_file(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """A small network with QKeras layers of several precisions, and its file."""
    import keras
    from keras import layers
    from qkeras import QActivation, QConv2D, QDense, QDepthwiseConv2D, binary, quantized_bits, ternary

    eight = partial(quantized_bits, 8, 0, 1, alpha=1.0)
    inputs = keras.Input((12, 12, 1))
    x = QConv2D(4, 3, kernel_quantizer=eight(), bias_quantizer=eight(), activation="elu", name="conv2d")(inputs)
    x = layers.MaxPooling2D(name="pool")(x)
    x = QDepthwiseConv2D(3, depthwise_quantizer=quantized_bits(4, 0, 1, alpha=1.0), name="depthwise")(x)
    x = QActivation("quantized_relu(8)", name="relu")(x)
    x = layers.Flatten(name="flatten")(x)
    x = QDense(8, kernel_quantizer=binary(alpha="auto"), activation=eight(), name="dense")(x)
    x = QDense(8, kernel_quantizer=ternary(), name="dense_1")(x)
    x = layers.Dense(3, activation="softmax", name="dense_2")(x)
    model = keras.Model(inputs, x, name="small_hybrid")
    path = tmp_path_factory.mktemp("graph") / "small.keras"
    model.save(path)
    return model, path


def test_file_and_object_read_the_same(hybrid_file: tuple[Any, Path]) -> None:
    model, path = hybrid_file
    assert read_graph(path) == read_graph(model) == read_graph(str(path))
    found = {op.name: op.precision for op in read_graph(path).operators if op.precision}
    assert {name: (p.weights.value, p.bias.value, p.outputs.value) for name, p in found.items()} == {
        "conv2d": ("8-bit", "8-bit", "float32"),
        "depthwise": ("4-bit", "float32", "float32"),
        "relu": ("float32", "float32", "8-bit"),
        "dense": ("binary", "float32", "8-bit"),
        "dense_1": ("ternary", "float32", "float32"),
    }


@pytest.fixture(scope="module")
def nested_file(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """A network of models inside models, wrappers, recurrent layers and attention, and its file."""
    import keras
    from keras import layers

    inputs = keras.Input((8, 4))
    core = keras.Sequential([layers.Conv1D(4, 3, padding="same"), layers.LayerNormalization()])
    x = layers.MultiHeadAttention(2, 3)(core(inputs), core(inputs))
    x, *states = layers.GRU(4, return_sequences=True, return_state=True)(x)
    x = layers.Bidirectional(layers.LSTM(4, return_sequences=True))(layers.Multiply()([x, states[0]]))
    x = layers.TimeDistributed(keras.Sequential([layers.Dense(3), layers.ReLU()]))(x)
    x = layers.Conv1DTranspose(2, 3, strides=2)(layers.Cropping1D(1)(layers.UpSampling1D(2)(x)))
    x = layers.Dot(axes=1, normalize=True)([x, layers.GroupNormalization(2)(x)])
    model = keras.Model(inputs, [layers.Permute((2, 1))(x), layers.Average()([x, x + 1.0])])
    path = tmp_path_factory.mktemp("graph") / "nested.keras"
    model.save(path)
    return model, path


def test_reading_a_file_imports_nothing_heavy(hybrid_file: tuple[Any, Path]) -> None:
    code = (
        "import sys; from hybridq.profiler import profile; profile(sys.argv[1]).to_json();"
        "print([m for m in ('tensorflow', 'keras', 'qkeras', 'numpy', 'h5py', 'rich') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(hybrid_file[1])],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr


def with_config(path: Path, text: bytes) -> Path:
    """A `.keras` file with that config.json."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", text)
    return path


def test_files_that_are_no_models(tmp_path: Path, hybrid_file: tuple[Any, Path]) -> None:
    whole = hybrid_file[1].read_bytes()
    for name, content, message in [
        ("empty.keras", b"", "not a .keras file"),
        ("text.keras", b"hello", "not a .keras file"),
        ("half.keras", whole[: len(whole) // 2], "not a .keras file"),
        ("model.h5", whole, r"not an \.h5 model"),
    ]:
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(UserError, match=message):
            read_graph(path)
    with pytest.raises(UserError, match="no such file"):
        read_graph(tmp_path / "none.keras")
    (tmp_path / "folder.keras").mkdir()
    with pytest.raises(UserError, match="cannot read"):
        read_graph(tmp_path / "folder.keras")
    with zipfile.ZipFile(tmp_path / "other.keras", "w") as archive:
        archive.writestr("../config.json", b"{}")
    with pytest.raises(UserError, match=r"no config\.json"):
        read_graph(tmp_path / "other.keras")
    for text in (b"", b"{}", b"[]", b"7", b'{"config": {"layers": []}}', b"[" * 100_000, b'{"config": 3}'):
        with pytest.raises(UserError):
            read_graph(with_config(tmp_path / "odd.keras", text))
    with pytest.raises(UserError, match="no network"):
        read_graph(with_config(tmp_path / "bomb.keras", b" " * (LARGEST_CONFIG + 1)))


def test_a_small_file_of_an_endless_network_is_refused(tmp_path: Path) -> None:
    config: dict[str, Any] = {"layers": [{"class_name": "ReLU", "config": {"name": "relu"}}]}
    for depth in range(12):
        shape = {"batch_shape": [None, 4], "name": "in"}
        layers = [{"class_name": "InputLayer", "config": shape, "name": "in", "inbound_nodes": []}]
        uses = [{"args": [{"class_name": "__keras_tensor__", "config": {"shape": [], "keras_history": ["in", 0, 0]}}]}]
        layers.append({"class_name": "Functional", "config": config, "name": f"m{depth}", "inbound_nodes": uses * 30})
        config = {"layers": layers, "input_layers": ["in", 0, 0], "output_layers": [f"m{depth}", 1, 0]}
    with pytest.raises(UserError, match="more than"):
        read_graph(with_config(tmp_path / "endless.keras", json.dumps({"config": config}).encode()))


def test_a_circle_and_terminal_escapes_are_refused(tmp_path: Path, hybrid_file: tuple[Any, Path]) -> None:
    with zipfile.ZipFile(hybrid_file[1]) as archive:
        text = archive.read("config.json").decode()
    circle = text.replace('"keras_history": ["conv2d", 0, 0]', '"keras_history": ["dense_1", 0, 0]')
    assert circle != text
    with pytest.raises(UserError, match="reads from"):
        read_graph(with_config(tmp_path / "circle.keras", circle.encode()))
    escape = text.replace('"dense_2"', '"\\u001b[2J"')
    with pytest.raises(UserError, match="no usable name"):
        read_graph(with_config(tmp_path / "escape.keras", escape.encode()))


def leaves(tree: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) in a tree of plain data."""
    keys = list(tree) if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else []
    return [(tree, key) for key in keys] + [pair for key in keys for pair in leaves(tree[key])]


ODD = st.sampled_from(
    [
        None,
        -1,
        0,
        1,
        2,
        3.5,
        2**31,
        10**30,
        True,
        "",
        "x",
        "same",
        "Dense",
        [],
        [0],
        [-5, 7],
        [10**9] * 4,
        {},
        {"config": {}},
    ]
)


@pytest.fixture(params=["hybrid_file", "nested_file"], scope="module")
def any_file(request: pytest.FixtureRequest) -> Path:
    """Each of the two files."""
    path: Path = request.getfixturevalue(request.param)[1]
    return path


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), edits=st.lists(st.tuples(st.integers(0, 10**6), ODD), min_size=1, max_size=4))
def test_mutated_descriptions_are_read_or_refused(
    data: Any, edits: list[tuple[int, Any]], tmp_path: Path, any_file: Path
) -> None:
    with zipfile.ZipFile(any_file) as archive:
        tree = json.loads(archive.read("config.json"))
    for where, value in edits:
        places = leaves(tree)
        if not places:
            break
        container, key = places[where % len(places)]
        container[key] = copy.deepcopy(value)
    read_or_refused(with_config(tmp_path / "mutated.keras", json.dumps(tree).encode()))


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.floats(0, 1), flips=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 7)), max_size=5))
@example(cut=1.0, flips=[])
def test_mutated_files_are_read_or_refused(
    cut: float, flips: list[tuple[float, int]], tmp_path: Path, hybrid_file: tuple[Any, Path]
) -> None:
    content = bytearray(hybrid_file[1].read_bytes())
    for where, bit in flips:
        content[int(where * len(content))] ^= 1 << bit
    path = tmp_path / "mutated.keras"
    path.write_bytes(content[: int(cut * len(content))])
    read_or_refused(path)
