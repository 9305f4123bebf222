"""Operators of an int8 `.tflite` file that take one number or two: `operators` of these."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from hybridq.errors import UserError
from hybridq.integer.network import Grid, Integers, Layer
from hybridq.integer.scaled import FINER, Lookup, ScaledAdd, ScaledMultiply, ScaledPReLU
from hybridq.tflite.reading.multipliers import multiplier_of
from hybridq.tflite.reading.tensors import Call, Same, grid_of


def addition(minus: bool) -> Callable[[Call], Layer]:
    def rule(call: Call) -> Layer:
        pair, (a, b), made = *_pair(call, minus), call.grid
        if b.scale > a.scale and not minus and pair["constant"] is None and _alike(call):
            pair["inputs"] = pair["inputs"][::-1]  # the coarser one first: it counts half, which takes no product
            pair["zero_points"] = (b.zero, a.zero, made.zero)
            a, b = b, a
        twice = 2 * max(a.scale, b.scale)
        factors = (a.scale / twice, b.scale / twice, twice / (2**FINER * made.scale))
        multipliers, shifts = zip(*map(multiplier_of, factors), strict=True)
        return ScaledAdd(**pair, multipliers=multipliers, shifts=shifts, minus=minus)

    return rule


def product(call: Call) -> Layer:
    pair, (a, b) = _pair(call)
    multiplier, shift = multiplier_of(a.scale * b.scale / call.grid.scale)
    return ScaledMultiply(**pair, multiplier=multiplier, shift=shift)


def _pair(call: Call, minus: bool = False) -> tuple[dict[str, Any], list[Grid]]:
    """What sums and products have: both tensors, of which one may be a constant; and the grids of the two."""
    common, constant = call.common, None
    grids = [source.grid for source in call.sources]
    if len(call.sources) == 1:
        at = 1 - call.positions[0]
        if minus and at == 0:
            raise UserError("a constant from which it takes a tensor away")
        constant = _by_channel(call, at)
        grids.append(grid_of(call.network, call.node.inputs[at]))
    elif prod(call.sources[0].shape) < prod(call.shape):  # the smaller one is the second
        if minus or prod(call.sources[1].shape) < prod(call.shape):
            raise UserError("tensors of these shapes")
        common["inputs"] = common["inputs"][::-1]
        grids.reverse()
    zeros = (*(grid.zero for grid in grids), call.grid.zero)
    return {**common, "constant": constant, "zero_points": zeros, **call.bounds(0)}, grids


def _alike(call: Call) -> bool:
    """Whether all its tensors have one shape."""
    return all(source.shape == call.shape for source in call.sources)


def _by_channel(call: Call, position: int) -> Integers:
    """A constant of one int8, or one for each channel: (1,) or (channels,)."""
    stored = call.constant(position)
    one_axis = stored.size == stored.shape[-1] if stored.ndim else True
    if stored.dtype != np.int8 or not one_axis or stored.size not in (1, call.shape[-1]):
        raise UserError("a constant that is not of int8, one or one for each channel")
    return stored.astype(np.int64).reshape(-1)


def sloped(call: Call) -> Layer:
    """PRELU, of a slope for each channel or one for all."""
    slopes, (source,) = _by_channel(call, 1), call.sources
    grid = grid_of(call.network, call.node.inputs[1])
    factors = (source.grid.scale / call.grid.scale, source.grid.scale * grid.scale / call.grid.scale)
    multipliers, shifts = zip(*map(multiplier_of, factors), strict=True)
    return ScaledPReLU(
        **call.common,
        slopes=np.broadcast_to(slopes, call.shape[-1:]),
        zero_points=(source.grid.zero, grid.zero, call.grid.zero),
        multipliers=multipliers,
        shifts=shifts,
    )


def table_rule(table: Callable[[Call], Integers]) -> Callable[[Call], Layer | Same]:
    def rule(call: Call) -> Layer | Same:
        values = table(call)
        if np.array_equal(values, np.arange(-128, 128)):
            return Same(call.sources[0])
        return Lookup(**call.common, table=values)

    return rule
