"""Layers of tensors with any scale and zero point, as the reference kernels of TensorFlow Lite compute them.

They round twice (see `network.Requantization`). What they compute is in `scaled_arithmetic`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hybridq.integer.network import INT8, NO_PADS, GlobalMean, Integers, Layer, Pads

FINER = 20  # bits by which the numbers of a sum are finer than int8


@dataclass(frozen=True)
class ScaledPair(Layer):
    """What is made of two tensors a and b, number by number.

    b has the shape of a, or one row, or one column, or one channel for all of them; or it is a constant, int8
    (channels,) or (1,). zero_points: of a, of b, of the result.
    """

    constant: Integers | None = None
    zero_points: tuple[int, int, int] = (0, 0, 0)
    low: int = INT8[0]
    high: int = INT8[1]


@dataclass(frozen=True)
class ScaledAdd(ScaledPair):
    """Their sum, or, of `minus`, their difference.

    multipliers and shifts: of a and b, moved up by FINER bits, and of their sum: x * multiplier / 2**(31 + shift).
    """

    multipliers: tuple[int, int, int] = (0, 0, 0)
    shifts: tuple[int, int, int] = (0, 0, 0)
    minus: bool = False


@dataclass(frozen=True)
class ScaledMultiply(ScaledPair):
    """Their product: (a - zero) * (b - zero) * multiplier / 2**(31 + shift)."""

    multiplier: int = 0
    shift: int = 0


@dataclass(frozen=True)
class PlaceMean(Layer):
    """The mean of the integers of each window that lie inside the image, rounded half away from 0, then clipped."""

    window: tuple[int, int] = (2, 2)
    strides: tuple[int, int] = (2, 2)
    pads: Pads = NO_PADS
    low: int = INT8[0]
    high: int = INT8[1]


@dataclass(frozen=True)
class MapMean(GlobalMean):
    """The mean of the integers of all positions, rounded half away from 0, within low and high."""

    low: int = INT8[0]
    high: int = INT8[1]


@dataclass(frozen=True)
class ScaledMean(GlobalMean):
    """(The sum over all positions + added) * multiplier / 2**(31 + shift) + zero, within low and high."""

    added: int = 0
    multiplier: int = 0
    shift: int = 0
    zero: int = 0
    low: int = INT8[0]
    high: int = INT8[1]


@dataclass(frozen=True)
class ScaledPReLU(Layer):
    """What is below the zero point times the slope of its channel, the rest by itself; each by a factor of its own.

    slopes: int8 by channel. zero_points: of what is read, of the slopes, of the result. multipliers and shifts: above,
    then below, x * multiplier / 2**(31 + shift), with shifts from LOWEST_SHIFT on.
    """

    slopes: Integers = field(default_factory=lambda: np.zeros(1, np.int64))
    zero_points: tuple[int, int, int] = (0, 0, 0)
    multipliers: tuple[int, int] = (0, 0)
    shifts: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Lookup(Layer):
    """A function of each integer: table, 256 int8, says what -128 to 127 become."""

    table: Integers = field(default_factory=lambda: np.zeros(256, np.int64))
