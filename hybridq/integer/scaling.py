"""Real scales and offsets as the integers of the integer network: multipliers, shifts, biases.

`arithmetic.requantized` rounds once, half up: floor(accumulator * scale + 1/2), as a `Grid` in training does.
"""

from __future__ import annotations

from math import floor, log2

import numpy as np
from numpy.typing import NDArray

from hybridq.errors import UserError
from hybridq.integer.bounds import LARGEST, worst_sum
from hybridq.integer.network import INT8, INT16, NORM_WEIGHT, Affine, Integers, Requantization

Reals = NDArray[np.float64]
LARGEST_SCALE = 0.5 - 2.0**-25  # of a requantization; less than this, so that float32 holds less than 1/2
FINEST_SHIFT = 31
MOST_SHIFT = 30  # of an affine, an add or a product
MOST_FINER = 16  # bits by which a product of two int8 may be coarser than its result
FARTHEST = 15  # bits between the grids of a value that only moves


def requantization(
    where: str, scale: Reals, low: int = INT8[0], high: int = INT8[1], lowest: int = 0
) -> Requantization:
    """The integers of a positive scale for each channel, 2**-33 to 1/2; UserError naming the layer beyond that.

    With a `lowest` shift below 0 up to 1/2 * 2**-lowest.

    The scale is rounded to float32, which is what a `.tflite` file holds.
    """
    fractions, exponents = np.frexp(scale.astype(np.float32))
    multiplier = (fractions * 2.0**31).astype(np.int64)
    shift = -(exponents.astype(np.int64) + 1)
    if (shift < lowest).any() or (scale <= 0).any():
        raise UserError(
            f"{where}: its results are on a grid finer than its sums; calibrate anew, or give it wider weights"
        )
    if (shift > FINEST_SHIFT).any():
        raise UserError(f"{where}: a channel's weights are too small to count (a scale of {scale.min():.3g})")
    return Requantization(multiplier, shift, low, high)


def bias(offset: Reals, scale: Reals) -> Integers:
    """What to add to the accumulator so that its requantization adds `offset`, in units of the result."""
    return np.floor(offset / scale + 0.5).astype(np.int64)


def affine(where: str, scale: Reals, offset: Reals) -> Affine:
    """r = q * scale + offset, by channel, as integers: the finest shift whose products stay within int32.

    Offsets that clip every result are no larger than needed for that. The multiplier of a channel that is almost flat
    is 1, as with 0 it would have no offset either.
    """
    enough = 128 * np.abs(scale) + 129
    offset = np.clip(offset, -enough, enough)
    for shift in range(MOST_SHIFT, -1, -1):
        multiplier = np.floor(scale * 2.0**shift / NORM_WEIGHT + 0.5)
        multiplier = np.where(multiplier == 0, 1, multiplier)
        bias = np.floor(offset * 2.0**shift / multiplier + 0.5)
        worst = worst_sum((NORM_WEIGHT * multiplier)[None], bias * multiplier) + 2**shift // 2  # what rounding adds
        if (worst <= LARGEST).all():
            return Affine(bias.astype(np.int64), multiplier.astype(np.int64), shift)
    raise UserError(f"{where}: its scale of {np.abs(scale).max():.3g} does not fit 32 bits")


def sum_scales(where: str, before: tuple[int, ...], after: int) -> tuple[tuple[int, ...], int]:
    """The scales and the shift that add tensors of those fractions into one: powers of two, so exact."""
    shift = max(0, *(fraction - after for fraction in before))
    scales = tuple(1 << (shift + after - fraction) for fraction in before)
    if shift > MOST_SHIFT or worst_sum(np.array(scales, np.float64)[:, None], 1 << shift) > LARGEST:
        raise UserError(f"{where}: the grids of its inputs ({before}) and of its result ({after}) are too far apart")
    return scales, shift


def product_scale(where: str, before: tuple[int, int], after: int) -> tuple[int, int]:
    """The scale and the shift of a product of tensors of those fractions: a power of two, so exact."""
    coarser = sum(before) - after
    if not -MOST_FINER <= coarser <= MOST_SHIFT:
        raise UserError(f"{where}: the grids of its inputs ({before}) and of its result ({after}) are too far apart")
    return 1 << max(-coarser, 0), max(coarser, 0)


def change(where: str, before: int, after: int) -> int:
    """By how many bits the steps of one grid are finer than those of another, which must not be too far apart."""
    if abs(before - after) > FARTHEST:
        raise UserError(f"{where}: the grids of its inputs ({before}) and of its result ({after}) are too far apart")
    return before - after


def memory_shifts(where: str, reach: float, before: int, after: int) -> tuple[int, int]:
    """By how many bits the states of a memory are finer than its signals, and than its results.

    As fine as int16 allow for any signals, which states exceed by `reach` at most. Raises UserError naming the layer
    where results are finer still.
    """
    finer = min(8, floor(log2(INT16[1] / (128 * reach))))
    if before + finer < after:
        raise UserError(f"{where}: its results are on a grid finer than its states; calibrate anew")
    return finer, before + finer - after


def check_sums(where: str, weights: Integers, added: Integers, doublings: int = 0) -> None:
    """Raise UserError where an accumulator could overflow, by any output channel."""
    worst = int(worst_sum(weights, added).max()) << doublings
    if worst > LARGEST:
        raise UserError(
            f"{where}: its sums can reach {worst:,}, more than 32 bits hold; give it fewer inputs or narrower weights"
        )
