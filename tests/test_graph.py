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
from hybridq.graph import Graph, read_graph
from hybridq.keras_layers import precision_of
from hybridq.model_files import LARGEST_CONFIG
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
    ((4, 5, 6, 2), "Conv3D", (3, 2), {"padding": "same", "strides": 2}),
    ((4, 5, 6, 2), "MaxPooling3D", (2,), {}),
    ((4, 5, 6, 2), "GlobalAveragePooling3D", (), {}),
    ((4, 5, 6, 2), "Cropping3D", (((1, 0), (1, 1), (2, 0)),), {}),
    ((4, 5, 6, 2), "ZeroPadding3D", (1,), {}),
    ((4, 5, 6, 2), "UpSampling3D", (2,), {}),
    ((9, 10, 4), "Conv2DTranspose", (6, 3), {}),
    ((9, 10, 4), "Conv2DTranspose", (6, 2), {"strides": 3, "use_bias": False}),
    ((9, 10, 4), "Conv2DTranspose", (6, (3, 4)), {"strides": 2, "padding": "same"}),
    ((9, 10, 4), "Conv2DTranspose", (6, 3), {"strides": 2, "padding": "same", "output_padding": 1}),
    ((9, 10, 4), "Conv2DTranspose", (6, 3), {"strides": 2, "output_padding": 0}),
    ((9, 10, 4), "Conv2DTranspose", (6, 3), {"dilation_rate": 2, "activation": "gelu"}),
    ((9, 4), "Conv1DTranspose", (6, 3), {"strides": 2}),
    ((4, 5, 6, 2), "Conv3DTranspose", (3, 2), {}),
    ((9, 4), "Cropping1D", ((1, 3),), {}),
    ((9, 10, 4), "Cropping2D", (2,), {}),
    ((9, 10, 4), "Cropping2D", (((1, 0), (0, 3)),), {}),
    ((9, 4), "UpSampling1D", (3,), {}),
    ((9, 10, 4), "UpSampling2D", ((2, 3),), {"interpolation": "bilinear"}),
    ((9, 10, 4), "Resizing", (7, 12), {}),
    ((9,), "RepeatVector", (3,), {}),
    ((5,), "Embedding", (11, 3), {}),
    ((9, 4), "LSTM", (5,), {}),
    ((9, 4), "LSTM", (5,), {"return_sequences": True, "use_bias": False}),
    ((9, 4), "GRU", (5,), {}),
    ((9, 4), "GRU", (5,), {"reset_after": False, "return_sequences": True}),
    ((9, 4), "SimpleRNN", (5,), {"activation": "relu"}),
    ((9, 10, 4), "LayerNormalization", (), {}),
    ((9, 10, 4), "LayerNormalization", (), {"axis": [2, 3], "center": False}),
    ((9, 10, 4), "LayerNormalization", (), {"scale": False}),
    ((9, 10, 4), "RMSNormalization", (), {}),
    ((9, 10, 4), "GroupNormalization", (2,), {}),
    ((9, 10, 4), "GroupNormalization", (-1,), {"scale": False}),
    ((9, 10, 4), "UnitNormalization", (), {}),
    ((9, 10, 4), "Rescaling", (1 / 255,), {"offset": -0.5}),
    ((9, 10, 4), "SpatialDropout2D", (0.2,), {}),
]
STORED = {"bias": ("bias",), "other": ("alpha", "gamma", "beta", "scale")}  # names of Keras' weights


@pytest.mark.parametrize(("shape", "kind", "arguments", "keywords"), LAYERS)
def test_shapes_and_parameters_are_those_of_keras(
    shape: tuple[int, ...], kind: str, arguments: Any, keywords: dict[str, Any]
) -> None:
    model = sequence(shape, (kind, arguments, keywords))
    _, op = read_graph(model).operators
    assert op.kind == kind
    assert op.output_shape == model.output_shape[1:]
    assert op.parameters == model.count_params()
    weights = [(weight.name, prod(weight.shape)) for weight in model.layers[1].weights]
    for part, names in STORED.items():
        assert getattr(op, part) == sum(size for name, size in weights if name in names)


