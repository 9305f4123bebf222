"""TFLite files as data: against published reports, the real converter, and damaged bytes."""

from __future__ import annotations

import importlib.util
import json
import re
import time
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hybridq.errors import UserError
from hybridq.graph import Graph, Operator, read_graph
from hybridq.precision import Precision

REPORTS = Path(__file__).resolve().parent.parent.parent / "shared" / "facts" / "xcube"


# ------------------------------------------------------------------------------------- published reports


def pairs() -> list[Any]:
    """The reports of X-CUBE-AI on TFLite models, each with the path of its model."""
    if not REPORTS.is_dir():
        return []
    found = json.loads((REPORTS / "pairs.json").read_text())
    return [pytest.param(pair, id=pair["model"][7:30]) for pair in found if pair["model"].endswith(".tflite")]


def report_shape(text: str) -> tuple[int, ...]:
    """ "[b:1,h:26,w:26,c:32]" without the batch."""
    sizes = dict(re.findall(r"(\w):(\d+)", text))
    return tuple(int(n) for axis, n in sizes.items() if axis != "b")


reports = pytest.mark.skipif(not pairs(), reason="the published reports are not beside this checkout (../shared)")


@reports
@pytest.mark.parametrize("pair", pairs())
def test_shapes_and_parameters_are_those_of_the_report(pair: Any) -> None:
    graph = read_graph(REPORTS / pair["model"])
    assert sum(op.parameters for op in graph.operators) == pair["params"]
    assert all(op.known for op in graph.operators)
    rows = [row for row in pair["layers"] if not row["type"].startswith(("Input", "Placeholder"))]
    last = {row["id"]: report_shape(row["oshape"]) for row in rows}
    shapes = {int(op.name.rsplit("_", 1)[1]): op.output_shape for op in graph.operators if op.inputs}
    assert shapes == last


