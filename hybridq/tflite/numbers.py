"""The integers of an integer network as TFLite has them: the scales by channel, the biases, what a table is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hybridq.integer.bounds import LARGEST, worst_sum
from hybridq.integer.network import (
    INT8,
    NORM_WEIGHT,
    Affine,
    Convolution,
    Dense,
    Depthwise,
    Integers,
    Pads,
    Requantization,
    Shape,
    Weighted,
)
from hybridq.integer.scaling import Reals

SAME, VALID = 0, 1  # paddings by their number in the schema
INTEGERS = np.arange(INT8[0], INT8[1] + 1)  # what an int8 can be
FRACTIONS = range(-8, 24)  # to try for ELU
MOST = {8: 127, 4: 7}  # the largest weight, by its bits in the file


@dataclass(frozen=True)
class Sums:
    """What a convolution adds up, and by what a sum becomes a result: channels are the weights' `axis`."""

    weights: Integers  # in TFLite's order
    axis: int
    bias: Integers
    scale: Reals
    bounds: tuple[int, int] = INT8
    bits: int = 8  # of a weight in the file


def bits_of(layer: Weighted) -> int:
    """Bits of a layer's weights in the file: 4 where they fit and what is read is int8, as runtimes have it."""
    fits = isinstance(layer, Convolution | Dense) and max(map(abs, layer.width.row.integers)) <= MOST[4]
    return 4 if fits and not layer.is_wide else 8


def sums_of(weights: Integers, axis: int, bias: Integers, out: Requantization, bits: int = 8) -> Sums:
    """The scale by channel, and the bias. A channel of multiplier 0 is 0.

    Narrow weights are multiplied by the power of two that there is room for: the finer the sums, the fewer of them are
    rounded otherwise by runtimes that round twice; and float32 holds the scale as before.
    """
    dead = np.broadcast_to(out.multiplier == 0, bias.shape)
    others = tuple(place for place in range(weights.ndim) if place != axis)
    largest = np.abs(weights).max(others)
    sums = worst_sum(np.moveaxis(weights, axis, -1), bias)
    room = np.minimum(MOST[bits] // np.maximum(largest, 1), LARGEST // (sums + 2))
    factor = np.where(dead, 0, 2 ** np.log2(np.maximum(room, 1)).astype(np.int64))
    scale = np.where(dead, 1.0, scale_of(out) / np.maximum(factor, 1))
    bounds = (out.low, out.high)
    return Sums(weights * np.expand_dims(factor, others), axis, bias * factor, scale, bounds, bits)


def norm(by: Affine) -> Sums:
    """A batch norm: a weight of the multiplier's sign for each channel."""
    sign = np.sign(by.multiplier)
    return Sums((NORM_WEIGHT * sign)[None, None, None], 3, by.bias * sign, np.abs(by.multiplier) * 2.0**-by.shift)


def scale_of(by: Requantization) -> Reals:
    """What a requantization multiplies by."""
    scale: Reals = by.multiplier * 2.0 ** -(32 + by.shift)
    return scale


def padding_of(source: Shape, layer: Convolution | Depthwise) -> int | None:
    """VALID for no zeros, SAME for those that TFLite puts around by that name, else None."""
    return padding_like(source, layer.shape, layer.reach, layer.strides, layer.pads)


def padding_like(
    source: Shape, shape: Shape, window: tuple[int, int], strides: tuple[int, int], pads: Pads
) -> int | None:
    """VALID or SAME, where TFLite pads a window so; source with the batch, shape without it."""
    if not any(map(any, pads)):
        return VALID
    for n, places, k, stride, pad in zip(source[1:3], shape, window, strides, pads, strict=False):
        total = max((places - 1) * stride + k - n, 0)
        if places != -(-n // stride) or pad != (total // 2, total - total // 2):
            return None
    return SAME


def clip(bounds: tuple[int, int]) -> Integers:
    """The table that keeps int8 within bounds."""
    return np.clip(INTEGERS, *bounds)


def elu_of(table: Integers, after: int | None) -> tuple[int, int] | None:
    """The fractions before and behind an ELU of these 256 values, as runtimes compute them; None: it is no such table.

    A result coarser than what is read is not tried: there are values in the middle between two, rounded in more than
    one way.
    """
    for before in FRACTIONS:
        real = INTEGERS * 2.0**-before
        for behind in FRACTIONS if after is None else [after]:
            values = np.where(real < 0, np.expm1(np.minimum(real, 0)), real) * 2.0**behind
            if behind >= before and np.array_equal(np.clip(np.rint(values), *INT8), table):
                return before, behind
    return None
