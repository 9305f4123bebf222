"""Operators of an int8 `.tflite` file that pool, join and move what others have made: `operators` of these."""

from __future__ import annotations

from math import prod
from typing import Any

from hybridq.errors import UserError
from hybridq.integer.maps import Channels, Concatenate, Pad, Upsample
from hybridq.integer.network import INT8, NO_PADS, Layer, MaxPool
from hybridq.integer.scaled import MapMean, PlaceMean, ScaledMean
from hybridq.tflite.reading.multipliers import multiplier_of
from hybridq.tflite.reading.tensors import Call, Parts, Same, grid_of


def maximum(call: Call) -> Layer:
    call.require_one_grid()
    if tuple(call.bounds(5).values()) != INT8:
        raise UserError("a maximum with an activation")
    return MaxPool(**call.common, **_pool_window(call))


def average(call: Call) -> Layer:
    """Of windows; over the whole map where there is one window alone."""
    call.require_one_grid()
    window, (rows, columns, _) = _pool_window(call), call.sources[0].shape
    bounds = call.bounds(5)
    if window["window"] == (rows, columns) and window["pads"] == NO_PADS:
        return MapMean(**call.common, **bounds)
    return PlaceMean(**call.common, **window, **bounds)


def mean(call: Call) -> Layer:
    """Over all places of a map."""
    (source,), made = call.sources, call.grid
    axes, rank = call.constant(1).ravel().tolist(), len(call.network.tensors[call.node.inputs[0]].shape)
    reduced, places = {axis % rank for axis in axes}, set(range(1, rank - 1))
    if not {axis for axis in places if call.network.tensors[call.node.inputs[0]].shape[axis] > 1} <= reduced <= places:
        raise UserError("a mean over other axes than all rows and columns")
    count = prod(source.shape[:-1])
    multiplier, shift = multiplier_of(source.grid.scale / made.scale)
    finer = min(count.bit_length() - 1, 31 - shift)  # so does the kernel: the count is part of the factor
    multiplier, shift = (multiplier << finer) // count, shift + finer
    if shift < 0:
        raise UserError("a result that is finer than a mean can be")
    added = -source.grid.zero * count
    return ScaledMean(**call.common, added=added, multiplier=multiplier, shift=shift, zero=made.zero)


def _pool_window(call: Call) -> dict[str, Any]:
    options, (source,) = call.node.options, call.sources
    window, strides = (options.number(4), options.number(3)), (options.number(2), options.number(1))
    return {"window": window, "strides": strides, "pads": call.pads(window, strides, source.shape, call.shape)}


def concatenation(call: Call) -> Layer:
    call.require_one_grid()
    rank = len(call.network.tensors[call.output].shape)
    if call.node.options.number(0) % rank != rank - 1:
        raise UserError("along another axis than the channels")
    if len(call.sources) != len(call.node.inputs) or call.activation(1) != "linear":
        raise UserError("constants, or an activation behind it")
    return Concatenate(**call.common, shifts=(0,) * len(call.sources))


def pad(call: Call) -> Layer:
    call.require_one_grid()
    pairs = call.constant(1).reshape(-1, 2).tolist()
    if len(pairs) != 4 or any(pairs[0]) or any(pairs[3]) or call.has(2):
        raise UserError("other axes than rows and columns, or another number than 0")
    return Pad(**call.common, pads=(tuple(pairs[1]), tuple(pairs[2])), outside=call.grid.zero)


def nearest(call: Call) -> Layer:
    call.require_one_grid()
    (rows, columns, _), (high, wide, _) = call.sources[0].shape, call.shape
    if high % rows or wide % columns or call.node.options.number(0, "b"):
        raise UserError("a size that is no multiple of its input's, or corners that are aligned")
    return Upsample(**call.common, factors=(high // rows, wide // columns))


def same(call: Call) -> Same:
    """The same numbers, in another shape."""
    call.require_one_grid()
    return Same(call.sources[0])


def transposed(call: Call) -> Same:
    """Axes in another order, where all that have more than one place keep theirs."""
    call.require_one_grid()
    sizes, order = call.network.tensors[call.node.inputs[0]].shape, call.constant(1).ravel().tolist()
    longer = [axis for axis in order if 0 <= axis < len(sizes) and sizes[axis] > 1]
    if sorted(order) != list(range(len(sizes))) or longer != sorted(longer):
        raise UserError("it moves numbers; let the model read them in this order")
    return Same(call.sources[0])


def split(call: Call) -> Parts:
    """SPLIT: parts of one size beside each other, of the channels, the columns or the rows."""
    (source,), sizes = call.sources, call.network.tensors[call.node.inputs[1]].shape
    axis = int(call.constant(0).ravel()[0]) % len(sizes) - len(sizes)
    if axis < -len(source.shape) or source.shape[axis] % len(call.node.outputs):
        raise UserError("along another axis than rows, columns and channels")
    size = source.shape[axis] // len(call.node.outputs)
    layers: list[Layer] = []
    for number, output in enumerate(call.node.outputs):
        if grid_of(call.network, output) != source.grid:
            raise UserError("its results are on another grid than what it reads")
        shape, before = list(source.shape), number * size
        shape[axis] = size
        given: dict[str, Any] = {"name": f"{call.name} (part {number + 1})", "inputs": (source.layer,), "fraction": 0}
        given |= {"shape": tuple(shape), "grid": source.grid}
        cut = (-before, before + size - source.shape[axis])
        if axis == -1:
            layers.append(Channels(**given, first=before))
        else:
            pads = (cut, (0, 0)) if axis == -3 else ((0, 0), cut)
            layers.append(Pad(**given, pads=pads, outside=source.grid.zero))
    return Parts(tuple(layers))


def crop(call: Call) -> Layer | tuple[Layer, ...]:
    """STRIDED_SLICE: rows, columns and channels cut off at the ends of a map."""
    call.require_one_grid()
    begin, _, strides = (call.constant(position).ravel().tolist() for position in (1, 2, 3))
    (source,), sizes = call.sources, call.network.tensors[call.node.inputs[0]].shape
    masks = [call.node.options.number(slot) for slot in range(5)]  # begin, end, ellipsis, new axis, shrunk axis
    if len(sizes) != 4 or len(begin) != 4 or any(masks[2:]) or set(strides) != {1} or len(call.shape) != 3:
        raise UserError("other parts of a tensor than rows, columns and channels beside each other")
    first = [at + size if at < 0 else at for at, size in zip(begin, sizes, strict=True)]
    _, top, left, channel = (0 if masks[0] >> axis & 1 else at for axis, at in enumerate(first))
    (rows, columns, channels), (high, wide, count) = source.shape, call.shape
    pads = (-top, top + high - rows), (-left, left + wide - columns)
    if count == channels:
        return Pad(**call.common, pads=pads, outside=call.grid.zero)
    if not any(map(any, pads)):
        return Channels(**call.common, first=channel)
    name = f"{call.name} (part)"
    cut = Pad(**call.common | {"name": name, "shape": (high, wide, channels)}, pads=pads, outside=call.grid.zero)
    return cut, Channels(**call.common | {"inputs": (name,)}, first=channel)
