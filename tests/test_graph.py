"""Reading networks as data: shapes and counts as Keras has them, and a plain message for a bad file."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hybridq.errors import UserError
from hybridq.graph import LARGEST_CONFIG, Graph, read_graph
from hybridq.keras_layers import precision_of
from hybridq.precision import Precision
from hybridq.profiler import profile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
REPOSITORY = Path(__file__).resolve().parent.parent


def sequence(shape: tuple[int, ...], *names_and_settings: tuple[str, Any, dict[str, Any]]) -> Any:
    """A functional Keras model of layers in a row: (class name, arguments, keywords)."""
    import keras

    inputs = x = keras.Input(shape)
    for name, arguments, keywords in names_and_settings:
        x = getattr(keras.layers, name)(*arguments, **keywords)(x)
    return keras.Model(inputs, x)


LAYERS = [
    ((38, 55, 1), "Conv2D", (16, 3), {"padding": "same"}),
    ((38, 55, 2), "Conv2D", (4, (3, 5)), {"strides": (2, 1), "use_bias": False}),
    ((9, 10, 4), "Conv2D", (8, 3), {"groups": 2, "dilation_rate": 2}),
    ((9, 10, 4), "Conv2D", (8, 2), {"padding": "same", "strides": 2, "activation": "relu"}),
    ((20, 3), "Conv1D", (5, 3), {"padding": "causal", "dilation_rate": 2}),
    ((20, 3), "Conv1D", (5, 4), {"strides": 3}),
    ((9, 10, 4), "DepthwiseConv2D", (3,), {"depth_multiplier": 2, "padding": "same", "strides": 2}),
    ((20, 4), "DepthwiseConv1D", (3,), {"depth_multiplier": 2}),
    ((9, 10, 4), "SeparableConv2D", (6, 3), {"depth_multiplier": 2}),
    ((20, 4), "SeparableConv1D", (6, 3), {"padding": "same"}),
    ((7,), "Dense", (5,), {"activation": "softmax"}),
    ((6, 7), "Dense", (5,), {"use_bias": False}),
    ((9, 10, 4), "MaxPooling2D", (2,), {}),
    ((9, 10, 4), "AveragePooling2D", ((2, 3),), {"strides": 2, "padding": "same"}),
    ((9, 4), "MaxPooling1D", (3,), {"strides": 2}),
    ((9, 10, 4), "GlobalAveragePooling2D", (), {}),
    ((9, 10, 4), "GlobalMaxPooling2D", (), {"keepdims": True}),
    ((9, 4), "GlobalAveragePooling1D", (), {}),
    ((9, 10, 4), "ZeroPadding2D", (((1, 0), (2, 3)),), {}),
    ((9, 4), "ZeroPadding1D", ((1, 2),), {}),
    ((9, 10, 4), "Flatten", (), {}),
    ((9, 10, 4), "Reshape", ((-1, 8),), {}),
    ((9, 10), "Permute", ((2, 1),), {}),
    ((9, 10, 4), "Dropout", (0.2,), {}),
    ((9, 10, 4), "GaussianNoise", (0.2,), {}),
    ((9, 10, 4), "PReLU", (), {"shared_axes": [1, 2]}),
    ((9, 10, 4), "ReLU", (6,), {}),
    ((9, 10, 4), "LeakyReLU", (), {}),
    ((9, 10, 4), "ELU", (), {}),
    ((9, 10, 4), "Softmax", (), {}),
    ((9, 10, 4), "Activation", ("tanh",), {}),
]


@pytest.mark.parametrize(("shape", "kind", "arguments", "keywords"), LAYERS)
def test_shapes_and_parameters_are_those_of_keras(
    shape: tuple[int, ...], kind: str, arguments: Any, keywords: dict[str, Any]
) -> None:
    model = sequence(shape, (kind, arguments, keywords))
    _, op = read_graph(model).operators
    assert op.kind == kind
    assert op.output_shape == model.output_shape[1:]
    assert op.parameters == model.count_params()
    weights = {weight.name: prod(weight.shape) for weight in model.layers[1].weights}
    assert op.bias == weights.get("bias", 0)
    assert op.other == weights.get("alpha", 0)


def test_batch_norm_stores_a_scale_and_an_offset() -> None:
    op = read_graph(sequence((9, 10, 4), ("BatchNormalization", (), {}))).operators[1]
    assert (op.kernel, op.bias, op.other) == (0, 0, 8)


def branching() -> Any:
    """Two uses of one layer, two branches, an unknown layer."""
    import keras
    from keras import layers

    inputs = keras.Input((8, 8, 2))
    shared = layers.Conv2D(2, 3, padding="same", name="shared")
    one = shared(inputs)
    two = shared(one)
    x = layers.Add(name="add")([one, two])
    x = layers.Concatenate(name="joined")([x, two])
    x = layers.UpSampling2D(2, name="up")(x)
    x = layers.Conv2D(3, 3, name="last")(x)
    return keras.Model(inputs, [x, layers.GlobalAveragePooling2D(name="mean")(x)], name="branching")


def test_branches_shared_layers_and_unknown_layers() -> None:
    graph = read_graph(branching())
    ops = {op.name: op for op in graph.operators}
    assert ops["shared"].parameters == 38
    assert ops["shared:1"].parameters == 0
    assert ops["add"].inputs == ("shared", "shared:1")
    assert ops["joined"].output_shape == (8, 8, 4)
    assert ops["up"].kind == "unknown: UpSampling2D"
    assert not ops["up"].known
    assert ops["last"].input_shapes == ((16, 16, 4),)  # recorded in the model, so what follows is known again
    assert graph.outputs == ("last", "mean")


def test_a_class_of_the_users_own_is_unknown_whatever_its_name() -> None:
    import keras

    class Dense(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return x

    inputs = keras.Input((4,))
    graph = read_graph(keras.Model(inputs, Dense(name="mine")(inputs)))
    assert graph.operators[1].kind == "unknown: Dense"


def test_sequential_with_and_without_an_input_layer() -> None:
    import keras

    model = keras.Sequential([keras.layers.Conv1D(4, 3), keras.layers.Flatten(), keras.layers.Dense(2)])
    with pytest.raises(UserError, match="not built"):
        read_graph(model)
    model.build((None, 10, 3))
    graph = read_graph(model)
    assert [op.output_shape for op in graph.operators] == [(10, 3), (8, 4), (32,), (2,)]
    assert graph.outputs == (graph.operators[-1].name,)


def test_open_shapes_and_other_objects_are_refused() -> None:
    import keras

    inputs = keras.Input((None, 3))
    with pytest.raises(UserError, match="is not fixed"):
        read_graph(keras.Model(inputs, keras.layers.Conv1D(4, 3)(inputs)))
    with pytest.raises(UserError, match="is not a Keras model"):
        read_graph(3)

    class Own(keras.Model):
        pass

    with pytest.raises(UserError):
        read_graph(Own())


@pytest.mark.parametrize(
    ("text", "precision"),
    [
        ("quantized_bits(8, 0, 1, alpha=1.0)", Precision.INT8),
        ("quantized_bits(bits=4)", Precision.INT4),
        ("quantized_bits(2,0,1)", Precision.TERNARY),
        ("quantized_bits(6,0,1)", Precision.INT8),
        ("quantized_bits(16, 4)", Precision.FLOAT32),
        ("quantized_linear(4)", Precision.INT4),
        ("quantized_po2(4)", Precision.INT4),
        ("quantized_relu(8)", Precision.INT8),
        ("binary(alpha='auto')", Precision.BINARY),
        ("stochastic_binary()", Precision.BINARY),
        ("ternary(alpha='auto')", Precision.TERNARY),
        ("stochastic_ternary()", Precision.TERNARY),
    ],
)
def test_quantizers_give_precisions(text: str, precision: Precision) -> None:
    from qkeras import QDense
    from qkeras.utils import get_quantizer

    assert precision_of(text) is precision
    layer = QDense(2, kernel_quantizer=get_quantizer(text), name="d")
    import keras

    inputs = keras.Input((3,))
    op = read_graph(keras.Model(inputs, layer(inputs))).operators[1]
    assert op.precision is not None
    assert op.precision.weights is precision


# ------------------------------------------------------------------------------------------- .keras files


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
        ("model.h5", whole, "not a .keras file"),
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


@settings(max_examples=300, deadline=1000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), edits=st.lists(st.tuples(st.integers(0, 10**6), ODD), min_size=1, max_size=4))
def test_mutated_descriptions_are_read_or_refused(
    data: Any, edits: list[tuple[int, Any]], tmp_path: Path, hybrid_file: tuple[Any, Path]
) -> None:
    with zipfile.ZipFile(hybrid_file[1]) as archive:
        tree = json.loads(archive.read("config.json"))
    for where, value in edits:
        places = leaves(tree)
        if not places:
            break
        container, key = places[where % len(places)]
        container[key] = copy.deepcopy(value)
    read_or_refused(partial(profile, with_config(tmp_path / "mutated.keras", json.dumps(tree).encode())))


@settings(max_examples=150, deadline=1000, suppress_health_check=[HealthCheck.function_scoped_fixture])
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
    read_or_refused(partial(profile, path))


def read_or_refused(action: Callable[[], Any]) -> None:
    """A UserError is right, any other exception is a fault."""
    with contextlib.suppress(UserError):
        action()


def test_a_graph_is_its_own_reading() -> None:
    graph = Graph("empty", (), ())
    assert read_graph(graph) is graph
