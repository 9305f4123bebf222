"""Operators of an int8 `.tflite` file as layers of an integer network, a rule each.

They compute what TensorFlow Lite's reference kernels compute, to the last bit. Raises UserError for settings without a
form in integers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from hybridq.errors import UserError
from hybridq.formats import Format
from hybridq.integer.maps import Upsample
from hybridq.integer.network import Convolution, Dense, Depthwise, Integers, Layer, Shape
from hybridq.tflite.reading import elementwise, maps, tables
from hybridq.tflite.reading.multipliers import requantization, without_constants
from hybridq.tflite.reading.tensors import SAME, Call, Parts, Same

DEPTHWISE_AXES = 3  # of depthwise weights


def convolution(call: Call) -> Layer:
    """Weights (outputs, rows, columns, inputs)."""
    stored, scales = call.weights()
    (source,), weights = call.sources, stored.transpose(1, 2, 3, 0)
    if weights.shape[2] != source.shape[-1]:
        raise UserError("weights in groups; take a depthwise convolution or a plain one")
    window = _window(call, (4, 5), weights.shape[:2])
    return Convolution(**call.common, **_weighted(call, weights, scales, 3), **window)


def transposed_convolution(call: Call) -> tuple[Layer, ...]:
    """Weights (outputs, rows, columns, inputs): the input with what stands for 0 between its places, then a convolution
    with the window turned around."""
    stored, scales = call.weights()
    (source,), (_, high, wide, depth), options = call.sources, stored.shape, call.node.options
    if depth != source.shape[-1]:
        raise UserError("weights of other channels than it reads")
    (rows, columns, _), (down, right), zero = source.shape, (options.number(2), options.number(1)), source.grid.zero
    top, left = high - 1, wide - 1
    if options.number(0, "b") == SAME:
        top -= max((rows - 1) * down + high - call.shape[0], 0) // 2
        left -= max((columns - 1) * right + wide - call.shape[1], 0) // 2
    pads = (
        (top, call.shape[0] + high - 1 - top - rows * down),
        (left, call.shape[1] + wide - 1 - left - columns * right),
    )
    if min(map(min, pads)) < 0:
        raise UserError("a window smaller than its stride")
    name = f"{call.name} (spread)"
    spread = Upsample(
        name=name,
        inputs=(source.layer,),
        shape=(rows * down, columns * right, depth),
        fraction=0,
        grid=source.grid,
        factors=(down, right),
        zeros=True,
        outside=zero,
    )
    weights = stored[:, ::-1, ::-1].transpose(1, 2, 3, 0)
    parts = _weighted(call, weights, scales, 3, bias=3)
    return spread, Convolution(**call.common | {"inputs": (name,)}, **parts, pads=pads, outside=zero)


def depthwise(call: Call) -> Layer:
    """Weights (1, rows, columns, outputs)."""
    stored, scales = call.weights()
    (source,), weights = call.sources, stored[0]
    window = _window(call, (5, 6), weights.shape[:2])
    times = weights.shape[-1] // source.shape[-1]
    return Depthwise(**call.common, **_weighted(call, weights, scales, 4), **window, depth_multiplier=times)


def dense(call: Call) -> Layer:
    """Weights (outputs, inputs)."""
    stored, scales = call.weights()
    if prod(call.sources[0].shape) != stored.shape[1]:
        raise UserError("a dense layer over each row of its input; reshape to a convolution of 1 x 1")
    return Dense(**call.common, **_weighted(call, stored.T, scales, 0, twice=False))


def _weighted(
    call: Call, weights: Integers, scales: tuple[float, ...], slot: int, twice: bool = True, bias: int = 2
) -> dict[str, Any]:
    """Weights, with the zero of what they read in the bias, and how the sums become int8.

    Those that fit 4 bits are stored so, whatever the file has, but for depthwise ones.
    """
    read, made, outputs = call.sources[0].grid, call.grid, weights.shape[-1]
    added = call.bias(bias, outputs) - read.zero * weights.reshape(-1, outputs).sum(0)
    factors = (read.scale * scale / made.scale for scale in scales)
    out = replace(requantization(factors, made.zero, twice), **call.bounds(slot))
    weights, added, out = without_constants(weights, added, out)
    fits = weights.ndim != DEPTHWISE_AXES and int(np.abs(weights).max()) <= Format.INT4.largest
    return {"weights": weights, "width": Format.INT4 if fits else Format.INT8, "bias": added, "out": out}


def _window(call: Call, slots: tuple[int, int], kernel: Shape) -> dict[str, Any]:
    """Strides, dilation and padding; the file has the width first."""
    options, source = call.node.options, call.sources[0]
    strides = options.number(2), options.number(1)
    dilation = options.number(slots[1], default=1), options.number(slots[0], default=1)
    reach = tuple((size - 1) * apart + 1 for size, apart in zip(kernel, dilation, strict=True))
    pads = call.pads(reach, strides, source.shape, call.shape)
    return {"strides": strides, "dilation": dilation, "pads": pads, "outside": source.grid.zero}


RULES: dict[str, Callable[[Call], Layer | tuple[Layer, ...] | Parts | Same]] = {
    "CONV_2D": convolution,
    "TRANSPOSE_CONV": transposed_convolution,
    "DEPTHWISE_CONV_2D": depthwise,
    "FULLY_CONNECTED": dense,
    "MAX_POOL_2D": maps.maximum,
    "AVERAGE_POOL_2D": maps.average,
    "MEAN": maps.mean,
    "ADD": elementwise.addition(minus=False),
    "SUB": elementwise.addition(minus=True),
    "MUL": elementwise.product,
    "PRELU": elementwise.sloped,
    "CONCATENATION": maps.concatenation,
    "PAD": maps.pad,
    "SPLIT": maps.split,
    "RESIZE_NEAREST_NEIGHBOR": maps.nearest,
    "STRIDED_SLICE": maps.crop,
    "TRANSPOSE": maps.transposed,
    **dict.fromkeys(("RESHAPE", "SQUEEZE", "EXPAND_DIMS"), maps.same),
    **{name: elementwise.table_rule(table) for name, table in tables.TABLES.items()},
}
