"""A `.tflite` file from tensors and operators as plain data; the schema (version 3) is TensorFlow's generated code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridq.backend.tensorflow import load_tensorflow

Shape = tuple[int, ...]

# For each operator: its options in the schema, and the first version of it that computes int8.
OPERATORS: dict[str, tuple[str, int]] = {
    "ADD": ("AddOptions", 2),
    "AVERAGE_POOL_2D": ("Pool2DOptions", 2),
    "CAST": ("", 1),
    "CONCATENATION": ("ConcatenationOptions", 2),
    "CONV_2D": ("Conv2DOptions", 3),
    "DEPTHWISE_CONV_2D": ("DepthwiseConv2DOptions", 3),
    "ELU": ("", 1),
    "FULLY_CONNECTED": ("FullyConnectedOptions", 4),
    "GATHER": ("GatherOptions", 2),
    "MAX_POOL_2D": ("Pool2DOptions", 2),
    "MEAN": ("ReducerOptions", 2),
    "MUL": ("MulOptions", 2),
    "PAD": ("PadOptions", 2),
    "PADV2": ("PadV2Options", 2),
    "PRELU": ("", 1),
    "QUANTIZE": ("QuantizeOptions", 2),
    "RESHAPE": ("ReshapeOptions", 1),
    "RESIZE_NEAREST_NEIGHBOR": ("ResizeNearestNeighborOptions", 2),
    "SLICE": ("SliceOptions", 2),
    "SUB": ("SubOptions", 2),
}
PACKED = {"CONV_2D": 7, "FULLY_CONNECTED": 10}  # the first versions that read INT4
SCHEMA = 3
IDENTIFIER = b"TFL3"


@dataclass(frozen=True)
class Tensor:
    """An array of the network. It stands for (integer - zero_point) * scale.

    `scales`: one for all, one for each place on `axis`, or none for plain integers; `values`: those of a constant;
    `is_packed`: whether these are INT4, two in a byte, the first in its lower half.
    """

    name: str
    shape: Shape
    type: type[np.signedinteger[Any]] = np.int8
    scales: NDArray[np.float64] | None = None
    axis: int = 0
    zero_point: int = 0
    values: NDArray[Any] | None = None
    is_packed: bool = False


@dataclass(frozen=True)
class Operation:
    """One operator; tensors by their place in the list. `options` are fields of its options in the schema."""

    name: str
    inputs: tuple[int, ...]
    output: int
    options: Mapping[str, Any] = field(default_factory=dict)


def packed(
    tensors: list[Tensor], operations: list[Operation], source: int, results: list[int], description: str
) -> bytes:
    """The file of a network that reads the tensor `source` and makes the tensors `results`."""
    import flatbuffers

    load_tensorflow()  # without its lines
    from tensorflow.lite.python import schema_py_generated as schema

    used = sorted({(operation.name, _version(operation, tensors)) for operation in operations})
    buffers = [schema.BufferT()]  # by convention the first one is empty: that of all that is computed
    graph = schema.SubGraphT(inputs=[source], outputs=results, name="main")
    graph.tensors = [_tensor(schema, tensor, buffers) for tensor in tensors]
    graph.operators = [
        _operator(schema, operation, used.index((operation.name, _version(operation, tensors))))
        for operation in operations
    ]
    model = schema.ModelT(version=SCHEMA, description=description, subgraphs=[graph], buffers=buffers)
    model.operatorCodes = [_code(schema, *one) for one in used]

    class Sharing(flatbuffers.Builder):  # type: ignore[misc]  # untyped
        """Arrays of the same content are written once: of each channel there is a zero point of eight bytes."""

        def __init__(self) -> None:
            super().__init__()
            self._written: dict[tuple[str, bytes], int] = {}

        def CreateNumpyVector(self, array: NDArray[Any]) -> int:
            key = (array.dtype.str, array.tobytes())
            if key not in self._written:
                self._written[key] = super().CreateNumpyVector(array)
            return self._written[key]

    builder = Sharing()
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


def _tensor(schema: Any, tensor: Tensor, buffers: list[Any]) -> Any:
    entry = schema.TensorT(shape=list(tensor.shape), name=tensor.name, buffer=0, hasRank=True)
    entry.type = getattr(schema.TensorType, "INT4" if tensor.is_packed else np.dtype(tensor.type).name.upper())
    if tensor.scales is not None:
        entry.quantization = schema.QuantizationParametersT(
            scale=tensor.scales.astype(np.float32),
            zeroPoint=np.full(len(tensor.scales), tensor.zero_point, np.int64),
            quantizedDimension=tensor.axis,
        )
    if tensor.values is not None:
        little = tensor.values.astype(np.dtype(tensor.type).newbyteorder("<"))
        data = np.frombuffer(little.tobytes(), np.uint8)
        entry.buffer = len(buffers)
        buffers.append(schema.BufferT(data=_in_halves(data) if tensor.is_packed else data))
    return entry


def _in_halves(octets: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Two numbers of 4 bits in each byte."""
    pairs = np.pad(octets & 15, (0, len(octets) % 2)).reshape(-1, 2)
    halves: NDArray[np.uint8] = pairs[:, 0] | pairs[:, 1] << 4
    return halves


def _operator(schema: Any, operation: Operation, code: int) -> Any:
    entry = schema.OperatorT(opcodeIndex=code)
    entry.inputs, entry.outputs = list(operation.inputs), [operation.output]
    options, _ = OPERATORS[operation.name]
    if options:
        entry.builtinOptionsType = getattr(schema.BuiltinOptions, options)
        entry.builtinOptions = getattr(schema, f"{options}T")(**operation.options)
    return entry


def _version(operation: Operation, tensors: list[Tensor]) -> int:
    """Of an operator: the first one that computes with such tensors."""
    is_packed = any(tensors[index].is_packed for index in operation.inputs)
    return PACKED[operation.name] if is_packed else OPERATORS[operation.name][1]


def _code(schema: Any, name: str, version: int) -> Any:
    number = getattr(schema.BuiltinOperator, name)  # those used here fit both fields
    return schema.OperatorCodeT(builtinCode=number, deprecatedBuiltinCode=number, version=version)
