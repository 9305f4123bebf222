"""Real factors as the integers by which TensorFlow Lite's kernels multiply: what its `QuantizeMultiplier` makes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from math import floor, frexp

import numpy as np

from hybridq.integer.bounds import LARGEST, worst_sum
from hybridq.integer.map_arithmetic import requantized
from hybridq.integer.network import INT8, Integers, Requantization

MOST = LARGEST // 2  # of a sum: kernels that round twice double it


def multiplier_of(real: float) -> tuple[int, int]:
    """multiplier and shift: x * real is x * multiplier / 2**(31 + shift), of which the shift is below 0 from 1 on."""
    if real <= 0:
        return 0, 0
    fraction, exponent = frexp(real)
    multiplier = floor(fraction * 2**31 + 0.5)
    if multiplier == 2**31:
        multiplier, exponent = multiplier // 2, exponent + 1
    return (0, 0) if exponent < -31 else (multiplier, -exponent)


def requantization(factors: Iterable[float], zero: int, twice: bool) -> Requantization:
    """From sums to int8 by channel: its shifts are those behind 32 bits, so one less."""
    multipliers, shifts = zip(*map(multiplier_of, factors), strict=True)
    multiplier, shift = np.array(multipliers, np.int64), np.array(shifts, np.int64) - 1
    return Requantization(multiplier, np.where(multiplier == 0, 0, shift), zero=zero, twice=twice)


def without_constants(
    weights: Integers, bias: Integers, out: Requantization
) -> tuple[Integers, Integers, Requantization]:
    """Channels that give one number whatever they read, such as dead ones with the largest bias, with small sums.

    Their weights become 0, and their bias what gives this number. All else stays.
    """
    reach = worst_sum(weights)
    by = replace(
        out, multiplier=np.broadcast_to(out.multiplier, reach.shape), shift=np.broadcast_to(out.shift, reach.shape)
    )
    number, highest = requantized(bias - reach, by), requantized(bias + reach, by)
    constant = (number == highest) & ((reach + np.abs(bias) > MOST) | (by.shift < -1))
    if not constant.any():
        return weights, bias, out
    wanted = np.clip(number, out.low, out.high) - out.zero
    return (
        np.where(constant, 0, weights),
        np.where(constant, 4 * wanted, bias),
        replace(out, multiplier=np.where(constant, 2**30, by.multiplier), shift=np.where(constant, 0, by.shift)),
    )


def bounds_of(activation: str, scale: float, zero: int) -> tuple[int, int]:
    """Between which integers an activation keeps what is on that grid: INT8 for "linear"."""
    low, high = INT8
    least, most = ACTIVATIONS[activation]
    if least is not None:
        low = max(low, zero + _nearest(least / scale))
    if most is not None:
        high = min(high, zero + _nearest(most / scale))
    return low, high


ACTIVATIONS: dict[str, tuple[float | None, float | None]] = {
    "linear": (None, None),
    "relu": (0.0, None),
    "relu6": (0.0, 6.0),
    "relu_n1_to_1": (-1.0, 1.0),
}


def _nearest(value: float) -> int:
    """Half away from 0. TensorFlow Lite divides in float32."""
    rounded = np.float32(value)
    return int(floor(abs(rounded) + 0.5) * (1 if rounded >= 0 else -1))
