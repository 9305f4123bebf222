"""Layers that pool, join and move maps with their values (scales, shifts, slopes): `lowering` of these."""

from __future__ import annotations

from dataclasses import replace
from functools import singledispatch
from math import floor, log2
from typing import Any

import numpy as np

from hybridq.graph.operators import layer_of
from hybridq.integer import scaling
from hybridq.integer.fusion import Chain
from hybridq.integer.maps import Concatenate, Multiply, PReLU, WindowMean
from hybridq.integer.network import INT8, LOWEST_SHIFT, Add, AveragePool, Layer
from hybridq.integer.skeleton import mean_scale
from hybridq.quantization.steps import CLIP, GRID

MOST_SLOPE_BITS = 12  # behind the point of a slope


@singledispatch
def valued(layer: Layer, chain: Chain, model: Any) -> Layer:
    """A layer of the outline with its values; model: the Keras network on grids. Raises UserError naming the layer."""
    return layer


@valued.register
def _(layer: AveragePool, chain: Chain, model: Any) -> Layer:
    scale = np.array([mean_scale(chain)])
    return replace(layer, out=scaling.requantization(layer.name, scale, *bounds(chain), LOWEST_SHIFT))


@valued.register
def _(layer: WindowMean, chain: Chain, model: Any) -> Layer:
    scale = 2.0 ** (chain.fraction - chain.inputs[0].chain.fraction) / np.array(layer.places)
    return replace(layer, out=scaling.requantization(layer.name, scale, *bounds(chain), LOWEST_SHIFT))


@valued.register
def _(layer: Add, chain: Chain, model: Any) -> Layer:
    fractions = tuple(source.chain.fraction for source in chain.inputs)
    scales, shift = scaling.sum_scales(layer.name, fractions, layer.fraction)
    if chain.operator.kind == "Subtract":
        scales = (scales[0], *(-scale for scale in scales[1:]))
    low, high = bounds(chain)
    return replace(layer, scales=scales, shift=shift, low=low, high=high)


@valued.register
def _(layer: Multiply, chain: Chain, model: Any) -> Layer:
    one, other = (source.chain.fraction for source in chain.inputs)
    scale, shift = scaling.product_scale(layer.name, (one, other), layer.fraction)
    low, high = bounds(chain)
    return replace(layer, scale=scale, shift=shift, low=low, high=high)


@valued.register
def _(layer: Concatenate, chain: Chain, model: Any) -> Layer:
    shifts = [scaling.change(layer.name, source.chain.fraction, layer.fraction) for source in chain.inputs]
    low, high = bounds(chain)
    return replace(layer, shifts=tuple(shifts), low=low, high=high)


@valued.register
def _(layer: PReLU, chain: Chain, model: Any) -> Layer:
    before = chain.inputs[0].chain.fraction
    slopes, fraction = slopes_of(model.get_layer(layer_of(layer.name)), layer.shape[-1])
    shifts = (before - layer.fraction, before + fraction - layer.fraction)
    for by in shifts:
        scaling.change(layer.name, by, 0)
    return replace(layer, slopes=slopes, shifts=shifts)


def slopes_of(layer: Any, channels: int) -> tuple[Any, int]:
    """The slopes of a Keras layer as int8, by channel, and their fraction: the finest that holds them all."""
    real = np.asarray(layer.alpha, np.float64).ravel()
    largest = float(np.abs(real).max())
    fraction = MOST_SLOPE_BITS if largest == 0 else min(MOST_SLOPE_BITS, floor(log2(INT8[1] / largest)))
    slopes = np.clip(np.floor(real * 2.0**fraction + 0.5), *INT8).astype(np.int64)
    return np.broadcast_to(slopes, (max(channels, len(slopes)),)), fraction


def bounds(chain: Chain) -> tuple[int, int]:
    """Of the integers that are stored first: from 0 where a ReLU is all that stands before the grid."""
    letters = [part.letter for part in chain.parts]
    place = letters.index(GRID)
    if CLIP not in letters[:place]:
        return INT8
    fraction, highest = chain.parts[place].value, chain.parts[letters.index(CLIP)].value
    return 0, INT8[1] if highest is None else min(INT8[1], floor(highest * 2.0**fraction + 0.5))
