"""The C kernels that pool, join and move maps compute what hybridq.integer.map_arithmetic says, to the last bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import strategies as st
from kernel_draws import CHANNELS, RANDOM, Case, bounds, check, integers, outputs
from kernel_machines import Machine

from hybridq.integer.map_arithmetic import places_inside
from hybridq.integer.map_checks import MOST_SHIFT
from hybridq.integer.maps import Channels, Concatenate, Multiply, Pad, PReLU, Upsample, WindowMean
from hybridq.integer.network import LOWEST_SHIFT, Add, MaxPool

SHIFTS = st.integers(-MOST_SHIFT, MOST_SHIFT)


@st.composite
def maps(draw: st.DrawFn) -> tuple[tuple[int, int, int], np.random.Generator]:
    """The shape of a map, and numbers to fill it with."""
    return (draw(st.integers(1, 6)), draw(st.integers(1, 6)), draw(CHANNELS)), draw(RANDOM)


@st.composite
def padded_pools(draw: st.DrawFn) -> list[Case]:
    """A mean and a maximum of windows that reach beyond the map."""
    (rows, columns, channels), random = draw(maps())
    window = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    pads = tuple((draw(st.integers(0, k - 1)), draw(st.integers(0, k - 1))) for k in window)
    pads = tuple((a, b + max(k - n - a - b, 0)) for (a, b), k, n in zip(pads, window, (rows, columns), strict=True))
    pads = tuple((min(a, k - 1), min(b, k - 1)) for (a, b), k in zip(pads, window, strict=True))
    strides = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    sizes = zip((rows, columns), pads, window, strides, strict=True)
    shape = (*((n + sum(pad) - k) // stride + 1 for n, pad, k, stride in sizes), channels)
    if min(shape) < 1:
        return []
    x = integers(random, (rows, columns, channels), -128, 127)
    largest = MaxPool("p", ("x",), shape, 0, window, strides, pads)
    mean = WindowMean("p", ("x",), shape, 0, window, strides, pads)
    places = tuple(int(n) for n in np.unique(places_inside(mean, x.shape)))
    out = replace(outputs(random, len(places)), shift=integers(random, (len(places),), LOWEST_SHIFT, 4))
    return [(largest, (x,), 1), (replace(mean, places=places, out=out), (x,), 1)]


@st.composite
def sums_of_many(draw: st.DrawFn) -> list[Case]:
    shape, random = draw(maps())
    count = draw(st.integers(3, 6))
    scales = tuple(int(n) for n in integers(random, (count,), -(2**20), 2**20) >> random.integers(0, 20, count))
    (low, high), names = bounds(random), tuple(map(str, range(count)))
    layer = Add("a", names, shape, 0, scales, int(random.integers(31)), low, high)
    return [(layer, tuple(integers(random, shape, -128, 127) for _ in names), 1)]


@st.composite
def products(draw: st.DrawFn) -> list[Case]:
    shape, random = draw(maps())
    other = tuple(draw(st.sampled_from([n, 1])) for n in shape)
    (low, high), scale = bounds(random), 1 << int(random.integers(16))
    layer = Multiply("m", ("x", "y"), shape, 0, scale, int(random.integers(31)), low, high)
    return [(layer, (integers(random, shape, -128, 127), integers(random, other, -128, 127)), 1)]


@st.composite
def joins(draw: st.DrawFn) -> list[Case]:
    (rows, columns, _), random = draw(maps())
    channels = draw(st.lists(CHANNELS, min_size=2, max_size=4))
    (low, high), shifts = bounds(random), tuple(draw(SHIFTS) for _ in channels)
    layer = Concatenate("j", tuple(map(str, channels)), (rows, columns, sum(channels)), 0, shifts, low, high)
    return [(layer, tuple(integers(random, (rows, columns, n), -128, 127) for n in channels), 1)]


@st.composite
def moves(draw: st.DrawFn) -> list[Case]:
    """Larger maps, padded and cut ones, slopes by channel."""
    (rows, columns, channels), random = draw(maps())
    x = integers(random, (rows, columns, channels), -128, 127)
    factors = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    larger = (rows * factors[0], columns * factors[1], channels)
    pads = tuple((draw(st.integers(-(n // 3), 3)), draw(st.integers(-(n // 3), 3))) for n in (rows, columns))
    padded = (rows + sum(pads[0]), columns + sum(pads[1]), channels)
    slopes = integers(random, (channels,), -128, 127)
    return [
        (Upsample("u", ("x",), larger, 0, factors), (x,), 1),
        (Upsample("u", ("x",), larger, 0, factors, zeros=True, outside=int(x.flat[0])), (x,), 1),
        (Pad("p", ("x",), padded, 0, pads), (x,), 1),
        (Channels("c", ("x",), (rows, columns, channels - channels // 2), 0, channels // 2), (x,), 1),
        (PReLU("s", ("x",), x.shape, 0, slopes, (draw(SHIFTS), draw(st.integers(-15, MOST_SHIFT)))), (x,), 1),
    ]


@pytest.mark.parametrize("cases", [padded_pools, sums_of_many, products, joins, moves])
def test_maps(machine: Machine, cases: st.SearchStrategy[list[Case]]) -> None:
    check(machine, cases(), share=2)
