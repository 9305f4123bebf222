"""The integer network: layers of small integers, as data. What they compute is in `arithmetic`.

A tensor is int8, of shape (rows, columns, channels) or (features,), in C order; it stands for value * 2**-fraction. The
zero of every tensor is the integer 0. Only the logits of the last layer are int16, and the states that a memory keeps.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hybridq.formats import Format
from hybridq.integer.description import Description

Integers = NDArray[np.int64]
Shape = tuple[int, ...]
INT8, INT16 = (-128, 127), (-32768, 32767)
NORM_WEIGHT = 127  # of a batch norm: the largest int8, so that its bias has the finest steps


LOWEST_SHIFT = -6  # of averages and dense layers: sums that are coarser than their results are doubled so many times


@dataclass(frozen=True)
class Requantization:
    """From an accumulator (int32) to a stored integer, channel by channel; one entry stands for all channels.

    multiplier: int32, 2**30 to 2**31 - 1, or 0; shift: 0 to 31, of an average and of a dense layer from
    LOWEST_SHIFT on. See `arithmetic.requantized`.
    """

    multiplier: Integers
    shift: Integers
    low: int = INT8[0]
    high: int = INT8[1]

    @property
    def doublings(self) -> int:
        """How many times the accumulators are doubled, so that no shift is below 0."""
        return max(0, -int(self.shift.min()))


@dataclass(frozen=True)
class Affine:
    """A batch norm behind a nonlinearity: (x * NORM_WEIGHT + bias) * multiplier / 2**shift by channel, rounded; int32.

    So runtimes of TFLite compute it, as a depthwise convolution of 1 x 1. The kernel in C has it multiplied out:
    (x * scale + offset) / 2**shift, of which scale and offset are int32 too.
    """

    bias: Integers
    multiplier: Integers  # of any sign
    shift: int

    @property
    def scale(self) -> Integers:
        """By what the kernel multiplies, by channel."""
        return NORM_WEIGHT * self.multiplier

    @property
    def offset(self) -> Integers:
        """What the kernel adds, by channel."""
        return self.bias * self.multiplier


@dataclass(frozen=True)
class Layer:
    """What every layer has: its name, the tensors that it reads, the shape and fraction of what it makes."""

    name: str
    inputs: tuple[str, ...]
    shape: Shape
    fraction: int


@dataclass(frozen=True)
class Weighted(Layer):
    """A layer with weights: accumulate, requantize, then the table and the batch norm where there are such."""

    weights: Integers = field(default_factory=lambda: np.zeros(0, np.int64))
    width: Format = Format.INT8
    bias: Integers = field(default_factory=lambda: np.zeros(0, np.int64))  # int32, by output channel
    out: Requantization = field(default_factory=lambda: Requantization(np.zeros(1, np.int64), np.zeros(1, np.int64)))
    table: Integers | None = None  # 256 int8: what -128 to 127 become
    affine: Affine | None = None


@dataclass(frozen=True)
class Convolution(Weighted):
    """2-D: weights (kernel rows, kernel columns, inputs, outputs); zeros around, (before, after) by axis."""

    strides: tuple[int, int] = (1, 1)
    pads: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0))


@dataclass(frozen=True)
class Depthwise(Weighted):
    """2-D, each channel by itself: weights (kernel rows, kernel columns, channels)."""

    strides: tuple[int, int] = (1, 1)
    pads: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0))


@dataclass(frozen=True)
class Dense(Weighted):
    """Weights (inputs, outputs); reads any tensor as a row of features, in C order."""


@dataclass(frozen=True)
class MaxPool(Layer):
    """The largest of each window; a window that would reach beyond the edge is left out."""

    window: tuple[int, int] = (2, 2)
    strides: tuple[int, int] = (2, 2)


@dataclass(frozen=True)
class AveragePool(Layer):
    """The mean over all positions, by channel: their sum, requantized."""

    out: Requantization = field(default_factory=lambda: Requantization(np.zeros(1, np.int64), np.zeros(1, np.int64)))


@dataclass(frozen=True)
class Add(Layer):
    """The sum of two tensors of one shape: (a * scales[0] + b * scales[1]) / 2**shift, rounded, within low and high."""

    scales: tuple[int, int] = (1, 1)
    shift: int = 0
    low: int = INT8[0]
    high: int = INT8[1]


@dataclass(frozen=True)
class Memory(Layer):
    """Linear memories side by side, a signal in each: int16 states that go from one frame to the next.

    Reads a clip (1, frames, signals) and makes the states of its frames, (1, frames, signals * order), or of the last
    one, (signals * order,); or reads a frame of a stream, (signals,). See `arithmetic.remembered`.

    matrix: int16 (order, 1 + order), what the signal and the states before count in the states after it, in steps of
    2**-matrix_shift. States are finer than signals by input_shift bits, and than results by output_shift.
    """

    matrix: Integers = field(default_factory=lambda: np.zeros((1, 2), np.int64))
    matrix_shift: int = 0
    input_shift: int = 0
    output_shift: int = 0

    @property
    def order(self) -> int:
        """States of a memory."""
        return int(self.matrix.shape[0])


@dataclass(frozen=True)
class IntegerNetwork:
    """Layers in the order in which they run; the last one makes the logits, whose first maximum is the answer."""

    input_name: str
    input_shape: Shape
    input_fraction: int
    layers: tuple[Layer, ...]
    description: Description = field(default_factory=Description)

    @property
    def shapes(self) -> dict[str, Shape]:
        """The shape of every tensor, by name."""
        return {self.input_name: self.input_shape} | {layer.name: layer.shape for layer in self.layers}