@reports
@pytest.mark.parametrize("pair", pairs())
def test_bytes_of_the_weights_are_those_of_the_report(pair: Any) -> None:
    """By the precisions of the file; the tool pads arrays to 4 bytes, and keeps no 8-bit weights in a float network."""
    size = 0
    for op in read_graph(REPORTS / pair["model"]).operators:
        assert op.precision is not None
        weights = Precision.FLOAT32 if pair["model_fmt"] == "float" else op.precision.weights
        size += sum(-(-n * weights.bits // 32) * 4 for n in (op.kernel, op.other)) + op.bias * 4
    padding = size - pair["weights_ro"]
    assert 0 <= padding <= 12


# ------------------------------------------------------------------------------------- the real converter


@pytest.mark.parametrize("int8", [False, True])
def test_a_converted_model_has_the_layers_of_the_keras_model(tmp_path: Path, int8: bool) -> None:
    import keras
    import tensorflow as tf
    from keras import layers

    keras.utils.set_random_seed(1)
    inputs = keras.Input((16, 12, 3))
    x = layers.Conv2D(8, 3, padding="same", strides=2, activation="relu", bias_initializer="normal")(inputs)
    x = layers.Add()([x, layers.DepthwiseConv2D(3, padding="same", bias_initializer="normal")(x)])
    x = layers.Conv2DTranspose(4, 3, strides=2, padding="same", bias_initializer="normal")(x)
    x = layers.GlobalAveragePooling2D()(layers.MaxPooling2D(2)(x))
    model = keras.Model(inputs, layers.Dense(5, activation="softmax", bias_initializer="normal")(x))
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if int8:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([np.ones((1, 16, 12, 3), np.float32) * i] for i in range(3))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    path = tmp_path / "model.tflite"
    path.write_bytes(converter.convert())
    wanted, found = ([op for op in graph.operators if op.kernel] for graph in (read_graph(model), read_graph(path)))
    assert [(op.kind, op.output_shape, op.kernel, op.bias) for op in found] == [
        (op.kind, op.output_shape, op.kernel, op.bias) for op in wanted
    ]
    for ours, theirs in zip(found, wanted, strict=True):  # the converter takes the softmax out of the dense layer
        assert ours.attributes.items() >= theirs.attributes.items() - {("activation", "softmax")}
    assert {op.precision.weights for op in found if op.precision} == {Precision.INT8 if int8 else Precision.FLOAT32}


# ----------------------------------------------------------------------------------------- written files


def schema() -> Any:
    """The writer that the schema's own compiler made, as TensorFlow ships it; TensorFlow itself is not imported."""
    root = importlib.util.find_spec("tensorflow")
    assert root
    assert root.submodule_search_locations
    path = Path(root.submodule_search_locations[0]) / "lite" / "python" / "schema_py_generated.py"
    spec = importlib.util.spec_from_file_location("tflite_schema", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SCHEMA = schema()


class Writer:
    """Writes a `.tflite` file, tensor by tensor."""

    def __init__(self) -> None:
        self.model, self.graph = SCHEMA.ModelT(), SCHEMA.SubGraphT()
        self.model.version, self.model.subgraphs = 3, [self.graph]
        self.model.buffers, self.model.operatorCodes = [SCHEMA.BufferT()], []
        self.graph.tensors, self.graph.operators, self.graph.inputs, self.graph.outputs = [], [], [], []

    def tensor(self, shape: Sequence[int], kind: str = "FLOAT32", signature: Any = None, buffer: int = 0) -> int:
        tensor = SCHEMA.TensorT()
        tensor.shape, tensor.shapeSignature, tensor.buffer = list(shape), signature, buffer
        tensor.type = getattr(SCHEMA.TensorType, kind)
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def input(self, *shape: int, **more: Any) -> int:
        self.graph.inputs.append(self.tensor(shape, **more))
        return int(self.graph.inputs[-1])

    def constant(self, values: Any, scales: int = 0) -> int:
        array = np.asarray(values)
        buffer = SCHEMA.BufferT()
        buffer.data = np.frombuffer(array.tobytes(), np.uint8)
        self.model.buffers.append(buffer)
        index = self.tensor(array.shape, array.dtype.name.upper(), buffer=len(self.model.buffers) - 1)
        if scales:
            quantization = SCHEMA.QuantizationParametersT()
            quantization.scale = [0.1] * scales
            self.graph.tensors[index].quantization = quantization
        return index

    def weights(self, *shape: int, kind: Any = np.float32, **more: Any) -> int:
        return self.constant(np.zeros(shape, kind), **more)

    def add(
        self, name: str, inputs: Sequence[int], *shape: int, options: dict[str, Any] | None = None, **of: Any
    ) -> int:
        """An operator with one output of that shape; `options` are fields of its table of the schema."""
        code, operator = SCHEMA.OperatorCodeT(), SCHEMA.OperatorT()
        code.builtinCode = getattr(SCHEMA.BuiltinOperator, name)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        self.model.operatorCodes.append(code)
        operator.opcodeIndex = len(self.model.operatorCodes) - 1
        operator.inputs, operator.outputs = list(inputs), [self.tensor(shape, **of)]
        if options:
            table = dict(options)
            kind = table.pop("table")
            operator.builtinOptionsType = getattr(SCHEMA.BuiltinOptions, kind)
            operator.builtinOptions = getattr(SCHEMA, f"{kind}T")()
            for key, value in table.items():
                assert hasattr(operator.builtinOptions, key)
                setattr(operator.builtinOptions, key, value)
        self.graph.operators.append(operator)
        self.graph.outputs = list(operator.outputs)
        return int(operator.outputs[0])

    def bytes(self) -> bytes:
        import flatbuffers

        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())

    def read(self, folder: Path) -> Graph:
        path = folder / "model.tflite"
        path.write_bytes(self.bytes())
        return read_graph(path)


CONV = {"table": "Conv2DOptions", "strideW": 1, "strideH": 1, "padding": 1, "dilationWFactor": 1, "dilationHFactor": 1}


def convolution(writer: Writer, source: int, weights: int, *shape: int, **options: Any) -> int:
    return writer.add("CONV_2D", (source, weights, -1), *shape, options=CONV | options)


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
    assert (op.precision.weights, op.precision.bias) == (Precision.INT8, Precision.FLOAT32)
    assert op.precision.outputs is Precision.INT8
    assert start.precision is not None
    assert start.precision.outputs is Precision.INT8


def test_an_array_that_two_operators_read_counts_once(tmp_path: Path) -> None:
    writer = Writer()
    weights = writer.weights(2, 1, 1, 2)
    first = convolution(writer, writer.input(1, 4, 4, 2), weights, 1, 4, 4, 2)
    second = convolution(writer, first, weights, 1, 4, 4, 2)
    other = writer.tensor((2, 1, 1, 2), buffer=writer.graph.tensors[weights].buffer)  # another name for the same array
    convolution(writer, second, other, 1, 4, 4, 2)
    assert [op.kernel for op in read_ops(writer, tmp_path)] == [4, 0, 0]


def read_ops(writer: Writer, folder: Path) -> list[Operator]:
    return [op for op in writer.read(folder).operators if op.inputs]


def single(
    folder: Path, name: str, source: tuple[int, ...], shape: tuple[int, ...], *constants: Any, **more: Any
) -> Operator:
    """A network of one operator."""
    writer = Writer()
    inputs = [writer.input(*source), *(writer.constant(constant) for constant in constants)]
    writer.add(name, inputs, *shape, **more)
    (op,) = read_ops(writer, folder)
    return op


IMAGE = (1, 6, 8, 4)
POOL = {"table": "Pool2DOptions", "padding": 1, "strideW": 2, "strideH": 2, "filterWidth": 2, "filterHeight": 2}
FLOATS = np.zeros(4, np.float32)
OPERATORS = [
    ("MAX_POOL_2D", IMAGE, (1, 3, 4, 4), (), POOL, "MaxPooling2D", {"kernel": (2, 2)}),
    ("AVERAGE_POOL_2D", IMAGE, (1, 3, 4, 4), (), POOL, "AveragePooling2D", {"strides": (2, 2)}),
    ("MEAN", IMAGE, (1, 4), (np.int32([1, 2]),), None, "GlobalAveragePooling2D", {"kernel": (6, 8)}),
    ("MEAN", IMAGE, (1, 1, 1, 4), (np.int32([-3, -2]),), None, "GlobalAveragePooling2D", {"kernel": (6, 8)}),
    ("MEAN", IMAGE, (1, 6, 8), (np.int32([3]),), None, "unknown: MEAN over the axes (3,)", {}),
    ("REDUCE_MAX", (1, 6, 4), (1, 4), (np.int32(1),), None, "GlobalMaxPooling1D", {"kernel": (6,)}),
    ("SUM", IMAGE, (1, 4), (np.int32([1, 2]),), None, "unknown: SUM", {}),
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


def test_files_that_contradict_themselves_are_refused(tmp_path: Path) -> None:
    writer = Writer()
    convolution(writer, writer.input(1, 4, 4, 2), writer.weights(2, 3, 3, 2), 1, 4, 4, 2)
    with pytest.raises(UserError, match=r"operator 0 \(CONV_2D\): its settings give the output \(2, 2, 2\)"):
        writer.read(tmp_path)
    writer = Writer()
    writer.add("RELU", [writer.tensor((1, 4))], 1, 4)
    with pytest.raises(UserError, match="which no operator before it computes"):
        writer.read(tmp_path)
    writer = Writer()
    writer.add("RELU", [writer.input(1, 1, 4, signature=[-1, -1, 4])], 1, 4)
    with pytest.raises(UserError, match="not fixed"):
        writer.read(tmp_path)
    writer = Writer()
    convolution(writer, writer.input(1, 4, 4, 2), index := writer.weights(2, 3, 3, 2), 1, 2, 2, 2)
    writer.graph.tensors[index].shape = [2, 2**16, 2**16, 2]
    with pytest.raises(UserError, match=r"tensor 1 of shape .* has 144 bytes"):
        writer.read(tmp_path)


@pytest.mark.parametrize("data", [b"", b"TFL3", b"\x1c\0\0\0TFL3", b"\x04\0\0\0TFL3" + b"\xff" * 40, b"PK\3\4" * 10])
def test_what_is_no_model_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"model\.tflite: damaged, or not a \.tflite file"):
        read_graph(path)
    with pytest.raises(UserError, match="no such file"):
        read_graph(tmp_path / "none.tflite")
    with pytest.raises(UserError, match="cannot read"):
        read_graph(tmp_path.rename(tmp_path.with_suffix(".tflite")))


def small() -> bytes:
    """A network with each sort of table: options, per-channel scales, constants, two branches."""
    writer = Writer()
    source = writer.input(1, 8, 8, 2, signature=[-1, 8, 8, 2])
    x = writer.add(
        "CONV_2D", (source, writer.weights(4, 3, 3, 2, scales=4), writer.weights(4)), 1, 6, 6, 4, options=CONV
    )
    y = writer.add("MUL", (x, writer.weights(4)), 1, 6, 6, 4)
    x = writer.add("ADD", (x, y), 1, 6, 6, 4, options={"table": "AddOptions", "fusedActivationFunction": 1})
    x = writer.add("MAX_POOL_2D", [x], 1, 3, 3, 4, options=POOL)
    x = writer.add("RESHAPE", (x, writer.constant(np.int32([-1, 36]))), 1, 36, signature=[-1, 36])
    writer.add("SOFTMAX", [writer.add("FULLY_CONNECTED", (x, writer.weights(3, 36), -1), 1, 3)], 1, 3)
    return writer.bytes()


SMALL = small()
WORDS = st.sampled_from([b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\x80", b"\0\0\0\0", b"\x08\0\0\0"])
CHANGE = st.tuples(st.integers(0, len(SMALL) - 1), st.one_of(WORDS, st.binary(min_size=1, max_size=4)))


@settings(max_examples=1000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(CHANGE, max_size=6), end=st.one_of(st.none(), st.integers(0, len(SMALL))))
def test_damaged_files_are_read_or_refused_soon(
    tmp_path: Path, changes: list[tuple[int, bytes]], end: int | None
) -> None:
    data = bytearray(SMALL)
    for at, new in changes:
        data[at : at + len(new)] = new
    path = tmp_path / "model.tflite"
    path.write_bytes(data[:end])
    start, said = time.process_time(), ""
    try:
        for op in read_graph(path).operators:
            said += op.name + op.kind
            assert prod(op.output_shape) < 2**41
    except UserError as error:
        said = str(error)
    assert said.isprintable()
    assert len(said) < 1000
    assert time.process_time() - start < 1


def test_a_million_inputs_are_refused_soon(tmp_path: Path) -> None:
    writer = Writer()
    source = writer.input(1, 4)
    writer.add("CONCATENATION", [source] * 1_000_000, 1, 4_000_000)
    path = tmp_path / "model.tflite"
    path.write_bytes(writer.bytes())
    start = time.process_time()
    with pytest.raises(UserError, match="at most"):
        read_graph(path)
    assert time.process_time() - start < 1
