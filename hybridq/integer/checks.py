"""Whether an integer network holds together: what converters, readers of files and writers of C rely on."""

from __future__ import annotations

from math import prod

import numpy as np

from hybridq.errors import UserError
from hybridq.integer.bounds import LARGEST, worst_sum
from hybridq.integer.network import (
    INT8,
    INT16,
    LOWEST_SHIFT,
    Add,
    AveragePool,
    Convolution,
    Dense,
    Depthwise,
    IntegerNetwork,
    Integers,
    Layer,
    MaxPool,
    Memory,
    Requantization,
    Shape,
)

LARGEST_TENSOR = 2**24  # elements
COARSEST, FINEST = -64, 64  # fractions
MOST_STATES = 64  # of a memory: the kernel has room for so many


def check(network: IntegerNetwork) -> None:
    """Raise UserError, naming the layer, where shapes, values or ranges contradict `hybridq.integer.network`."""
    _require(network.input_name, _is_shape(network.input_shape), f"the shape {network.input_shape}")
    _require(network.input_name, COARSEST <= network.input_fraction <= FINEST, f"fraction {network.input_fraction}")
    _require("the network", bool(network.layers), "no layers")
    shapes: dict[str, Shape] = {network.input_name: network.input_shape}
    for layer in network.layers:
        name = layer.name
        _require(name, name not in shapes, "a name that is there already")
        _require(name, set(layer.inputs) <= shapes.keys(), f"inputs {layer.inputs}, not all made before it")
        _require(name, _is_shape(layer.shape), f"the shape {layer.shape}")
        _require(name, COARSEST <= layer.fraction <= FINEST, f"fraction {layer.fraction}")
        _check_layer(layer, [shapes[one] for one in layer.inputs], layer is network.layers[-1])
        shapes[name] = layer.shape


def _check_layer(layer: Layer, sources: list[Shape], last: bool) -> None:
    name, expected = layer.name, 2 if isinstance(layer, Add) else 1
    _require(name, len(sources) == expected, f"{len(sources)} inputs, not {expected}")
    _require(name, not last or isinstance(layer, Dense), "the last place, where only a dense layer may stand")
    source = sources[0]
    if isinstance(layer, Add):
        _require(name, source == sources[1] == layer.shape, f"inputs {sources} for the result {layer.shape}")
        _require(name, len(layer.scales) == 2 and min(layer.scales) > 0, f"scales {layer.scales}")
        _require(name, 0 <= layer.shift <= 31, f"the shift {layer.shift}")
        _require(name, worst_sum(np.array(layer.scales)[:, None], 2**layer.shift)[0] <= LARGEST, "sums beyond 32 bits")
        _require(name, INT8[0] <= layer.low <= layer.high <= INT8[1], f"bounds {layer.low} to {layer.high}")
    elif isinstance(layer, MaxPool):
        made = _moved(name, source, layer.window, layer.strides, ((0, 0), (0, 0)))
        _require(name, layer.shape == (*made, source[-1]), f"the shape {layer.shape}")
    elif isinstance(layer, AveragePool):
        _require(name, prod(layer.shape) == layer.shape[-1] == source[-1], f"the shape {layer.shape}")
        _check_requantization(name, layer.out, source[-1], INT8, LOWEST_SHIFT)
        largest = int(worst_sum(np.full((1, 1), prod(source[:-1])))[0]) << layer.out.doublings
        _require(name, largest <= LARGEST, f"sums of up to {largest}")
    elif isinstance(layer, Memory):
        _check_memory(layer, source)
    elif isinstance(layer, Convolution | Depthwise | Dense):
        _check_weighted(layer, source, last)


