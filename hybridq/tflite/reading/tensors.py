"""What a `.tflite` file says of the tensors that an operator reads and makes, as the rules of `operators` ask."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridq.errors import UserError
from hybridq.graph.tflite.arrays import array_of, quantization_of
from hybridq.graph.tflite.file import Network, Node
from hybridq.integer.network import Grid, Layer, Pads, Shape
from hybridq.tflite.reading.multipliers import bounds_of

INT8, UINT8, FLOAT32 = 9, 3, 0  # types of tensors by their number in the schema
FUSED = ("linear", "relu", "relu_n1_to_1", "relu6")
SAME = 0  # padding by its number in the schema


@dataclass(frozen=True)
class Made:
    """A tensor that the network computes: by which layer, the shape that the file gives it, what it stands for."""

    layer: str
    shape: Shape  # rows, columns, channels; or features
    grid: Grid


@dataclass(frozen=True)
class Call:
    """One operator, the tensors that it reads, and what it makes."""

    network: Network
    node: Node
    name: str  # that a layer which it becomes has
    sources: tuple[Made, ...]  # the computed ones, in order
    positions: tuple[int, ...]  # of these among its inputs

    @property
    def common(self) -> dict[str, Any]:
        """What every layer has."""
        names = tuple(source.layer for source in self.sources)
        return {"name": self.name, "inputs": names, "shape": self.shape, "fraction": 0, "grid": self.grid}

    @property
    def output(self) -> int:
        """The number of the tensor that it makes."""
        return self.node.outputs[0]

    @property
    def shape(self) -> Shape:
        """Of what it makes."""
        return shape_of(self.network, self.output)

    @property
    def grid(self) -> Grid:
        """Of what it makes."""
        return grid_of(self.network, self.output)

    def has(self, position: int) -> bool:
        """Whether that input is a constant."""
        inputs = self.node.inputs
        return position < len(inputs) and inputs[position] != -1 and position not in self.positions

    def constant(self, position: int) -> NDArray[Any]:
        """The numbers of a constant input. Raises UserError where it is computed, or not there."""
        if not self.has(position):
            raise UserError(f"its input {position} is no constant")
        return array_of(self.network, self.node.inputs[position])

    def weights(self, position: int = 1) -> tuple[NDArray[np.int64], tuple[float, ...]]:
        """The weights and their scales, one or one by channel. Raises UserError for those that are no int8 around 0."""
        values, said = self.constant(position), quantization_of(self.network, self.node.inputs[position])
        if values.dtype != np.int8 or said is None:
            raise UserError(f"weights of {values.dtype}, not int8")
        if any(said.zeros):
            raise UserError("weights whose zero is not the integer 0")
        return values.astype(np.int64), said.scales

    def bias(self, position: int, outputs: int) -> NDArray[np.int64]:
        """int32 by output; zeros where there is none."""
        if not self.has(position):
            return np.zeros(outputs, np.int64)
        values = self.constant(position)
        if values.dtype != np.dtype("<i4") or values.size != outputs:
            raise UserError(f"a bias of {values.size} {values.dtype} for {outputs} outputs")
        return values.reshape(-1).astype(np.int64)

    def activation(self, slot: int) -> str:
        """What it does to its result, by its name in FUSED."""
        number = self.node.options.number(slot, "b")
        if not 0 <= number < len(FUSED):
            raise UserError(f"the activation of the number {number}")
        return FUSED[number]

    def bounds(self, slot: int) -> dict[str, Any]:
        """Between which integers the activation in that slot of its options keeps the result: `low` and `high`."""
        low, high = bounds_of(self.activation(slot), self.grid.scale, self.grid.zero)
        return {"low": low, "high": high}

    def require_one_grid(self) -> None:
        """Raise UserError where what it makes is on another grid than what it reads."""
        if any(source.grid != self.grid for source in self.sources):
            raise UserError("its result is on another grid than what it reads")

    def pads(self, window: Shape, strides: Shape, source: Shape, places: Shape) -> Pads:
        """What lies around an image, (before, after) by axis; a window reaches over so many rows and columns."""
        if self.node.options.number(0, "b") != SAME:
            return (0, 0), (0, 0)
        pairs = []
        for size, made, reach, stride in zip(source, places, window, strides, strict=False):
            whole = max((made - 1) * stride + reach - size, 0)
            pairs.append((whole // 2, whole - whole // 2))
        return pairs[0], pairs[1]


@dataclass(frozen=True)
class Parts:
    """A layer for each tensor that an operator makes."""

    layers: tuple[Layer, ...]


@dataclass(frozen=True)
class Same:
    """What an operator makes where that is what it reads, perhaps in another shape."""

    source: Made


def grid_of(network: Network, index: int) -> Grid:
    """What the integers of a tensor stand for; those of uint8 as int8, 128 less.

    Raises UserError for a tensor that is not of 8 bits, or has a scale for each channel.
    """
    said, kind = quantization_of(network, index), network.tensors[index].type
    if kind not in (INT8, UINT8) or said is None:
        raise UserError("it computes in real numbers" if kind == FLOAT32 else "it computes in other numbers than int8")
    if len(said.scales) != 1:
        raise UserError("a tensor with several scales")
    zero = said.zeros[0] - (128 if kind == UINT8 else 0)
    if not -128 <= zero <= 127:
        raise UserError(f"a zero point of {said.zeros[0]}")
    return Grid(float(said.scales[0]), zero)


def shape_of(network: Network, index: int) -> Shape:
    """Rows, columns and channels of a tensor, or its features; the batch is 1."""
    axes = network.tensors[index].shape
    if not axes or min(axes) < 1 or axes[0] != 1:
        raise UserError(f"a tensor of shape {axes}, whose first axis is not a batch of 1")
    inner = axes[1:]
    if len(inner) == 2:  # a sequence is an image of one row
        return (1, *inner)
    if len(inner) in (1, 3):
        return inner
    if len(inner) > 3 and prod(inner[:-3]) == 1:
        return inner[-3:]
    raise UserError(f"a tensor of {len(axes)} axes")
