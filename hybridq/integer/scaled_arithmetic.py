"""What the layers of `scaled` compute. This is the definition, as `arithmetic` is of the others."""

from __future__ import annotations

from functools import reduce
from math import prod

import numpy as np

from hybridq.integer.map_arithmetic import Tensors, computed, places_inside, rounded_away, shifted, window_parts
from hybridq.integer.network import INT8, Integers
from hybridq.integer.scaled import (
    FINER,
    Lookup,
    MapMean,
    PlaceMean,
    ScaledAdd,
    ScaledMean,
    ScaledMultiply,
    ScaledPair,
    ScaledPReLU,
)


@computed.register
def _(layer: ScaledAdd, inputs: Tensors) -> Integers:
    a, b = (
        scaled((x - zero) << FINER, by, shift)
        for x, zero, by, shift in zip(
            _pair(layer, inputs), layer.zero_points, layer.multipliers, layer.shifts, strict=False
        )
    )
    total = scaled(a - b if layer.minus else a + b, layer.multipliers[2], layer.shifts[2])
    return np.clip(total + layer.zero_points[2], layer.low, layer.high)


@computed.register
def _(layer: ScaledMultiply, inputs: Tensors) -> Integers:
    a, b = _pair(layer, inputs)
    first, second, zero = layer.zero_points
    made = scaled((a - first) * (b - second), layer.multiplier, layer.shift)
    return np.clip(made + zero, layer.low, layer.high)


@computed.register
def _(layer: PlaceMean, inputs: Tensors) -> Integers:
    (x,) = inputs
    counts = places_inside(layer, x.shape[1:])[..., None]
    sums: Integers = reduce(np.add, window_parts(x, layer.window, layer.strides, layer.pads, layer.shape, 0))
    return np.clip(away_from_0(sums, counts), layer.low, layer.high)


@computed.register
def _(layer: MapMean, inputs: Tensors) -> Integers:
    (x,) = inputs
    places = prod(x.shape[1:-1])
    return np.clip(away_from_0(x.reshape(len(x), places, -1).sum(1), places), layer.low, layer.high)


@computed.register
def _(layer: ScaledMean, inputs: Tensors) -> Integers:
    (x,) = inputs
    sums: Integers = x.reshape(len(x), -1, x.shape[-1]).sum(1) + layer.added
    return np.clip(scaled(sums, layer.multiplier, layer.shift) + layer.zero, layer.low, layer.high)


@computed.register
def _(layer: ScaledPReLU, inputs: Tensors) -> Integers:
    read, slope, made = layer.zero_points
    above = inputs[0] - read
    below = above * (layer.slopes - slope)
    parts = (
        scaled(value << max(-shift, 0), by, max(shift, 0))
        for value, by, shift in zip((above, below), layer.multipliers, layer.shifts, strict=True)
    )
    found: Integers = np.where(above >= 0, *parts) + made
    return np.clip(found, *INT8)


@computed.register
def _(layer: Lookup, inputs: Tensors) -> Integers:
    entries: Integers = layer.table[inputs[0] + 128]
    return entries


def _pair(layer: ScaledPair, inputs: Tensors) -> Tensors:
    """Both tensors, of axes that go together."""
    a, *others = inputs
    b = layer.constant if layer.constant is not None else others[0]
    if a.ndim == 4 and b.ndim == 2:  # a row of features is an image of one place
        b = b[:, None, None]
    return a, b


def away_from_0(sums: Integers, counts: Integers | int) -> Integers:
    """sums / counts, rounded half away from 0."""
    places = np.asarray(counts, np.int64)
    magnitudes: Integers = (np.abs(sums) + places // 2) // places
    return np.where(sums < 0, -magnitudes, magnitudes)


def scaled(value: Integers, multiplier: int, shift: int) -> Integers:
    """value * multiplier / 2**(31 + shift): rounded half up after 31 bits, then half away from 0."""
    return rounded_away(shifted(value * multiplier, 31), shift)
