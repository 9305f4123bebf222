"""Whether layers that pool, join and move hold together: `checks` for those of `maps`."""

from __future__ import annotations

from functools import singledispatch
from math import prod

import numpy as np

from hybridq.errors import UserError
from hybridq.integer.bounds import LARGEST, worst_sum
from hybridq.integer.map_arithmetic import places_inside
from hybridq.integer.maps import Channels, Concatenate, Multiply, Pad, PReLU, Reshape, Upsample, WindowMean
from hybridq.integer.network import INT8, LOWEST_SHIFT, Integers, Layer, Pads, Requantization, Shape

LARGEST_SIDE = 2**24
MOST_SHIFT = 22  # of a product of two int8, either way: int32 hold it


@singledispatch
def check_map(layer: Layer, sources: list[Shape]) -> None:
    """Raise UserError where a layer, which reads tensors of those shapes, contradicts itself or `maps`."""
    raise NotImplementedError(type(layer).__name__)


@check_map.register
def _(layer: WindowMean, sources: list[Shape]) -> None:
    name, (source,) = layer.name, sources
    made = window_places(name, source, layer.window, layer.strides, layer.pads)
    require(name, layer.shape == (*made, source[-1]), f"the shape {layer.shape}")
    require_inside(name, layer.window, layer.pads)
    counts = tuple(int(n) for n in np.unique(places_inside(layer, source)))
    require(name, layer.places == counts, f"{layer.places} places in its windows, not {counts}")
    require(
        name, layer.out.multiplier.shape == (len(counts),), f"{len(counts)} numbers of places and other multipliers"
    )
    check_requantization(name, layer.out, len(counts), INT8, LOWEST_SHIFT)
    require(name, 128 * max(counts) << layer.out.doublings <= LARGEST, f"windows of {max(counts)} places")


@check_map.register
def _(layer: Multiply, sources: list[Shape]) -> None:
    name, (a, b) = layer.name, (image_of(one) for one in sources)
    fewer = {one for one, other in zip(b, a, strict=True) if one != other}
    require(name, sources[0] == layer.shape and fewer <= {1}, f"inputs {sources} for the result {layer.shape}")
    require(name, 0 < layer.scale < 2**MOST_SHIFT and 0 <= layer.shift <= 30, f"scale {layer.scale}, {layer.shift}")
    highest = 2**14 * layer.scale + 2**layer.shift // 2
    require(name, highest <= LARGEST, "products beyond 32 bits")
    require_bounds(name, layer.low, layer.high)


@check_map.register
def _(layer: Concatenate, sources: list[Shape]) -> None:
    name = layer.name
    places = {image_of(source)[:-1] for source in (*sources, layer.shape)}
    channels = sum(source[-1] for source in sources)
    require(name, len(places) == 1 and channels == layer.shape[-1], f"inputs {sources} for the result {layer.shape}")
    require(name, len(layer.shifts) == len(sources), f"{len(layer.shifts)} shifts for {len(sources)} inputs")
    require(name, max(map(abs, layer.shifts)) <= MOST_SHIFT, f"shifts {layer.shifts}")
    require_bounds(name, layer.low, layer.high)


@check_map.register
def _(layer: Upsample, sources: list[Shape]) -> None:
    name, (source,) = layer.name, sources
    require(name, len(source) == 3 and len(layer.factors) == 2 and min(layer.factors) > 0, f"factors {layer.factors}")
    (rows, columns, channels), (down, right) = source, layer.factors
    require(name, layer.shape == (rows * down, columns * right, channels), f"the shape {layer.shape} from {source}")
    require(name, INT8[0] <= layer.outside <= INT8[1], f"{layer.outside} around its input")


@check_map.register
def _(layer: Pad, sources: list[Shape]) -> None:
    name, (source,) = layer.name, sources
    fits = len(source) == 3 and len(layer.pads) == 2 and all(len(pad) == 2 for pad in layer.pads)
    require(name, fits, f"pads {layer.pads}")
    require(name, all(abs(n) < LARGEST_SIDE for pad in layer.pads for n in pad), f"pads {layer.pads}")
    cut = [sum(min(n, 0) for n in pad) + size for pad, size in zip(layer.pads, source, strict=False)]
    require(name, min(cut) > 0, f"nothing left of {source}")
    require(name, INT8[0] <= layer.outside <= INT8[1], f"{layer.outside} around its input")
    made = [size + sum(pad) for pad, size in zip(layer.pads, source, strict=False)]
    require(name, layer.shape == (*made, source[-1]), f"the shape {layer.shape} from {source}")


