"""Model files in TFLite's format, written operator by operator."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hybridq.graph.reader import Graph, Operator, read_graph


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

    def sparse(self, *shape: int, kept: int) -> int:
        """int8 weights of which only so many are there, row by row, with their places."""
        index = self.constant(np.zeros(kept, np.int8), scales=1)
        self.graph.tensors[index].shape = list(shape)
        rows, places = SCHEMA.DimensionMetadataT(), SCHEMA.DimensionMetadataT()
        rows.denseSize, places.format = shape[0], 1
        places.arraySegmentsType, places.arraySegments = 1, SCHEMA.Int32VectorT()
        places.arraySegments.values = [0] * shape[0] + [kept]
        places.arrayIndicesType, places.arrayIndices = 2, SCHEMA.Uint16VectorT()
        places.arrayIndices.values = [0] * kept
        sparsity = SCHEMA.SparsityParametersT()
        sparsity.traversalOrder, sparsity.dimMetadata = [0, 1], [rows, places]
        self.graph.tensors[index].sparsity = sparsity
        return index

    def weights(self, *shape: int, kind: Any = np.float32, **more: Any) -> int:
        return self.constant(np.zeros(shape, kind), **more)

    def add(
        self,
        name: str,
        inputs: Sequence[int],
        *shape: int,
        options: dict[str, Any] | None = None,
        outputs: Sequence[int] | None = None,
        **of: Any,
    ) -> int:
        """An operator with one output of that shape, or with those `outputs`; -1 where it has none.

        `options` are fields of its table of the schema.
        """
        code, operator = SCHEMA.OperatorCodeT(), SCHEMA.OperatorT()
        code.builtinCode = getattr(SCHEMA.BuiltinOperator, name)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        self.model.operatorCodes.append(code)
        operator.opcodeIndex = len(self.model.operatorCodes) - 1
        operator.inputs = list(inputs)
        operator.outputs = [self.tensor(shape, **of)] if outputs is None else list(outputs)
        if options:
            table = dict(options)
            kind = table.pop("table")
            operator.builtinOptionsType = getattr(SCHEMA.BuiltinOptions, kind)
            operator.builtinOptions = getattr(SCHEMA, f"{kind}T")()
            for key, value in table.items():
                assert hasattr(operator.builtinOptions, key)
                setattr(operator.builtinOptions, key, value)
        self.graph.operators.append(operator)
        self.graph.outputs = list(operator.outputs) or self.graph.outputs
        return int(operator.outputs[0]) if operator.outputs else -1

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


def keeping() -> bytes:
    """A network with states: of a variable, which is read and written, and of SVDF; with sparse weights and a split."""
    writer = Writer()
    source = writer.input(1, 3, 8, kind="INT8")
    handle = writer.add("VAR_HANDLE", [], kind="RESOURCE", options={"table": "VarHandleOptions", "sharedName": "kept"})
    writer.graph.tensors[handle].shape = []
    kept = writer.add("READ_VARIABLE", [handle], 1, 2, 8, kind="INT8")
    joined = writer.add(
        "CONCATENATION", [kept, source], 1, 5, 8, kind="INT8", options={"table": "ConcatenationOptions", "axis": 1}
    )
    ends = [writer.constant(np.int32(values)) for values in ([0, 3, 0], [1, 5, 8], [1, 1, 1])]
    last = writer.add("STRIDED_SLICE", [joined, *ends], 1, 2, 8, kind="INT8")
    writer.add("ASSIGN_VARIABLE", [handle, last], outputs=())
    axis, sizes = writer.constant(np.int32(2)), writer.constant(np.int32([6, 2]))
    parts = [writer.tensor((1, 5, 6), "INT8"), writer.tensor((1, 5, 2), "INT8")]
    writer.add("SPLIT_V", [joined, sizes, axis], outputs=parts)
    flat = writer.add("RESHAPE", [parts[0], writer.constant(np.int32([1, 30]))], 1, 30, kind="INT8")
    state = writer.tensor((1, 4 * 7), "INT16")
    writer.graph.tensors[state].isVariable = True
    weights = [writer.weights(4, 30, kind=np.int8, scales=1), writer.weights(4, 7, kind=np.int8, scales=1)]
    options = {"table": "SVDFOptions", "rank": 2, "fusedActivationFunction": 1}
    bias = writer.weights(2, kind=np.int32, scales=1)
    filtered = writer.add("SVDF", [flat, *weights, bias, state], 1, 2, kind="INT8", options=options)
    dense = writer.tensor((6, 2), "INT8")
    writer.add("DENSIFY", [writer.sparse(6, 2, kept=5)], outputs=[dense])
    answer = writer.add("FULLY_CONNECTED", [filtered, dense, -1], 1, 6, kind="INT8")
    writer.add("LOG_SOFTMAX", [answer], 1, 6, kind="INT8")
    return writer.bytes()


KEEPING = keeping()
