"""Whether layers of any scale and zero point hold together: `checks` for those of `scaled`."""

from __future__ import annotations

from math import prod

from hybridq.integer.bounds import LARGEST
from hybridq.integer.map_checks import (
    check_map,
    image_of,
    require,
    require_bounds,
    require_inside,
    window_places,
    within,
)
from hybridq.integer.network import INT8, LOWEST_SHIFT, Layer, Shape
from hybridq.integer.scaled import (
    Lookup,
    MapMean,
    PlaceMean,
    ScaledAdd,
    ScaledMean,
    ScaledMultiply,
    ScaledPair,
    ScaledPReLU,
)

COARSEST, FINEST = 2.0**-64, 2.0**64  # steps


@check_map.register
def _(layer: ScaledAdd, sources: list[Shape]) -> None:
    name = layer.name
    _check_pair(layer, sources)
    require(name, len(layer.multipliers) == len(layer.shifts) == 3, "not three factors")
    for multiplier, shift in zip(layer.multipliers, layer.shifts, strict=True):
        _check_factor(name, multiplier, shift)


@check_map.register
def _(layer: ScaledMultiply, sources: list[Shape]) -> None:
    _check_pair(layer, sources)
    _check_factor(layer.name, layer.multiplier, layer.shift)


@check_map.register
def _(layer: PlaceMean, sources: list[Shape]) -> None:
    name, (source,) = layer.name, sources
    made = window_places(name, source, layer.window, layer.strides, layer.pads)
    require(name, layer.shape == (*made, source[-1]), f"the shape {layer.shape}")
    require_inside(name, layer.window, layer.pads)
    require(name, 128 * prod(layer.window) <= LARGEST, f"windows of {prod(layer.window)} places")
    require_bounds(name, layer.low, layer.high)


@check_map.register
def _(layer: MapMean, sources: list[Shape]) -> None:
    _check_whole(layer, sources)
    require_bounds(layer.name, layer.low, layer.high)


@check_map.register
def _(layer: ScaledMean, sources: list[Shape]) -> None:
    name = layer.name
    most = _check_whole(layer, sources) + abs(layer.added)
    require(name, 2 * most <= LARGEST, f"sums of up to {most:,}, doubled beyond 32 bits")
    require(name, 0 <= layer.multiplier <= LARGEST and 0 <= layer.shift <= 31, "a factor beyond 32 bits")
    require(name, INT8[0] <= layer.zero <= INT8[1], f"the zero point {layer.zero}")
    require_bounds(name, layer.low, layer.high)


def _check_whole(layer: Layer, sources: list[Shape]) -> int:
    """That it makes one row of its channels; the largest sum that there can be."""
    (source,) = sources
    require(layer.name, prod(layer.shape) == layer.shape[-1] == source[-1], f"the shape {layer.shape}")
    largest = 128 * prod(source[:-1])
    require(layer.name, largest <= LARGEST, f"sums of up to {largest:,}")
    return largest


@check_map.register
def _(layer: ScaledPReLU, sources: list[Shape]) -> None:
    name, slopes, zeros = layer.name, layer.slopes, layer.zero_points
    require(name, sources[0] == layer.shape and slopes.shape == layer.shape[-1:], f"the shape {layer.shape}")
    require(name, within(slopes, INT8), "slopes beyond int8")
    require(name, len(zeros) == 3 and all(INT8[0] <= zero <= INT8[1] for zero in zeros), f"zero points {zeros}")
    require(name, len(layer.multipliers) == len(layer.shifts) == 2, "not two factors")
    for multiplier, shift in zip(layer.multipliers, layer.shifts, strict=True):
        _check_factor(name, multiplier, max(shift, 0))
        require(name, shift >= LOWEST_SHIFT, f"the shift {shift}")


@check_map.register
def _(layer: Lookup, sources: list[Shape]) -> None:
    require(layer.name, sources[0] == layer.shape, f"the shape {layer.shape} from {sources[0]}")
    fits = layer.table.shape == (256,) and within(layer.table, INT8)
    require(layer.name, fits, "a table that is not 256 int8")


def _check_factor(name: str, multiplier: int, shift: int) -> None:
    require(name, multiplier == 0 or 2**30 <= multiplier <= LARGEST, f"the multiplier {multiplier}")
    require(name, 0 <= shift <= 31, f"the shift {shift}")


def _check_pair(layer: ScaledPair, sources: list[Shape]) -> None:
    name, constant, zeros = layer.name, layer.constant, layer.zero_points
    shapes = [*sources, *([] if constant is None else [constant.shape])]
    a, b = (image_of(one) for one in shapes)
    fewer = {one for one, other in zip(b, a, strict=True) if one != other}
    require(name, sources[0] == layer.shape and fewer <= {1}, f"inputs {shapes} for the result {layer.shape}")
    require(name, constant is None or within(constant, INT8), "a constant beyond int8")
    require(name, len(zeros) == 3 and all(INT8[0] <= zero <= INT8[1] for zero in zeros), f"zero points {zeros}")
    require_bounds(name, layer.low, layer.high)
