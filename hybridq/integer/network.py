"""The integer network: layers of small integers, as data. What they compute is in `arithmetic`.

A tensor is int8, of shape (rows, columns, channels) or (features,), in C order. In a network that hybridq has trained
it stands for value * 2**-fraction, and its zero is the integer 0; in one of a `.tflite` file for what its `Grid` says.
What leaves the network may be int16, where it is the sums of a layer with weights; so are the states that a memory
keeps.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hybridq.formats import Format
from hybridq.integer.description import Description

Integers = NDArray[np.int64]
Shape = tuple[int, ...]
Pads = tuple[tuple[int, int], tuple[int, int]]
NO_PADS: Pads = ((0, 0), (0, 0))
INT8, INT16 = (-128, 127), (-32768, 32767)
NORM_WEIGHT = 127  # of a batch norm: the largest int8, so that its bias has the finest steps


LOWEST_SHIFT = -6  # of averages and dense layers: sums that are coarser than their results are doubled so many times


@dataclass(frozen=True)
class Grid:
    """What the integers of a tensor stand for: (integer - zero) * scale."""

    scale: float
    zero: int = 0


@dataclass(frozen=True)
class Requantization:
    """From an accumulator (int32) to a stored integer, channel by channel; one entry stands for all channels.

    multiplier: int32, 2**30 to 2**31 - 1, or 0; shift: 0 to 31, of an average and of a dense layer from
    LOWEST_SHIFT on. zero: what is added at the end. twice: whether it is rounded after the product too, as TensorFlow
    Lite's reference kernels and CMSIS-NN do; then shift is from -1 on. See `map_arithmetic.requantized`.
    """

    multiplier: Integers
    shift: Integers
    low: int = INT8[0]
    high: int = INT8[1]
    zero: int = 0
    twice: bool = False

    @property
    def is_wide(self) -> bool:
        """Whether it makes int16: sums that leave the network."""
        return (self.low, self.high) == INT16

    @property
    def doublings(self) -> int:
        """How many times the accumulators are doubled, so that no shift is below 0."""
        return 0 if self.twice else max(0, -int(self.shift.min()))


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
    """What every layer has: its name, the tensors that it reads, the shape and fraction of what it makes.

    grid: in the place of the fraction where its steps are no power of two, or its zero is not 0.
    """

    name: str
    inputs: tuple[str, ...]
    shape: Shape
    fraction: int
    grid: Grid | None = field(default=None, kw_only=True)

    @property
    def stands_for(self) -> Grid:
        """What its integers stand for."""
        return self.grid or Grid(2.0**-self.fraction)

    @property
    def is_wide(self) -> bool:
        """Whether its result is int16, which no layer reads."""
        return False


@dataclass(frozen=True)
class Weighted(Layer):
    """A layer with weights: accumulate, requantize, then the table and the batch norm where there are such."""

    weights: Integers = field(default_factory=lambda: np.zeros(0, np.int64))
    width: Format = Format.INT8
    bias: Integers = field(default_factory=lambda: np.zeros(0, np.int64))  # int32, by output channel
    out: Requantization = field(default_factory=lambda: Requantization(np.zeros(1, np.int64), np.zeros(1, np.int64)))
    table: Integers | None = None  # 256 int8: what -128 to 127 become
    affine: Affine | None = None

    @property
    def is_wide(self) -> bool:
        """Whether its sums leave the network, as int16."""
        return self.out.is_wide


@dataclass(frozen=True)
class Windowed(Weighted):
    """A window that moves over an image; around it, (before, after) by axis, what stands for 0.

    dilation: how many places on each axis from one weight of the window to the next. outside: the integer that stands
    for 0 in what it reads.
    """

    strides: tuple[int, int] = (1, 1)
    pads: Pads = NO_PADS
    dilation: tuple[int, int] = (1, 1)
    outside: int = 0

    @property
    def reach(self) -> tuple[int, int]:
        """Rows and columns from the first of a window to the last, both included."""
        (rows, columns), (down, right) = self.weights.shape[:2], self.dilation
        return (rows - 1) * down + 1, (columns - 1) * right + 1


@dataclass(frozen=True)
class Convolution(Windowed):
    """2-D: weights (kernel rows, kernel columns, inputs, outputs)."""


@dataclass(frozen=True)
class Depthwise(Windowed):
    """2-D, each channel by itself: weights (kernel rows, kernel columns, channels).

    depth_multiplier: how many channels of the result are made of each that is read; they lie side by side.
    """

    depth_multiplier: int = 1


@dataclass(frozen=True)
class Dense(Weighted):
    """Weights (inputs, outputs); reads any tensor as a row of features, in C order."""


@dataclass(frozen=True)
class MaxPool(Layer):
    """The largest of each window; what lies in the pads, (before, after) by axis, does not count."""

    window: tuple[int, int] = (2, 2)
    strides: tuple[int, int] = (2, 2)
    pads: Pads = NO_PADS


@dataclass(frozen=True)
class GlobalMean(Layer):
    """A mean over all positions, by channel: one number made of their sum."""


@dataclass(frozen=True)
class AveragePool(GlobalMean):
    """The mean over all positions: their sum, requantized."""

    out: Requantization = field(default_factory=lambda: Requantization(np.zeros(1, np.int64), np.zeros(1, np.int64)))


@dataclass(frozen=True)
class Add(Layer):
    """The sum of tensors of one shape, each times its scale: divided by 2**shift, rounded, within low and high."""

    scales: tuple[int, ...] = (1, 1)
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
    """Layers in the order in which they run.

    outputs: those whose results leave the network, in order; where none is named, the last layer. Of one row of int16
    the first maximum is the class.
    """

    input_name: str
    input_shape: Shape
    input_fraction: int
    layers: tuple[Layer, ...]
    description: Description = field(default_factory=Description)
    outputs: tuple[str, ...] = ()
    input_grid: Grid | None = None  # in the place of its fraction, as of a layer

    def __post_init__(self) -> None:
        if not self.outputs and self.layers:
            object.__setattr__(self, "outputs", (self.layers[-1].name,))

    @property
    def reads(self) -> Grid:
        """What the integers of its input stand for."""
        return self.input_grid or Grid(2.0**-self.input_fraction)

    @property
    def rounds_twice(self) -> bool:
        """Whether its layers round as TensorFlow Lite's reference kernels do."""
        return any(isinstance(layer, Weighted) and layer.out.twice for layer in self.layers)

    @property
    def results(self) -> tuple[Layer, ...]:
        """The layers whose results leave the network, in order."""
        layers = {layer.name: layer for layer in self.layers}
        return tuple(layers[name] for name in self.outputs)

    @property
    def shapes(self) -> dict[str, Shape]:
        """The shape of every tensor, by name."""
        return {self.input_name: self.input_shape} | {layer.name: layer.shape for layer in self.layers}
