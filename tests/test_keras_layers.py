"""What is read of one layer under many settings: shapes and counts as Keras has them."""

from __future__ import annotations

from math import prod
from typing import Any

import pytest

from hybridq.formats import Format
from hybridq.graph.keras.layers import format_of
from hybridq.graph.reader import read_graph


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
    ((6, 7), "EinsumDense", ("...x,xy->...y", 5), {"bias_axes": "y", "activation": "relu"}),
    ((6, 7), "EinsumDense", ("abc,cde->abde", (6, 2, 3)), {}),
    ((6, 7), "EinsumDense", ("abc,bcd->ad", 3), {}),
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
    ((9,), "RepeatVector", (3,), {}),
    ((5,), "Embedding", (11, 3), {}),
    ((9, 4), "LSTM", (5,), {}),
    ((9, 4), "LSTM", (5,), {"return_sequences": True, "use_bias": False}),
    ((9, 4), "GRU", (5,), {}),
    ((9, 4), "GRU", (5,), {"reset_after": False, "return_sequences": True}),
    ((9, 4), "SimpleRNN", (5,), {"activation": "relu"}),
    ((5, 9, 4), "ConvLSTM1D", (3, 2), {"return_sequences": True, "padding": "same", "strides": 2, "use_bias": False}),
    ((9, 11, 4), "AdaptiveMaxPooling2D", ((4, 11),), {}),
    ((9, 10, 4), "Resizing", (7, 12), {}),
    ((9, 10, 4), "Resizing", (20, 5), {"interpolation": "nearest"}),
    ((9, 10, 4), "CenterCrop", (9, 3), {}),
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
    (
        "GroupedQueryAttention",
        {"head_dim": 3, "num_query_heads": 4, "num_key_value_heads": 2},
        ((5, 4), (7, 4)),
    ),
    ("AdditiveAttention", {"use_scale": False}, ((5, 4), (7, 3), (7, 4))),
    ("LSTM", {}, ((9, 4), (5,), (5,))),
]


@pytest.mark.parametrize(("kind", "keywords", "shapes"), MERGES)
def test_layers_of_several_inputs_are_those_of_keras(
    kind: str, keywords: dict[str, Any], shapes: tuple[tuple[int, ...], ...]
) -> None:
    import keras

    inputs = [keras.Input(shape) for shape in shapes]
    if kind in ("MultiHeadAttention", "GroupedQueryAttention"):
        y = getattr(keras.layers, kind.replace("Grouped", "Group"))(**keywords)(*inputs)
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


def test_batch_norm_stores_a_scale_and_an_offset() -> None:
    op = read_graph(sequence((9, 10, 4), ("BatchNormalization", (), {}))).operators[1]
    assert (op.kernel, op.bias, op.other) == (0, 0, 8)


@pytest.mark.parametrize(
    ("text", "precision"),
    [
        ("quantized_bits(8, 0, 1, alpha=1.0)", Format.INT8),
        ("quantized_bits(bits=4)", Format.INT4),
        ("quantized_bits(2,0,1)", Format.TERNARY),
        ("quantized_bits(6,0,1)", Format.INT8),
        ("quantized_bits(16, 4)", Format.FLOAT32),
        ("quantized_linear(4)", Format.INT4),
        ("quantized_po2(4)", Format.INT4),
        ("quantized_relu(8)", Format.INT8),
        ("binary(alpha='auto')", Format.BINARY),
        ("stochastic_binary()", Format.BINARY),
        ("ternary(alpha='auto')", Format.TERNARY),
        ("stochastic_ternary()", Format.TERNARY),
    ],
)
def test_quantizers_give_precisions(text: str, precision: Format) -> None:
    from qkeras import QDense
    from qkeras.utils import get_quantizer

    assert format_of(text) is precision
    layer = QDense(2, kernel_quantizer=get_quantizer(text), name="d")
    import keras

    inputs = keras.Input((3,))
    op = read_graph(keras.Model(inputs, layer(inputs))).operators[1]
    assert op.precision is not None
    assert op.precision.weights is precision