MERGES = [
    ("Add", {}, ((9, 10, 4), (9, 10, 4), (9, 10, 4))),
    ("Add", {}, ((9, 10, 4), (4,))),
    ("Multiply", {}, ((9, 10, 4), (1, 1, 4))),
    ("Multiply", {}, ((9, 1, 4), (1, 10, 1))),
    ("Subtract", {}, ((9, 4), (9, 4))),
    ("Average", {}, ((9, 4), (9, 4), (9, 4))),
    ("Minimum", {}, ((9, 4), (9, 4))),
    ("Maximum", {}, ((9, 4), (9, 1))),
    ("Concatenate", {"axis": 1}, ((9, 4), (3, 4))),
    ("Dot", {"axes": 1}, ((9,), (9,))),
    ("Dot", {"axes": (2, 1), "normalize": True}, ((5, 9), (9, 3))),
    ("Attention", {"use_scale": True}, ((5, 4), (7, 4))),
    ("Attention", {}, ((5, 4), (7, 3), (7, 4))),
    ("MultiHeadAttention", {"num_heads": 2, "key_dim": 3}, ((5, 4), (7, 6))),
    ("MultiHeadAttention", {"num_heads": 2, "key_dim": 3, "value_dim": 5, "output_shape": 9}, ((5, 4), (7, 6), (7, 8))),
    ("MultiHeadAttention", {"num_heads": 2, "key_dim": 3, "use_bias": False}, ((5, 2, 4), (7, 2, 6))),
    ("LSTM", {}, ((9, 4), (5,), (5,))),
]


@pytest.mark.parametrize(("kind", "keywords", "shapes"), MERGES)
def test_layers_of_several_inputs_are_those_of_keras(
    kind: str, keywords: dict[str, Any], shapes: tuple[tuple[int, ...], ...]
) -> None:
    import keras

    inputs = [keras.Input(shape) for shape in shapes]
    if kind == "MultiHeadAttention":
        y = keras.layers.MultiHeadAttention(**keywords)(*inputs)
    elif kind == "LSTM":
        y = keras.layers.LSTM(5)(inputs[0], initial_state=inputs[1:])
    else:
        y = getattr(keras.layers, kind)(**keywords)(inputs)
    model = keras.Model(inputs, y)
    op = read_graph(model).operators[-1]
    assert (op.kind, op.input_shapes, op.output_shape) == (kind, shapes, model.output_shape[1:])
    assert op.parameters == model.count_params()


def test_a_mean_and_a_variance_are_numbers_of_the_model() -> None:
    for keywords in ({}, {"axis": None}, {"axis": (1, 3)}):
        model = sequence((9, 10, 4), ("Normalization", (), keywords))
        op = read_graph(model).operators[1]
        assert op.parameters == model.count_params() - 1  # Keras also stores how many samples it saw


def test_keywords_of_attention_in_any_order() -> None:
    import keras

    q, v, k = (keras.Input(shape) for shape in ((5, 4), (5, 6), (5, 8)))
    layer = keras.layers.MultiHeadAttention(2, 3, name="attention")
    _, scores = layer(q, key=k, value=v, return_attention_scores=True)
    graph = read_graph(keras.Model([q, v, k], keras.layers.Flatten(name="flatten")(scores)))
    ops = {op.name: op for op in graph.operators}
    assert ops["attention"].input_shapes == ((5, 4), (5, 6), (5, 8))
    assert ops["attention"].parameters == layer.count_params()
    assert ops["flatten"].output_shape == (2 * 5 * 5,)  # of the second result


# ------------------------------------------------------------------- wrappers, models inside, several results


def counted(model: Any) -> tuple[int, int]:
    """The numbers stored, by us and by Keras."""
    return sum(op.parameters for op in read_graph(model).operators), model.count_params()


@pytest.mark.parametrize("mode", ["concat", "sum", "mul", "ave"])
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "SimpleRNN"])
def test_bidirectional(kind: str, mode: str) -> None:
    import keras
    from keras import layers

    inputs = keras.Input((9, 4))
    inner = getattr(layers, kind)(5, return_sequences=True, return_state=True)
    x, *states = layers.Bidirectional(inner, merge_mode=mode, name="both")(inputs)
    model = keras.Model(inputs, [x, *states])
    op = read_graph(model).operators[1]
    assert [op.output_shape, *op.further_outputs] == [shape[1:] for shape in model.output_shape]
    assert op.parameters == model.count_params()
    assert [inner.kind for inner in op.attributes["inside"].operators] == ["InputLayer", kind, "InputLayer", kind]


