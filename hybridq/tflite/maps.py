"""Layers that pool, join and move maps, as operators of TFLite."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce, singledispatch
from math import ceil, log2

import numpy as np

from hybridq.errors import UserError
from hybridq.integer.maps import Concatenate, Multiply, Pad, PReLU, Reshape, Upsample, WindowMean
from hybridq.integer.network import INT8, Add, AveragePool, Layer, MaxPool, Pads, Requantization
from hybridq.tflite.numbers import VALID, padding_like, scale_of, sums_of
from hybridq.tflite.tensors import ACTIVATIONS, Tensors

ALMOST = 1e-6  # relative: by how much the scales of a mean or sum may differ from those of its grids
TOO_FINE = 19  # bits of a sum's results beyond its inputs': runtimes, which shift these by 20, end the process
WIDE_BITS = 15  # of an int16


@singledispatch
def map_form(layer: Layer, to: Tensors) -> int:
    """A layer as operators; what it makes. Raises UserError naming one that has no form in TFLite."""
    raise UserError(f"{layer.name}: a {type(layer).__name__} has no form in TFLite")


@map_form.register
def _(layer: MaxPool, to: Tensors) -> int:
    to.require(layer, layer.fraction == to.fractions[layer.inputs[0]])
    source = to.made[layer.inputs[0]]
    padding = padding_like(to.tensors[source].shape, layer.shape, layer.window, layer.strides, layer.pads)
    if padding is None:
        source, padding = to.padded(f"{layer.name} (padded)", source, layer.pads, INT8[0]), VALID
    return to.run("MAX_POOL_2D", (source,), to.result(layer), **_pool(layer, padding))


@map_form.register
def _(layer: WindowMean, to: Tensors) -> int:
    """A depthwise convolution of equal weights; with padding the operator, which has one grid before and behind."""
    source, (rows, columns), channels = to.made[layer.inputs[0]], layer.window, layer.shape[-1]
    padding = padding_like(to.tensors[source].shape, layer.shape, layer.window, layer.strides, layer.pads)
    if padding == VALID and len(layer.places) == 1:
        multiplier, shift = (np.broadcast_to(one, (channels,)) for one in (layer.out.multiplier, layer.out.shift))
        ones = np.ones((1, rows, columns, channels), np.int64)
        sums = sums_of(ones, 3, np.zeros(channels, np.int64), Requantization(multiplier, shift))
        made = to.convolved(to.result(layer), source, sums, strideH=layer.strides[0], strideW=layer.strides[1])
    elif padding is not None and layer.fraction == to.fractions[layer.inputs[0]]:
        made = to.run("AVERAGE_POOL_2D", (source,), to.result(layer), **_pool(layer, padding))
    else:
        raise UserError(f"{layer.name}: a mean with padding that changes its grid has no form in TFLite")
    return to.bounded(layer, made, (layer.out.low, layer.out.high))


@map_form.register
def _(layer: AveragePool, to: Tensors) -> int:
    rows, columns = to.tensors[to.made[layer.inputs[0]]].shape[1:3]
    grids = 2.0 ** (layer.fraction - to.fractions[layer.inputs[0]])
    to.require(layer, np.allclose(scale_of(layer.out) * rows * columns, grids, rtol=ALMOST))
    if grids == 1:
        whole = {"padding": VALID, "strideH": 1, "strideW": 1, "filterHeight": rows, "filterWidth": columns}
        made = to.run("AVERAGE_POOL_2D", (to.made[layer.inputs[0]],), to.result(layer), **whole)
        return to.bounded(layer, made, (layer.out.low, layer.out.high))
    axes = to.constant(f"{layer.name} (axes)", np.array([1, 2]), np.int32)
    made = to.run("MEAN", (to.made[layer.inputs[0]], axes), to.result(layer), keepDims=True)
    return to.bounded(layer, made, (layer.out.low, layer.out.high))


@map_form.register
def _(layer: Add, to: Tensors) -> int:
    for scale, name in zip(layer.scales, layer.inputs, strict=True):
        grids = 2.0 ** (layer.fraction - to.fractions[name])
        to.require(layer, np.isclose(abs(scale) / 2**layer.shift, grids, rtol=ALMOST))
    to.require(layer, min(layer.scales[:-1]) > 0)
    if layer.fraction - min(to.fractions[name] for name in layer.inputs) >= TOO_FINE:
        raise UserError(f"{layer.name}: its results are on a grid too much finer than what it adds for TFLite")
    last = "ADD" if layer.scales[-1] > 0 else "SUB"
    sources, bounds = [to.made[name] for name in layer.inputs], (layer.low, layer.high)
    if len(sources) > 2:
        return to.bounded(layer, _sum_of_many(layer, sources, last, to), bounds)
    kept = ACTIVATIONS.get(bounds, 0)
    made = to.run(last, tuple(sources), to.result(layer), fusedActivationFunction=kept)
    return made if bounds in ACTIVATIONS else to.bounded(layer, made, bounds)


def _sum_of_many(layer: Add, sources: list[int], last: str, to: Tensors) -> int:
    """In int16, two at a time, so that rounding is that of the end."""
    fractions = [to.fractions[name] for name in layer.inputs]
    room = WIDE_BITS - 8 - ceil(log2(len(sources)))  # bits behind the point of the coarsest
    fraction = min(max(fractions), min(fractions) + room)
    wide = []
    for number, source in enumerate(sources):
        tensor = replace(to.tensors[source], name=f"{layer.name} (int16, {number})", type=np.int16)
        wide.append(to.run("CAST", (source,), to.tensor(tensor)))

    def added(a: int, b: int) -> int:
        name, operator = f"{layer.name} (sum, {b})", last if b == wide[-1] else "ADD"
        return to.run(operator, (a, b), to.image(name, layer.shape, fraction, np.int16), potScaleInt16=False)

    return to.run("QUANTIZE", (reduce(added, wide),), to.result(layer))


@map_form.register
def _(layer: Multiply, to: Tensors) -> int:
    one, other = layer.inputs
    grids = 2.0 ** (layer.fraction - to.fractions[one] - to.fractions[other])
    to.require(layer, np.isclose(layer.scale / 2**layer.shift, grids, rtol=ALMOST))
    made = to.run("MUL", (to.made[one], to.made[other]), to.result(layer))
    return to.bounded(layer, made, (layer.low, layer.high))


@map_form.register
def _(layer: Concatenate, to: Tensors) -> int:
    sources = []
    for number, (name, shift) in enumerate(zip(layer.inputs, layer.shifts, strict=True)):
        to.require(layer, shift == to.fractions[name] - layer.fraction)
        shape = to.tensors[to.made[name]].shape[1:]
        part = to.made[name]
        if shift:
            part = to.run("QUANTIZE", (part,), to.image(f"{layer.name} (part {number})", shape, layer.fraction))
        sources.append(part)
    made = to.run("CONCATENATION", tuple(sources), to.result(layer), axis=3)
    return to.bounded(layer, made, (layer.low, layer.high))


@map_form.register
def _(layer: Upsample, to: Tensors) -> int:
    """The nearest; or zeros behind each column, then behind each row, as padding of another shape."""
    to.require(layer, layer.fraction == to.fractions[layer.inputs[0]])
    source, (down, right) = to.made[layer.inputs[0]], layer.factors
    if not layer.zeros:
        size = to.constant(f"{layer.name} (size)", np.array(layer.shape[:2]), np.int32)
        return to.run("RESIZE_NEAREST_NEIGHBOR", (source, size), to.result(layer))
    _, rows, columns, channels = to.tensors[source].shape
    source = to.reshaped(f"{layer.name} (columns)", source, (rows * columns, 1, 1, channels))
    source = to.padded(f"{layer.name} (more columns)", source, ((0, 0), (0, right - 1)))
    source = to.reshaped(f"{layer.name} (rows)", source, (rows, 1, columns * right, channels))
    source = to.padded(f"{layer.name} (more rows)", source, ((0, down - 1), (0, 0)))
    return to.reshaped(layer.name, source, (1, *layer.shape))


@map_form.register
def _(layer: Pad, to: Tensors) -> int:
    to.require(layer, layer.fraction == to.fractions[layer.inputs[0]])
    source, ((top, bottom), (left, right)) = to.made[layer.inputs[0]], layer.pads
    _, rows, columns, channels = to.tensors[source].shape
    start = np.array([0, max(-top, 0), max(-left, 0), 0])
    size = np.array([1, rows + min(top, 0) + min(bottom, 0), columns + min(left, 0) + min(right, 0), channels])
    if size[1] < rows or size[2] < columns:
        places = (to.constant(f"{layer.name} ({what})", one, np.int32) for what, one in (("at", start), ("of", size)))
        made = replace(to.tensors[source], name=f"{layer.name} (cut)", shape=tuple(int(n) for n in size))
        source = to.run("SLICE", (source, *places), to.tensor(made))
    around: Pads = ((max(top, 0), max(bottom, 0)), (max(left, 0), max(right, 0)))
    return to.padded(layer.name, source, around)


@map_form.register
def _(layer: Reshape, to: Tensors) -> int:
    to.require(layer, layer.fraction == to.fractions[layer.inputs[0]])
    return to.reshaped(layer.name, to.made[layer.inputs[0]], (1,) * (4 - len(layer.shape)) + layer.shape)


@map_form.register
def _(layer: PReLU, to: Tensors) -> int:
    before, (above, below) = to.fractions[layer.inputs[0]], layer.shifts
    to.require(layer, above == before - layer.fraction)
    step = np.array([2.0 ** (above - below)])
    slopes = to.constant(f"{layer.name} (slopes)", layer.slopes[None, None], np.int8, step)
    return to.run("PRELU", (to.made[layer.inputs[0]], slopes), to.result(layer))


def _pool(layer: MaxPool | WindowMean, padding: int) -> dict[str, int]:
    (rows, columns), (down, right) = layer.window, layer.strides
    return {"padding": padding, "filterHeight": rows, "filterWidth": columns, "strideH": down, "strideW": right}