def _check_weighted(layer: Convolution | Depthwise | Dense, source: Shape, last: bool) -> None:
    name, weights, outputs = layer.name, layer.weights, layer.shape[-1]
    axes = {Convolution: 4, Depthwise: 3, Dense: 2}[type(layer)]
    _require(name, weights.ndim == axes and weights.size > 0, f"weights of shape {weights.shape}")
    _require(name, weights.shape[-1] == outputs, f"weights of shape {weights.shape} for the result {layer.shape}")
    if isinstance(layer, Dense):
        fits = len(layer.shape) == 1 and weights.shape[0] == prod(source)
    else:
        made = _moved(name, source, (weights.shape[0], weights.shape[1]), layer.strides, layer.pads)
        fits = layer.shape == (*made, outputs) and weights.shape[2] == source[-1]
    _require(name, fits, f"weights of shape {weights.shape} from {source} to {layer.shape}")
    _require(name, int(np.abs(weights).max()) <= layer.width.largest, f"weights beyond {layer.width.name}")
    within = np.isin(weights, list(layer.width.row.integers))
    _require(name, bool(within.all()), f"weights of {weights[~within].ravel()[:1]} among {layer.width} ones")
    _require(name, layer.bias.shape == (outputs,), f"biases of shape {layer.bias.shape}")
    _check_requantization(
        name, layer.out, outputs, INT16 if last else INT8, LOWEST_SHIFT if isinstance(layer, Dense) else 0
    )
    doublings = layer.out.doublings
    worst = int(worst_sum(weights, layer.bias).max()) << doublings
    _require(name, worst <= LARGEST, f"sums that can reach {worst:,}, beyond 32 bits")
    _require(
        name, int(layer.out.shift.max()) + doublings <= 31, f"shifts {doublings} below 0 and beyond {31 - doublings}"
    )
    behind = layer.table is not None or layer.affine is not None
    _require(name, not (last and behind), "a table or a batch norm behind logits")
    if layer.table is not None:
        fits = layer.table.shape == (256,) and _within(layer.table, INT8)
        _require(name, fits, "a table that is not 256 int8")
    if layer.affine is not None:
        by = layer.affine
        _require(name, by.bias.shape == by.multiplier.shape == (outputs,), "a batch norm of another shape")
        _require(name, 0 <= by.shift <= 31, f"the shift {by.shift}")
        _require(name, bool(by.multiplier.all()), "a multiplier of 0 in a batch norm")
        highest = int(worst_sum(by.scale[None], by.offset).max()) + 2**by.shift // 2  # what rounding adds
        _require(name, highest <= LARGEST, "a batch norm beyond 32 bits")


def _check_memory(layer: Memory, source: Shape) -> None:
    name, matrix = layer.name, layer.matrix
    _require(name, matrix.ndim == 2 and matrix.shape[1] == matrix.shape[0] + 1, f"a matrix of shape {matrix.shape}")
    _require(name, 0 < layer.order <= MOST_STATES, f"{layer.order} states")
    row = len(source) == 1 or source[0] == 1
    states = source[-1] * layer.order
    _require(name, row and layer.shape in ((*source[:-1], states), (states,)), f"the shape {layer.shape} from {source}")
    _require(name, _within(matrix, INT16), "a matrix beyond 16 bits")
    _require(name, 0 <= layer.matrix_shift <= 30, f"the shift {layer.matrix_shift} of its matrix")
    _require(name, 0 <= layer.input_shift <= 8, f"the shift {layer.input_shift} of its signals")
    _require(name, 0 <= layer.output_shift <= 15, f"the shift {layer.output_shift} of its results")
    worst = int(worst_sum(matrix.T, 1 << layer.matrix_shift >> 1, -INT16[0]).max())
    _require(name, worst <= LARGEST, f"sums that can reach {worst:,}, beyond 32 bits")


def _check_requantization(
    name: str, by: Requantization, channels: int, bounds: tuple[int, int], lowest: int = 0
) -> None:
    _require(name, by.multiplier.shape in ((1,), (channels,)), f"multipliers of shape {by.multiplier.shape}")
    _require(name, by.shift.shape == by.multiplier.shape, f"shifts of shape {by.shift.shape}")
    usable = (by.multiplier == 0) | ((by.multiplier >= 2**30) & (by.multiplier <= LARGEST))
    _require(name, bool(usable.all()), "a multiplier below 2**30 or beyond 32 bits")
    _require(name, _within(by.shift, (lowest, 31)), f"a shift beyond {lowest} to 31")
    kept = (by.low, by.high) == bounds if bounds == INT16 else bounds[0] <= by.low <= by.high <= bounds[1]
    _require(name, kept, f"bounds {by.low} to {by.high}")


def _moved(
    name: str, source: Shape, window: tuple[int, ...], strides: tuple[int, ...], pads: tuple[tuple[int, ...], ...]
) -> tuple[int, ...]:
    """How many places a window has on each axis of an image."""
    _require(name, len(source) == 3, f"an input of shape {source}, which is no image")
    _require(name, len(window) == len(strides) == len(pads) == 2 and min(window) > 0 < min(strides), "a bad window")
    _require(name, all(len(pad) == 2 and min(pad) >= 0 and max(pad) < LARGEST_TENSOR for pad in pads), "bad padding")
    sizes = [(n + sum(pad) - k) // stride + 1 for n, pad, k, stride in zip(source, pads, window, strides, strict=False)]
    _require(name, min(sizes) > 0, f"a window of {window}, more than its input of {source}")
    return tuple(sizes)


def _is_shape(shape: Shape) -> bool:
    return len(shape) in (1, 3) and all(0 < n <= LARGEST_TENSOR for n in shape) and prod(shape) <= LARGEST_TENSOR


def _within(values: Integers, bounds: tuple[int, int]) -> bool:
    return bool(((values >= bounds[0]) & (values <= bounds[1])).all())


def _require(layer: str, holds: bool, what: str) -> None:
    if not holds:
        raise UserError(f"layer {layer!r}: it has {what}")