def test_bidirectional_apart_and_with_first_states() -> None:
    import keras
    from keras import layers

    inputs = keras.Input((9, 4))
    states = [keras.Input((5,)) for _ in range(2)]
    a, b = layers.Bidirectional(layers.GRU(5), merge_mode=None)(inputs, initial_state=states)
    x = layers.Bidirectional(layers.LSTM(3), backward_layer=layers.LSTM(3, go_backwards=True))(inputs)
    model = keras.Model([inputs, *states], layers.Concatenate()([a, b, x]))
    ours, theirs = counted(model)
    assert ours == theirs
    assert read_graph(model).operators[-1].input_shapes == ((5,), (5,), (6,))


def test_time_distributed_layers_and_models() -> None:
    import keras
    from keras import layers

    inputs = keras.Input((5, 12, 12, 1))
    x = layers.TimeDistributed(layers.Conv2D(4, 3, activation="relu"), name="conv")(inputs)
    inner = keras.Sequential([layers.MaxPooling2D(), layers.BatchNormalization(scale=False), layers.Flatten()])
    x = layers.TimeDistributed(inner, name="model")(x)
    x = layers.TimeDistributed(layers.Bidirectional(layers.LSTM(2)), name="deep")(layers.Reshape((5, 10, 10))(x))
    x = layers.TimeDistributed(layers.Lambda(lambda t: t * 2), name="odd")(x)
    model = keras.Model(inputs, layers.Dense(2)(x))
    ops = {op.name: op for op in read_graph(model).operators}
    assert ops["conv"].output_shape == (5, 10, 10, 4)
    assert ops["model"].output_shape == (5, 100)
    assert ops["model"].other == 8
    assert ops["odd"].kind == "unknown: TimeDistributed of Lambda"
    assert ops["odd"].output_shape == (5, 4)
    ours, theirs = counted(model)
    assert ours == theirs - 4  # Keras has a mean, a variance and an offset for each channel


def nested() -> Any:
    """A functional model of two inputs and a sequential one in it, the first used twice; in that again a model."""
    import keras
    from keras import layers

    core = keras.Sequential([layers.Dense(6, "relu", name="wide"), layers.Dense(4, name="narrow")], name="core")
    a, b = keras.Input((4,)), keras.Input((4,))
    joined = core(layers.Add(name="add")([a, core(b)]))
    block = keras.Model([a, b], [joined, a], name="block")
    one, two = keras.Input((4,), name="one"), keras.Input((4,), name="two")
    x, same = block([one, two])
    x, _ = block([layers.Subtract(name="less")([x, same]), two])
    tail = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="last")], name="tail")
    return keras.Model([one, two], [tail(x), block([x, two])[0]], name="nested")


def test_models_inside_models_are_taken_apart(tmp_path: Path) -> None:
    model = nested()
    graph = read_graph(model)
    ops = {op.name: op for op in graph.operators}
    assert {name for name in ops if name.startswith("block/")} == {
        *("block/core/wide", "block/core/narrow", "block/add", "block/core:1/wide", "block/core:1/narrow")
    }
    assert ops["block/core/wide"].inputs == ("two",)
    assert ops["block/add"].inputs == ("one", "block/core/narrow")
    assert ops["less"].inputs == ("block/core:1/narrow", "one")
    assert ops["tail/last"].inputs == ("block:1/core:1/narrow",)
    assert graph.outputs == ("tail/last", "block:2/core:1/narrow")
    ours, theirs = counted(model)
    assert ours == theirs  # whatever is used twice is stored once
    model.save(tmp_path / "nested.keras")
    model.save(tmp_path / "nested.h5")
    assert read_graph(tmp_path / "nested.keras") == read_graph(tmp_path / "nested.h5") == graph


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


