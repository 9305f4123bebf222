"""Layers of the integer network that pool, join and move what others have made; the rest are in `network`.

What they compute is in `map_arithmetic`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hybridq.integer.network import INT8, NO_PADS, Integers, Layer, Pads, Requantization


@dataclass(frozen=True)
class WindowMean(Layer):
    """The mean of each window: the sum of the places that lie inside the image, requantized by how many these are.

    places: the numbers that there are, from few to many; `out` has a multiplier and a shift for each of them.
    """

    window: tuple[int, int] = (2, 2)
    strides: tuple[int, int] = (2, 2)
    pads: Pads = NO_PADS
    places: tuple[int, ...] = (4,)
    out: Requantization = field(default_factory=lambda: Requantization(np.zeros(1, np.int64), np.zeros(1, np.int64)))


@dataclass(frozen=True)
class Multiply(Layer):
    """The product a * b * scale / 2**shift of two tensors, rounded, within low and high.

    a has the shape of the result. So has b, or it has one row, or one column, or one channel for all of them.
    """

    scale: int = 1
    shift: int = 0
    low: int = INT8[0]
    high: int = INT8[1]


@dataclass(frozen=True)
class Concatenate(Layer):
    """Tensors side by side along the channels, each brought to the steps of the result.

    shifts: of each input by how many bits its steps are finer; below 0 they are coarser. Rounded, within low and high.
    """

    shifts: tuple[int, ...] = ()
    low: int = INT8[0]
    high: int = INT8[1]


@dataclass(frozen=True)
class Upsample(Layer):
    """Each row and column several times; or, of `zeros`, once, with zeros behind it, for a transposed convolution.

    outside: the integer that stands for 0.
    """

    factors: tuple[int, int] = (2, 2)
    zeros: bool = False
    outside: int = 0


@dataclass(frozen=True)
class Pad(Layer):
    """What stands for 0 around an image, (before, after) by axis; below 0 so many rows or columns are cut off.

    outside: the integer that stands for 0.
    """

    pads: Pads = NO_PADS
    outside: int = 0


@dataclass(frozen=True)
class Channels(Layer):
    """Some of the channels, as they are: those from `first` on."""

    first: int = 0


@dataclass(frozen=True)
class Reshape(Layer):
    """The numbers of a tensor in C order, in another shape."""


@dataclass(frozen=True)
class PReLU(Layer):
    """What is below 0 times a slope by channel, all else as it is; each brought to the steps of the result.

    slopes: int8. shifts: by how many bits the steps of what is read are finer than those of the result, and those of
    its products with slopes; below 0 they are coarser.
    """

    slopes: Integers = field(default_factory=lambda: np.zeros(1, np.int64))
    shifts: tuple[int, int] = (0, 0)
