"""A `.tflite` file as TensorFlow Lite for Microcontrollers allocates it: every subgraph, tensor and operator."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from math import prod
from pathlib import Path

from hybridq.errors import UserError
from hybridq.graph.operators import MOST_OPERATORS, Shape
from hybridq.graph.tflite.file import MOST_LINKS, OPERATORS, read_tables
from hybridq.graph.tflite.flatbuffer import DAMAGED, Table

MOST_TENSORS, MOST_SUBGRAPHS, MOST_AXES = 20_000, 1_000, 16
OFFLINE_PLAN = "OfflineMemoryAllocation"  # metadata: an offset for each tensor, of a planner that ran on a computer
ONLINE = -1  # in it: the interpreter plans this tensor

# Bytes of an element by the type's number in the schema; 4-bit weights count a byte (micro/memory_helpers.cc).
BYTES = {0: 4, 1: 2, 2: 4, 3: 1, 4: 8, 6: 1, 7: 2, 8: 8, 9: 1, 10: 8, 11: 16, 12: 8, 13: 4, 15: 4, 16: 2, 17: 1, 18: 2}
FLOAT32, INT16, INT8, INT4, INT64 = 0, 7, 9, 17, 4


@dataclass(frozen=True)
class Tensor:
    """A tensor; the shape has the batch."""

    shape: Shape
    type: int  # its number in the schema
    constant: bool  # its values stand in the file
    variable: bool  # a state, kept from one run to the next
    scales: int  # of its quantization: 0 none, 1 for all, more by channel
    stored: int = 0  # bytes of its values in the file
    buffer: int = 0  # which of the file's arrays holds them: two tensors may share one

    @property
    def elements(self) -> int:
        """How many numbers it holds; 0 where the file leaves an axis open."""
        return prod(max(size, 0) for size in self.shape)

    @property
    def bytes(self) -> int:
        """What it takes; a text has no size of its own and counts nothing."""
        return self.elements * BYTES.get(self.type, 0)


@dataclass(frozen=True)
class Op:
    """One operator; its tensors by their numbers in the subgraph, -1 for an input left out."""

    name: str  # "CONV_2D"; "CUSTOM Name" for one of the user's own
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Table


@dataclass(frozen=True)
class Subgraph:
    """The tensors and operators of a network, or of a part that another operator calls."""

    tensors: tuple[Tensor, ...]
    ops: tuple[Op, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class Model:
    """A file: its subgraphs, that of the network first, and its size in bytes."""

    subgraphs: tuple[Subgraph, ...]
    bytes: int
    offline: tuple[int, ...] = ()  # offsets of all tensors of all subgraphs, from a plan in the file; () without one


def read_model(path: Path) -> Model:
    """Read a `.tflite` file whole. Raises UserError for what is no sound one."""
    try:
        return _model(read_tables(path))
    except (UserError, struct.error) as error:
        raise UserError(f"{path}: {error}") from None


def _model(root: Table) -> Model:
    count = len(root.vector(2, 4))
    if not 0 < count <= MOST_SUBGRAPHS:
        raise UserError(f"{DAMAGED}: {count:,} subgraphs")
    subgraphs = tuple(_subgraph(root, root.item(2, index)) for index in range(count))
    return Model(subgraphs, len(root.data), _offline(root, sum(len(one.tensors) for one in subgraphs)))


def _subgraph(root: Table, table: Table) -> Subgraph:
    tensors, operators = len(table.vector(0, 4)), len(table.vector(3, 4))
    if tensors > MOST_TENSORS or operators > MOST_OPERATORS:
        raise UserError(f"a subgraph of {tensors:,} tensors and {operators:,} operators")
    ops = tuple(_op(root, table.item(3, index)) for index in range(operators))
    inputs, outputs = table.numbers(1, MOST_LINKS), table.numbers(2, MOST_LINKS)
    named = {*inputs, *outputs, *(index for op in ops for index in (*op.inputs, *op.outputs) if index != -1)}
    if not all(0 <= index < tensors for index in named):
        raise UserError(f"{DAMAGED}: it names a tensor that does not exist")
    return Subgraph(tuple(_tensor(root, table.item(0, index)) for index in range(tensors)), ops, inputs, outputs)


def _op(root: Table, table: Table) -> Op:
    code = root.item(1, table.number(0, "I"))
    number = max(code.number(0, "b"), code.number(3))
    name = OPERATORS[number] if 0 <= number < len(OPERATORS) else f"OPERATOR {number}"
    if name == "CUSTOM":
        name = f"CUSTOM {code.text(1)}".strip()
    return Op(name, table.numbers(1, MOST_LINKS), table.numbers(2, MOST_LINKS), table.table(4))


def _tensor(root: Table, table: Table) -> Tensor:
    number, quantization = table.number(2, "I"), table.table(4)
    buffer = root.item(4, number)
    stored = len(buffer.vector(0, 1)) or buffer.number(2, "Q")
    scales, points = quantization.vector(2, 4), quantization.vector(3, 8)
    return Tensor(
        shape=table.numbers(0, MOST_AXES),
        type=table.number(1, "b"),
        constant=bool(stored),
        variable=bool(table.number(5, "b")),
        scales=len(scales) if points else 0,
        stored=stored,
        buffer=number,
    )


def _offline(root: Table, tensors: int) -> tuple[int, ...]:
    """The plan in the file's metadata: a version, a subgraph, a count, then the offsets."""
    for index in range(len(root.vector(6, 4))):
        entry = root.item(6, index)
        if entry.text(0) == OFFLINE_PLAN:
            places = root.item(4, entry.number(1, "I")).vector(0, 1)
            numbers = struct.unpack_from(f"<{len(places) // 4}i", root.data, places.start)
            if len(numbers) < 3 + tensors:
                raise UserError(f"{DAMAGED}: its offline plan of the memory has too few tensors")
            return numbers[3 : 3 + tensors]
    return ()
