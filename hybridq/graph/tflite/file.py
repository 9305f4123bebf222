"""The tables of a `.tflite` file as plain data: tensors, operators, inputs and outputs. No TensorFlow, nothing runs.

The file is a FlatBuffer (schema.fbs of TensorFlow Lite, version 3). It is read by `flatbuffer`, not by the package
`tflite`, because that checks no offset and no count: here a damaged or hostile file is soon a UserError.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod
from pathlib import Path

from hybridq.errors import UserError
from hybridq.formats import Format
from hybridq.graph.keras.layers.description import MOST_AXES, checked
from hybridq.graph.operators import MOST_OPERATORS, Shape
from hybridq.graph.tflite.flatbuffer import DAMAGED, Table, number_at
from hybridq.paths import open_regular

LARGEST_FILE = 256 * 2**20  # bytes
MOST_LINKS = 20_000  # tensors that all operators together read and write

# Tensor types by their number in the schema: bits of one element, and the nearest Format. That is 8-bit for uint8
# and bool, and float32 for all of 16 bits and more: an int32 bias has its 4 bytes, float16 and int16 would take 2.
TYPES: dict[int, tuple[int, Format]] = {
    0: (32, Format.FLOAT32),
    1: (16, Format.FLOAT32),  # float16
    2: (32, Format.FLOAT32),  # int32
    3: (8, Format.INT8),  # uint8
    4: (64, Format.FLOAT32),  # int64
    6: (8, Format.INT8),  # bool
    7: (16, Format.FLOAT32),  # int16
    9: (8, Format.INT8),
    10: (64, Format.FLOAT32),  # float64
    17: (4, Format.INT4),
}
RUNS_OTHERS = ("WHILE", "IF")  # operators that run other subgraphs, named by their first two options
MOST_SUBGRAPHS = 20
PLACES = {1: 4, 2: 2, 3: 1}  # bytes of a number, by the form of a list of places in a sparse array
INTEGERS = {2: "i", 4: "q"}  # the types of axes, paddings and shapes; no weights have them

# The operators by their number in the schema; later ones are StableHLO's.
NAMES = """
ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE EMBEDDING_LOOKUP FLOOR
FULLY_CONNECTED HASHTABLE_LOOKUP L2_NORMALIZATION L2_POOL_2D LOCAL_RESPONSE_NORMALIZATION LOGISTIC LSH_PROJECTION
LSTM MAX_POOL_2D MUL RELU RELU_N1_TO_1 RELU6 RESHAPE RESIZE_BILINEAR RNN SOFTMAX SPACE_TO_DEPTH SVDF TANH
CONCAT_EMBEDDINGS SKIP_GRAM CALL CUSTOM EMBEDDING_LOOKUP_SPARSE PAD UNIDIRECTIONAL_SEQUENCE_RNN GATHER
BATCH_TO_SPACE_ND SPACE_TO_BATCH_ND TRANSPOSE MEAN SUB DIV SQUEEZE UNIDIRECTIONAL_SEQUENCE_LSTM STRIDED_SLICE
BIDIRECTIONAL_SEQUENCE_RNN EXP TOPK_V2 SPLIT LOG_SOFTMAX DELEGATE BIDIRECTIONAL_SEQUENCE_LSTM CAST PRELU MAXIMUM
ARG_MAX MINIMUM LESS NEG PADV2 GREATER GREATER_EQUAL LESS_EQUAL SELECT SLICE SIN TRANSPOSE_CONV SPARSE_TO_DENSE TILE
EXPAND_DIMS EQUAL NOT_EQUAL LOG SUM SQRT RSQRT SHAPE POW ARG_MIN FAKE_QUANT REDUCE_PROD REDUCE_MAX PACK LOGICAL_OR
ONE_HOT LOGICAL_AND LOGICAL_NOT UNPACK REDUCE_MIN FLOOR_DIV REDUCE_ANY SQUARE ZEROS_LIKE FILL FLOOR_MOD RANGE
RESIZE_NEAREST_NEIGHBOR LEAKY_RELU SQUARED_DIFFERENCE MIRROR_PAD ABS SPLIT_V UNIQUE CEIL REVERSE_V2 ADD_N GATHER_ND
COS WHERE RANK ELU REVERSE_SEQUENCE MATRIX_DIAG QUANTIZE MATRIX_SET_DIAG ROUND HARD_SWISH IF WHILE
NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5 SCATTER_ND SELECT_V2 DENSIFY SEGMENT_SUM BATCH_MATMUL
PLACEHOLDER_FOR_GREATER_OP_CODES CUMSUM CALL_ONCE BROADCAST_TO RFFT2D CONV_3D IMAG REAL COMPLEX_ABS HASHTABLE
HASHTABLE_FIND HASHTABLE_IMPORT HASHTABLE_SIZE REDUCE_ALL CONV_3D_TRANSPOSE VAR_HANDLE READ_VARIABLE ASSIGN_VARIABLE
BROADCAST_ARGS RANDOM_STANDARD_NORMAL BUCKETIZE RANDOM_UNIFORM MULTINOMIAL GELU DYNAMIC_UPDATE_SLICE RELU_0_TO_1
UNSORTED_SEGMENT_PROD UNSORTED_SEGMENT_MAX UNSORTED_SEGMENT_SUM ATAN2 UNSORTED_SEGMENT_MIN SIGN BITCAST BITWISE_XOR
RIGHT_SHIFT
"""
OPERATORS = tuple(NAMES.split())


@dataclass(frozen=True)
class Tensor:
    """A tensor; the shape is the file's own, with the batch."""

    shape: Shape
    signature: Shape  # the same with -1 for what is left open; () where nothing is
    type: int
    buffer: int  # which of the file's arrays holds its values: two tensors may share one
    values: tuple[int, ...] | None  # of a short constant of whole numbers: axes, paddings, a shape
    scales: int  # how many: 0 not quantized, 1 per tensor, more per channel
    constant: bool
    variable: bool  # a state, kept from one run to the next
    packed_bytes: int | None = None  # that its array takes in the file where zeros are left out (sparse)

    @property
    def elements(self) -> int:
        """How many numbers it holds."""
        return prod(self.shape)

    @property
    def bytes(self) -> int:
        """Bytes of its numbers, all of them."""
        return -(-self.elements * self.bits // 8)

    @property
    def bits(self) -> int:
        """Bits of one number; those of a byte for texts and the like."""
        return TYPES.get(self.type, (8, None))[0]

    @property
    def precision(self) -> Format:
        """The nearest precision to its type; float32 for texts and the like."""
        return TYPES.get(self.type, (0, Format.FLOAT32))[1]


@dataclass(frozen=True)
class Node:
    """One operator; its tensors by their numbers, -1 for an input left out."""

    index: int
    name: str  # as the schema has it: "CONV_2D"; "CUSTOM Name" for one of the user's own
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Table

    @property
    def label(self) -> str:
        """A name that no other operator of the file has: "conv_2d_3"."""
        return f"{self.name.split()[0].lower()}_{self.index}"


@dataclass(frozen=True)
class Network:
    """The first subgraph of a file: operators in the order in which they run, and the tensors that they use."""

    nodes: tuple[Node, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    model: Table = field(repr=False)
    graph: Table = field(repr=False)
    tensors: dict[int, Tensor] = field(default_factory=dict)
    inner: dict[int, tuple[Tensor, ...]] = field(default_factory=dict)  # constants of what an operator runs, as a loop


def read_tables(path: Path) -> Table:
    """The tables of a file. Raises UserError for what is no sound `.tflite` file."""
    try:
        with open_regular(path) as file:
            if file.read(8)[4:] != b"TFL3":
                raise UserError(DAMAGED)
            file.seek(0)
            data = file.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        raise UserError("no such file") from None
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror or error}") from None
    if len(data) > LARGEST_FILE:
        raise UserError(f"more than {LARGEST_FILE:,} bytes; that is no network for a microcontroller")
    return Table(data, number_at(data, "I", 0))


def read_network(path: Path) -> Network:
    """Read the first subgraph of a file. Raises UserError for what is no sound `.tflite` file."""
    model = read_tables(path)
    graph = model.item(2, 0)
    inputs, outputs = graph.numbers(1, MOST_OPERATORS), graph.numbers(2, MOST_OPERATORS)
    nodes = _nodes(model, graph)
    used = {*inputs, *outputs, *(i for node in nodes for i in (*node.inputs, *node.outputs) if i != -1)}
    tensors = {index: _tensor(model, graph, index) for index in sorted(used)}
    seen = {0}
    inner = {node.index: tuple(_inside(model, node, seen)) for node in nodes if node.name in RUNS_OTHERS}
    return Network(nodes, inputs, outputs, model, graph, tensors, inner)


def _inside(model: Table, node: Node, seen: set[int]) -> Iterator[Tensor]:
    """The constants of the subgraphs that an operator runs, and of those that these run; each once."""
    for slot in (0, 1) if node.name in RUNS_OTHERS else ():
        number = node.options.number(slot)
        if number in seen or len(seen) > MOST_SUBGRAPHS:
            continue
        seen.add(number)
        graph = model.item(2, number)
        for inner in _nodes(model, graph):
            tensors = (_tensor(model, graph, index) for index in inner.inputs if index != -1)
            yield from (tensor for tensor in tensors if tensor.constant)
            yield from _inside(model, inner, seen)


def _nodes(model: Table, graph: Table) -> tuple[Node, ...]:
    count = len(graph.vector(3, 4))
    if count > MOST_OPERATORS:
        raise UserError(f"the model has more than {MOST_OPERATORS:,} operators")
    nodes, links = [], 0
    for index in range(count):
        table = graph.item(3, index)
        inputs = table.numbers(1, MOST_LINKS)
        outputs = tuple(i for i in table.numbers(2, MOST_LINKS) if i != -1)
        links += len(inputs) + len(outputs)
        if links > MOST_LINKS:
            raise UserError(f"its operators read and write more than {MOST_LINKS:,} tensors")
        name = _operator_name(model.item(1, table.number(0, "I")))
        nodes.append(Node(index, name, inputs, outputs, table.table(4)))
    return tuple(nodes)


def _operator_name(code: Table) -> str:
    # Numbers above 127 do not fit the first field, which older files have alone: the larger one is it.
    number = max(code.number(0, "b"), code.number(3))
    if not 0 <= number < len(OPERATORS):
        return f"OPERATOR {number}"
    return f"{OPERATORS[number]} {code.text(1)}".strip() if OPERATORS[number] == "CUSTOM" else OPERATORS[number]


def _tensor(model: Table, graph: Table, index: int) -> Tensor:
    table = graph.item(0, index)
    shape = table.numbers(0, MOST_AXES)
    kind, buffer = table.number(1, "b"), table.number(2, "I")
    size, at = array_place(model.item(4, buffer))
    bits = TYPES.get(kind, (0, None))[0]
    sparse = _sparse_bytes(table.table(6))
    whole = -(-prod(checked(shape) if sparse else shape) * bits // 8)
    if size and bits and (min(shape, default=1) < 0 or (size > whole if sparse else size != whole)):
        raise UserError(f"{DAMAGED}: tensor {index} of shape {shape} has {size:,} bytes")
    values = None
    if kind in INTEGERS and prod(shape) <= 2 * MOST_AXES and not sparse and (size or not prod(shape)):
        values = tuple(number_at(model.data, INTEGERS[kind], at + i * bits // 8) for i in range(prod(shape)))
    return Tensor(
        shape=shape,
        signature=table.numbers(7, MOST_AXES),
        type=kind,
        buffer=buffer,
        values=values,
        scales=len(table.table(4).vector(2, 4)),
        constant=bool(size) or (0 in shape),
        variable=bool(table.number(5, "b")),
        packed_bytes=size + sparse if size and sparse else None,
    )


def _sparse_bytes(sparsity: Table) -> int:
    """What the places of the numbers take that a sparse array keeps; 0 for an array that keeps all."""
    axes = len(sparsity.vector(2, 4))
    if axes > 2 * MOST_AXES:
        raise UserError(f"{DAMAGED}: an array has {axes:,} axes")
    lists = [(sparsity.item(2, axis), slot) for axis in range(axes) for slot in (2, 4)]  # segments, indices
    sizes = [(axis.table(slot + 1), PLACES.get(axis.number(slot, "b"), 0)) for axis, slot in lists]
    return sum(size * len(places.vector(0, size)) for places, size in sizes if size)


def array_place(buffer: Table) -> tuple[int, int]:
    """Bytes of a buffer and where they lie: in the tables or, in a large file, behind them."""
    places = buffer.vector(0, 1)
    at, size = buffer.number(1, "Q"), buffer.number(2, "Q")
    if places or at <= 1:
        return len(places), places.start
    if at + size > len(buffer.data):
        raise UserError(f"{DAMAGED}: it ends before its arrays do")
    return size, at
