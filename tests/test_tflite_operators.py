"""What the operators of a TFLite file are read as."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tflite_builds import CONV, FLOATS, IMAGE, POOL, Writer, convolution, read_ops, single

from hybridq.errors import UserError
from hybridq.formats import Format


def test_a_convolution_says_what_a_keras_layer_says(tmp_path: Path) -> None:
    writer = Writer()
    weights, bias = writer.weights(8, 3, 5, 2, kind=np.int8, scales=8), writer.weights(8, kind=np.int32)
    options = CONV | {"padding": 0, "strideW": 2, "dilationHFactor": 2, "fusedActivationFunction": 3}
    source = writer.input(1, 20, 30, 4, kind="INT8")
    writer.add("CONV_2D", (source, weights, bias), 1, 20, 15, 8, options=options, kind="INT8")
    start, op = writer.read(tmp_path).operators
    assert (op.name, op.kind, op.inputs, op.output_shape) == ("conv_2d_0", "Conv2D", ("input_0",), (20, 15, 8))
    assert (op.kernel, op.bias, op.other) == (240, 8, 0)
    wanted = {"kernel": (3, 5), "strides": (1, 2), "dilation": (2, 1), "groups": 2, "activation": "relu6"}
    assert wanted.items() <= op.attributes.items()
    assert op.attributes["pads"] == ((2, 2), (1, 2))
    assert op.attributes["per_channel"] is True
    assert op.precision is not None
    assert (op.precision.weights, op.precision.bias) == (Format.INT8, Format.FLOAT32)
    assert op.precision.outputs is Format.INT8
    assert start.precision is not None
    assert start.precision.outputs is Format.INT8


def test_an_array_that_two_operators_read_counts_once(tmp_path: Path) -> None:
    writer = Writer()
    weights = writer.weights(2, 1, 1, 2)
    first = convolution(writer, writer.input(1, 4, 4, 2), weights, 1, 4, 4, 2)
    second = convolution(writer, first, weights, 1, 4, 4, 2)
    other = writer.tensor((2, 1, 1, 2), buffer=writer.graph.tensors[weights].buffer)  # another name for the same array
    convolution(writer, second, other, 1, 4, 4, 2)
    assert [op.kernel for op in read_ops(writer, tmp_path)] == [4, 0, 0]


OPERATORS = [
    ("MAX_POOL_2D", IMAGE, (1, 3, 4, 4), (), POOL, "MaxPooling2D", {"kernel": (2, 2)}),
    ("AVERAGE_POOL_2D", IMAGE, (1, 3, 4, 4), (), POOL, "AveragePooling2D", {"strides": (2, 2)}),
    ("MEAN", IMAGE, (1, 4), (np.int32([1, 2]),), None, "GlobalAveragePooling2D", {"kernel": (6, 8)}),
    ("MEAN", IMAGE, (1, 1, 1, 4), (np.int32([-3, -2]),), None, "GlobalAveragePooling2D", {"kernel": (6, 8)}),
    ("MEAN", IMAGE, (1, 6, 8), (np.int32([3]),), None, "Mean", {"axes": (2,)}),
    ("MEAN", IMAGE, (1, 1, 8, 4), (np.int32([1]),), None, "Mean", {"axes": (0,)}),
    ("MEAN", IMAGE, IMAGE, (np.int32([0]),), None, "unknown: MEAN over the axes (0,)", {}),
    ("REDUCE_MAX", IMAGE, (1, 6, 4), (np.int32([2]),), None, "Max", {"axes": (1,)}),
    ("REDUCE_MAX", (1, 6, 4), (1, 4), (np.int32(1),), None, "GlobalMaxPooling1D", {"kernel": (6,)}),
    ("SUM", IMAGE, (1, 4), (np.int32([1, 2]),), None, "Sum", {"axes": (0, 1)}),
    ("SQRT", IMAGE, IMAGE, (), None, "Sqrt", {}),
    ("LOG_SOFTMAX", (1, 4), (1, 4), (), None, "Activation", {"activation": "log_softmax"}),
    ("DIV", IMAGE, IMAGE, (FLOATS,), None, "Divide", {"operands": 2}),
    ("L2_NORMALIZATION", (1, 4), (1, 4), (), None, "UnitNormalization", {}),
    ("TILE", (1, 8, 4), (1, 8, 12), (np.int32([1, 1, 3]),), None, "Tile", {}),
    ("BATCH_MATMUL", (1, 8, 4), (1, 8, 3), (np.zeros((4, 3), np.float32),), None, "Matmul", {"length": 4}),
    ("RELU", IMAGE, IMAGE, (), None, "ReLU", {"activation": "relu"}),
    ("RELU6", IMAGE, IMAGE, (), None, "ReLU", {"activation": "relu6"}),
    ("LEAKY_RELU", IMAGE, IMAGE, (), None, "LeakyReLU", {"activation": "leaky_relu"}),
    ("PRELU", IMAGE, IMAGE, (FLOATS,), None, "PReLU", {"activation": "prelu"}),
    ("ELU", IMAGE, IMAGE, (), None, "ELU", {"activation": "elu"}),
    ("TANH", IMAGE, IMAGE, (), None, "Activation", {"activation": "tanh"}),
    ("LOGISTIC", IMAGE, IMAGE, (), None, "Activation", {"activation": "sigmoid"}),
    ("HARD_SWISH", IMAGE, IMAGE, (), None, "Activation", {"activation": "hard_silu"}),
    ("SOFTMAX", (1, 4), (1, 4), (), None, "Softmax", {"activation": "softmax"}),
    ("ADD", IMAGE, IMAGE, (FLOATS,), {"table": "AddOptions", "fusedActivationFunction": 1}, "Add", {"operands": 2}),
    ("SUB", IMAGE, IMAGE, (FLOATS,), None, "Subtract", {"operands": 2}),
    ("MUL", IMAGE, IMAGE, (FLOATS,), None, "Multiply", {"operands": 2}),
    ("MINIMUM", IMAGE, IMAGE, (FLOATS,), None, "Minimum", {"operands": 2}),
    ("MAXIMUM", IMAGE, IMAGE, (FLOATS,), None, "Maximum", {"operands": 2}),
    ("PAD", IMAGE, (1, 7, 11, 4), (np.int32([[0, 0], [0, 1], [1, 2], [0, 0]]),), None, "ZeroPadding2D", {}),
    ("PAD", IMAGE, (1, 6, 8, 7), (np.int32([[0, 0], [0, 0], [0, 0], [1, 2]]),), None, "Pad", {}),
    ("PAD", (1, 4), (1, 6), (np.int32([[0, 0], [1, 1]]),), None, "Pad", {}),
    ("RESHAPE", IMAGE, (1, 48, 4), (np.int32([1, 48, 4]),), None, "Reshape", {}),
    ("EXPAND_DIMS", (1, 8, 4), (1, 1, 8, 4), (np.int32(1),), None, "Reshape", {}),
    ("SQUEEZE", (1, 1, 8, 4), (1, 8, 4), (), None, "Reshape", {}),
    ("TRANSPOSE", (1, 8, 4), (1, 4, 8), (np.int32([0, 2, 1]),), None, "Permute", {"dims": (2, 1)}),
    ("QUANTIZE", IMAGE, IMAGE, (), None, "Quantize", {}),
    ("DEQUANTIZE", IMAGE, IMAGE, (), None, "Dequantize", {}),
    ("RESIZE_BILINEAR", IMAGE, (1, 12, 24, 4), (np.int32([12, 24]),), None, "Resizing", {"interpolation": "bilinear"}),
    (
        "RESIZE_NEAREST_NEIGHBOR",
        IMAGE,
        (1, 12, 8, 4),
        (np.int32([12, 8]),),
        None,
        "Resizing",
        {"interpolation": "nearest"},
    ),
    ("SLICE", (1, 8, 4), (1, 3, 4), (np.int32([0, 2, 0]), np.int32([1, 3, 4])), None, "Slice", {}),
    ("COS", IMAGE, IMAGE, (), None, "unknown: COS", {}),
]


@pytest.mark.parametrize(("name", "source", "shape", "constants", "options", "kind", "attributes"), OPERATORS)
def test_operators_have_the_kinds_of_keras_layers(
    tmp_path: Path, name: str, source: Any, shape: Any, constants: Any, options: Any, kind: str, attributes: Any
) -> None:
    op = single(tmp_path, name, source, shape, *constants, options=options)
    assert op.kind == kind
    assert op.output_shape == shape[1:]
    assert attributes.items() <= op.attributes.items()
    assert op.parameters == sum(c.size for c in constants if c.dtype == np.float32)
    assert op.kernel == 0


def test_a_sequence_is_taken_apart_for_a_dilated_convolution_and_joined(tmp_path: Path) -> None:
    def parts(crop: int, blocks: int = 2) -> list[tuple[str, tuple[int, ...]]]:
        writer = Writer()
        two, pad, cut = (writer.constant(np.int32(value)) for value in ([blocks], [[1, 0]], [[crop, 0]]))
        source = writer.input(1, 7, 4)
        apart = writer.add("SPACE_TO_BATCH_ND", [source, two, pad], 2, 4, 4)
        writer.add("BATCH_TO_SPACE_ND", [apart, two, cut], 1, 7, 4)
        return [(op.kind, op.output_shape) for op in read_ops(writer, tmp_path)]

    assert parts(1) == [("SpaceToBatch", (2, 4, 4)), ("BatchToSpace", (7, 4))]
    with pytest.raises(UserError, match=r"settings give the output \(6, 4\), the file says \(7, 4\)"):
        parts(2)
    with pytest.raises(UserError):
        parts(1, blocks=-2)


def test_two_branches_are_joined(tmp_path: Path) -> None:
    writer = Writer()
    source = writer.input(1, 4, 4, 2)
    left = writer.add("RELU", [source], 1, 4, 4, 2)
    right = writer.add("TANH", [source], 1, 4, 4, 2)
    writer.add("CONCATENATION", [left, right], 1, 4, 4, 4, options={"table": "ConcatenationOptions", "axis": 3})
    writer.graph.outputs += [left]
    graph = writer.read(tmp_path)
    joined = graph.operators[-1]
    assert (joined.kind, joined.inputs, joined.output_shape) == ("Concatenate", ("relu_0", "tanh_1"), (4, 4, 4))
    assert graph.outputs == ("concatenation_2", "relu_0")


def test_what_only_computes_a_shape_costs_nothing(tmp_path: Path) -> None:
    writer = Writer()
    source = writer.input(1, 4, 6, signature=[-1, 4, 6])
    shape = writer.add("SHAPE", [source], 3, kind="INT32")
    ends = [writer.constant(np.int32([n])) for n in (0, 1, 1)]
    batch = writer.add("STRIDED_SLICE", [shape, *ends], kind="INT32")
    target = writer.add("PACK", [batch, writer.constant(np.int32(24))], 2, kind="INT32")
    writer.add("RESHAPE", [source, target], 1, 24, signature=[-1, 24])
    assert [op.kind for op in read_ops(writer, tmp_path)] == ["Reshape"]


def test_steps_folded_into_an_open_batch_are_counted(tmp_path: Path) -> None:
    writer = Writer()
    source = writer.input(1, 5, 6, signature=[-1, 5, 6])
    steps = writer.add("RESHAPE", [source, writer.constant(np.int32([-1, 6]))], 1, 6, signature=[-1, 6])
    dense = writer.add("FULLY_CONNECTED", [steps, writer.weights(3, 6), -1], 1, 3, signature=[-1, 3])
    writer.add("RESHAPE", [dense, writer.constant(np.int32([-1, 5, 3]))], 1, 5, 3, signature=[-1, 5, 3])
    assert [op.output_shape for op in read_ops(writer, tmp_path)] == [(5, 6), (5, 3), (5, 3)]


def test_a_dense_layer_takes_an_image_as_one_row(tmp_path: Path) -> None:
    op = single(tmp_path, "FULLY_CONNECTED", IMAGE, (1, 3), np.zeros((3, 192), np.float32), np.zeros(3, np.float32))
    assert (op.kind, op.input_shapes, op.output_shape) == ("Dense", ((192,),), (3,))
    assert (op.kernel, op.bias) == (576, 3)


def test_weights_stored_as_float16_belong_to_the_layer_that_unpacks_them(tmp_path: Path) -> None:
    writer = Writer()
    weights = writer.add("DEQUANTIZE", [writer.weights(3, 6, kind=np.float16)], 3, 6)
    writer.add("FULLY_CONNECTED", [writer.input(1, 6), weights, -1], 1, 3)
    (op,) = read_ops(writer, tmp_path)
    assert (op.kind, op.kernel) == ("Dense", 18)


def test_weights_that_are_computed_have_no_rule(tmp_path: Path) -> None:
    writer = Writer()
    writer.add("FULLY_CONNECTED", [writer.input(1, 6), writer.input(3, 6), -1], 1, 3)
    (op,) = read_ops(writer, tmp_path)
    assert op.kind == "unknown: FULLY_CONNECTED of weights that are computed"


def test_a_recurrent_layer_counts_its_gates(tmp_path: Path) -> None:
    writer = Writer()
    units, width = 5, 3
    inputs = [writer.weights(units, width) for _ in range(4)] + [writer.weights(units, units) for _ in range(4)]
    bias, state = [writer.weights(units) for _ in range(4)], [writer.tensor((1, units)) for _ in range(2)]
    for index in state:
        writer.graph.tensors[index].isVariable = True
    used = [writer.input(1, 7, width), *inputs, -1, -1, -1, *bias, -1, -1, *state]
    writer.add("UNIDIRECTIONAL_SEQUENCE_LSTM", used, 1, 7, units)
    (op,) = read_ops(writer, tmp_path)
    assert (op.kind, op.output_shape) == ("LSTM", (7, units))
    assert (op.kernel, op.bias, op.other) == (4 * units * (units + width), 4 * units, 0)
    assert op.attributes["steps"] == 7
