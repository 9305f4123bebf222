"""What the layers of `maps` compute. This is the definition, as `arithmetic` is of the others."""

from __future__ import annotations

from functools import reduce, singledispatch

import numpy as np

from hybridq.integer.maps import Channels, Concatenate, Multiply, Pad, PReLU, Reshape, Upsample, WindowMean
from hybridq.integer.network import INT8, Integers, Layer, Pads, Requantization, Shape
from hybridq.integer.scaled import PlaceMean

Tensors = tuple[Integers, ...]


@singledispatch
def computed(layer: Layer, inputs: Tensors) -> Integers:
    """What a layer makes of its inputs, each (examples, *shape)."""
    raise NotImplementedError(type(layer).__name__)


@computed.register
def _(layer: WindowMean, inputs: Tensors) -> Integers:
    (x,) = inputs
    counts = places_inside(layer, x.shape[1:])
    entry = np.searchsorted(layer.places, counts)[..., None]
    by = Requantization(layer.out.multiplier[entry], layer.out.shift[entry], layer.out.low, layer.out.high)
    sums: Integers = reduce(np.add, window_parts(x, layer.window, layer.strides, layer.pads, layer.shape, 0))
    return requantized(sums, by)


@computed.register
def _(layer: Multiply, inputs: Tensors) -> Integers:
    a, b = inputs
    if a.ndim == 4 and b.ndim == 2:  # a row of features is an image of one place
        b = b[:, None, None]
    return np.clip(shifted(a * b * layer.scale, layer.shift), layer.low, layer.high)


@computed.register
def _(layer: Concatenate, inputs: Tensors) -> Integers:
    parts = [moved(x.reshape(len(x), *layer.shape[:-1], -1), by) for x, by in zip(inputs, layer.shifts, strict=True)]
    return np.clip(np.concatenate(parts, axis=-1), layer.low, layer.high)


@computed.register
def _(layer: Upsample, inputs: Tensors) -> Integers:
    (x,), (down, right) = inputs, layer.factors
    if not layer.zeros:
        return x.repeat(down, axis=1).repeat(right, axis=2)
    made = np.full((len(x), *layer.shape), layer.outside, np.int64)
    made[:, ::down, ::right] = x
    return made


@computed.register
def _(layer: Pad, inputs: Tensors) -> Integers:
    around = tuple((max(before, 0), max(after, 0)) for before, after in layer.pads)
    cut = (slice(max(-before, 0), -max(-after, 0) or None) for before, after in layer.pads)
    return np.pad(inputs[0], ((0, 0), *around, (0, 0)), constant_values=layer.outside)[:, *cut]


@computed.register
def _(layer: Channels, inputs: Tensors) -> Integers:
    return inputs[0][..., layer.first : layer.first + layer.shape[-1]]


@computed.register
def _(layer: Reshape, inputs: Tensors) -> Integers:
    return inputs[0].reshape(-1, *layer.shape)


@computed.register
def _(layer: PReLU, inputs: Tensors) -> Integers:
    (x,), (above, below) = inputs, layer.shifts
    return np.clip(np.where(x < 0, moved(x * layer.slopes, below), moved(x, above)), *INT8)


# ------------------------------------------------------------------------------------------ parts


def requantized(accumulator: Integers, by: Requantization) -> Integers:
    """An accumulator as a stored integer: accumulator * multiplier / 2**(32 + shift), rounded; plus zero; clipped.

    Rounded half up. Twice: half up after 31 bits, then half away from 0.
    """
    if by.twice:
        made = rounded_away(shifted(accumulator * by.multiplier, 31), 1 + by.shift)
    else:
        made = shifted(accumulator * by.multiplier, 32 + by.shift)
    made += by.zero
    return np.clip(made, by.low, by.high, out=made)


def rounded_away(value: Integers, by: Integers | int) -> Integers:
    """value / 2**by, rounded half away from 0; by 0, the value."""
    return shifted(value - ((value < 0) & (np.asarray(by) > 0)), by)


def shifted(value: Integers, by: Integers | int) -> Integers:
    """value / 2**by, rounded half up; by 0, the value."""
    half = np.where(np.asarray(by) > 0, 1 << np.maximum(np.asarray(by) - 1, 0), 0)
    rounded: Integers = value + half
    rounded >>= by
    return rounded


def moved(value: Integers, by: int) -> Integers:
    """value / 2**by, rounded half up; by may be below 0."""
    return value << -by if by < 0 else shifted(value, by)


def places_inside(layer: WindowMean | PlaceMean, source: Shape) -> Integers:
    """How many places of each window lie inside an image of that shape: (rows, columns)."""
    ones = np.ones((1, *source[:2], 1), np.int64)
    parts = window_parts(ones, layer.window, layer.strides, layer.pads, layer.shape, 0)
    counts: Integers = reduce(np.add, parts)[0, ..., 0]
    return counts


def window_parts(
    x: Integers, window: tuple[int, int], strides: tuple[int, int], pads: Pads, shape: Shape, outside: int
) -> list[Integers]:
    """For each place of a window what lies under it in all its positions, each (examples, *shape)."""
    padded = np.pad(x, ((0, 0), *pads, (0, 0)), constant_values=outside)
    (rows, columns), (down, right) = shape[:2], strides
    return [
        padded[:, every(i, rows, down), every(j, columns, right)] for i in range(window[0]) for j in range(window[1])
    ]


def every(start: int, count: int, stride: int) -> slice:
    """So many places along an axis."""
    return slice(start, start + stride * (count - 1) + 1, stride)