@check_map.register
def _(layer: Channels, sources: list[Shape]) -> None:
    name, (source,) = layer.name, sources
    fits = len(source) == len(layer.shape) and source[:-1] == layer.shape[:-1]
    require(name, fits and 0 <= layer.first <= source[-1] - layer.shape[-1], f"the channels from {layer.first} on")


@check_map.register
def _(layer: Reshape, sources: list[Shape]) -> None:
    require(layer.name, prod(layer.shape) == prod(sources[0]), f"the shape {layer.shape} from {sources[0]}")


@check_map.register
def _(layer: PReLU, sources: list[Shape]) -> None:
    name, slopes = layer.name, layer.slopes
    require(name, sources[0] == layer.shape, f"the shape {layer.shape} from {sources[0]}")
    require(name, slopes.shape == layer.shape[-1:] and within(slopes, INT8), f"slopes of shape {slopes.shape}")
    require(name, len(layer.shifts) == 2 and max(map(abs, layer.shifts)) <= MOST_SHIFT, f"shifts {layer.shifts}")
    highest = int(worst_sum(slopes[None]).max()) << max(-layer.shifts[1], 0)
    require(name, highest <= LARGEST // 2, "products beyond 32 bits")


# ------------------------------------------------------------------------------------------ what checks share


def check_requantization(
    name: str, by: Requantization, channels: int, bounds: tuple[int, int], lowest: int = 0
) -> None:
    """Raise UserError where its multipliers, shifts or bounds are none that `network.Requantization` allows."""
    require(name, by.multiplier.shape in ((1,), (channels,)), f"multipliers of shape {by.multiplier.shape}")
    require(name, by.shift.shape == by.multiplier.shape, f"shifts of shape {by.shift.shape}")
    usable = (by.multiplier == 0) | ((by.multiplier >= 2**30) & (by.multiplier <= LARGEST))
    require(name, bool(usable.all()), "a multiplier below 2**30 or beyond 32 bits")
    require(name, within(by.shift, (lowest, 31)), f"a shift beyond {lowest} to 31")
    require(name, INT8[0] <= by.zero <= INT8[1] and not (by.zero and by.is_wide), f"the zero point {by.zero}")
    kept = (by.low, by.high) == bounds if by.is_wide else bounds[0] <= by.low <= by.high <= bounds[1]
    require(name, kept, f"bounds {by.low} to {by.high}")


def window_places(
    name: str, source: Shape, window: tuple[int, ...], strides: tuple[int, ...], pads: Pads
) -> tuple[int, ...]:
    """How many places a window has on each axis of an image."""
    require(name, len(source) == 3, f"an input of shape {source}, which is no image")
    require(name, len(window) == len(strides) == len(pads) == 2 and min(window) > 0 < min(strides), "a bad window")
    require(name, all(len(pad) == 2 and min(pad) >= 0 and max(pad) < LARGEST_SIDE for pad in pads), "bad padding")
    sizes = [(n + sum(pad) - k) // stride + 1 for n, pad, k, stride in zip(source, pads, window, strides, strict=False)]
    require(name, min(sizes) > 0, f"a window of {window}, more than its input of {source}")
    return tuple(sizes)


def require_inside(name: str, window: tuple[int, int], pads: Pads) -> None:
    """That a part of each window lies inside the image."""
    require(name, all(max(pad) < k for pad, k in zip(pads, window, strict=True)), f"pads {pads}, windows {window}")


def require_bounds(name: str, low: int, high: int) -> None:
    require(name, INT8[0] <= low <= high <= INT8[1], f"bounds {low} to {high}")


def image_of(shape: Shape) -> Shape:
    """A row of features as an image of one place."""
    return shape if len(shape) == 3 else (1, 1, *shape)


def within(values: Integers, bounds: tuple[int, int]) -> bool:
    return bool(((values >= bounds[0]) & (values <= bounds[1])).all())


def require(layer: str, holds: bool, what: str) -> None:
    if not holds:
        raise UserError(f"layer {layer!r}: it has {what}")