def test_a_sequential_model_that_begins_with_a_model() -> None:
    import keras
    from keras import layers

    model = keras.Sequential([keras.Sequential([keras.Input((4,)), layers.Dense(3)]), layers.Dense(2)])
    assert [op.output_shape for op in read_graph(model).operators] == [(4,), (3,), (2,)]


def test_arithmetic_and_masks() -> None:
    import keras
    import numpy as np
    from keras import layers

    inputs = keras.Input((5, 3))
    x = layers.Masking(name="masking")(inputs)
    x = layers.LSTM(4, name="memory")(x)
    x = x * 2.0 + layers.Dense(4)(x)
    x = keras.ops.add(x, np.ones(4, "float32"))
    graph = read_graph(keras.Model(inputs, x))
    ops = {op.kind: op for op in graph.operators}
    assert ops["LSTM"].inputs[0] == "masking"
    assert ops["Any"].output_shape == (5,)
    assert ops["Multiply"].output_shape == ops["Add"].output_shape == (4,)
    assert "unknown: Add" in ops  # it stores an array


def test_layers_that_cannot_be_known_keep_the_shape_that_the_file_says() -> None:
    import keras
    from keras import layers

    inputs = keras.Input((4,))
    middle = layers.Lambda(lambda x: x[:, :3], name="middle")(inputs)
    last = layers.Lambda(lambda x: x[:, :2], output_shape=(2,), name="last")(layers.Dense(5)(middle))
    graph = read_graph(keras.Model(inputs, last))
    assert [(op.kind, op.output_shape) for op in graph.operators] == [
        ("InputLayer", (4,)),
        ("unknown: Lambda", (3,)),
        ("Dense", (5,)),
        ("unknown: Lambda", (2,)),
    ]


def test_files_of_keras_2(tmp_path: Path) -> None:
    keras = pytest.importorskip("tf_keras", reason="writes the files of Keras 2")
    layers = keras.layers
    core = keras.Sequential([layers.Input((9, 4)), layers.Dense(6), layers.Dense(4)], name="core")
    late = keras.Sequential([layers.Dense(4)], name="late")
    one, two = keras.Input((9, 4), name="one"), keras.Input((9, 4), name="two")
    x = late(core(one))
    x = core(layers.MultiHeadAttention(2, 3, name="attention")(x, value=two, key=one))
    x, *states = layers.LSTM(5, return_sequences=True, return_state=True, name="first")(x)
    x = layers.LSTM(5, return_sequences=True, name="second")(x, initial_state=states)
    x = layers.Bidirectional(layers.GRU(3, return_sequences=True), name="both")(x)
    x = layers.TimeDistributed(layers.Dense(4), name="steps")(x)
    x = layers.Masking(name="masking")(x)
    model = keras.Model([one, two], [core(x), x])
    model.save(tmp_path / "old.h5")
    graph = read_graph(tmp_path / "old.h5")
    ops = {op.name: op for op in graph.operators}
    assert all(op.known for op in graph.operators)
    assert sum(op.parameters for op in graph.operators) == model.count_params()
    assert ops["attention"].inputs == ("late/dense_2", "two", "one")
    assert ops["second"].inputs == ("first", "first", "first")
    assert ops["second"].input_shapes == ((9, 5), (5,), (5,))
    assert graph.outputs == ("core:2/dense_1", "masking")


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
    x = layers.Lambda(lambda t: t[:, :, ::2], name="odd")(x)
    x = layers.Conv2D(3, 3, name="last")(x)
    return keras.Model(inputs, [x, layers.GlobalAveragePooling2D(name="mean")(x)], name="branching")


def test_branches_shared_layers_and_unknown_layers() -> None:
    graph = read_graph(branching())
    ops = {op.name: op for op in graph.operators}
    assert ops["shared"].parameters == 38
    assert ops["shared:1"].parameters == 0
    assert ops["add"].inputs == ("shared", "shared:1")
    assert ops["joined"].output_shape == (8, 8, 4)
    assert ops["odd"].kind == "unknown: Lambda"
    assert not ops["odd"].known
    assert ops["last"].input_shapes == ((8, 4, 4),)  # recorded in the model, so what follows is known again
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


@settings(max_examples=300, deadline=1000, suppress_health_check=[HealthCheck.function_scoped_fixture])
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
