"""Random layers and their inputs, as hypothesis draws them: what tests of the C kernels share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kernel_machines import Machine
from kernel_runs import Runner

from hybridq.formats import INTEGERS, Format
from hybridq.integer.arithmetic import computed
from hybridq.integer.network import (
    INT16,
    LOWEST_SHIFT,
    Add,
    Affine,
    AveragePool,
    Convolution,
    Dense,
    Depthwise,
    Layer,
    MaxPool,
    Requantization,
)

EXAMPLES = {"host": 200, "sanitized": 50, "zig": 60, "gcc": 60}
Case = tuple[Layer, tuple[np.ndarray, ...], int]  # a layer, its inputs, its tile


def check(machine: Machine, cases: st.SearchStrategy[list[Case]], share: int = 1) -> None:
    """For many a layer and its inputs: the kernels' output is the definition's.

    share: how many kinds of layers share the examples of one. Those of one list differ in their numbers alone: drawing
    the shapes takes longer than running the kernels.
    """

    @settings(max_examples=EXAMPLES[machine.name] // share, deadline=None, suppress_health_check=list(HealthCheck))
    @given(cases)
    def equal(some: list[Case]) -> None:
        for layer, inputs, tile in some:
            wanted = computed(layer, tuple(x[None].astype(np.int64) for x in inputs))[0]
            assert np.array_equal(Runner(machine).layer(layer, *inputs, tile=tile), wanted), layer

    equal()


# Hypothesis draws the shapes; the many numbers within, which it is slow to draw, follow from one that it draws.
RANDOM = st.integers(0, 2**32 - 1).map(np.random.default_rng)


def integers(random: np.random.Generator, shape: tuple[int, ...], low: int, high: int) -> np.ndarray:
    """Random ones, or all of one extreme, or both extremes mixed."""
    match random.integers(5):
        case 0:
            return np.full(shape, low)
        case 1:
            return np.full(shape, high)
        case 2:
            return random.choice([low, high], shape)
        case _:
            return random.integers(low, high + 1, shape)


def weights(random: np.random.Generator, width: Format, shape: tuple[int, ...]) -> np.ndarray:
    there = np.array(width.row.integers)
    return there[integers(random, shape, 0, len(there) - 1)]


def bounds(random: np.random.Generator) -> tuple[int, int]:
    """The least and the largest of an output."""
    low, high = sorted(map(int, random.integers(-128, 128, 2)))
    return low, high


def outputs(random: np.random.Generator, channels: int) -> Requantization:
    multiplier = integers(random, (channels,), 2**30, 2**31 - 1) * integers(random, (channels,), 0, 1)
    low, high = [(-128, 127), (-128, 127), (0, 127), bounds(random)][random.integers(4)]
    largest = (6, 12, 31)[random.integers(3)]  # few shifts bring an accumulator to something other than 0 and -1
    return Requantization(multiplier, integers(random, (channels,), 0, largest), low, high)


def finishes(random: np.random.Generator, channels: int) -> dict[str, object]:
    """Bias, requantization, and perhaps a table and a batch norm."""
    fields: dict[str, object] = {"bias": integers(random, (channels,), -(2**28), 2**28) >> random.integers(29)}
    zero = int(random.integers(-128, 128)) * int(random.integers(2))
    fields["out"] = replace(outputs(random, channels), zero=zero)
    if random.integers(2):
        fields["table"] = integers(random, (256,), -128, 127)
    if random.integers(2):
        bias, by = integers(random, (channels,), -(2**15), 2**15), integers(random, (channels,), -(2**14), 2**14)
        fields["affine"] = Affine(bias, by, int(random.integers(31)))
    return fields


@st.composite
def windows(draw: st.DrawFn, padded: bool = True) -> tuple[tuple[int, int], ...]:
    """Along each axis: the input, the window, the stride, zeros before and behind, the output."""
    found = []
    for _ in range(2):
        size, window = draw(st.integers(1, 12)), draw(st.integers(1, 5))
        before, behind = draw(st.tuples(st.integers(0, 4), st.integers(0, 4))) if padded else (0, 0)
        window, stride = min(window, size + before + behind), draw(st.integers(1, 3))
        found.append((size, window, stride, before, behind, (size + before + behind - window) // stride + 1))
    return tuple(found)


CHANNELS = st.one_of(st.integers(1, 9), st.sampled_from([12, 16, 33]))


Finish = Callable[[np.random.Generator, int], dict[str, object]]


@st.composite
def convolutions(draw: st.DrawFn, formats: Sequence[Format] = INTEGERS, finish: Finish = finishes) -> list[Case]:
    """One with the weights of each format."""
    (rows, kh, down, top, bottom, out_rows), (columns, kw, right, left, behind, out_columns) = draw(windows())
    inputs, channels, random, tile = draw(CHANNELS), draw(CHANNELS), draw(RANDOM), draw(st.integers(1, 6))
    layers = [
        Convolution(
            "c",
            ("x",),
            (out_rows, out_columns, channels),
            0,
            weights=weights(random, width, (kh, kw, inputs, channels)),
            width=width,
            strides=(down, right),
            pads=((top, bottom), (left, behind)),
            outside=int(random.integers(-128, 128)),
            **finish(random, channels),
        )
        for width in formats
    ]
    return [(layer, (integers(random, (rows, columns, inputs), -128, 127),), tile) for layer in layers]


@st.composite
def gathered(draw: st.DrawFn) -> list[Case]:
    """Convolutions with the weights of each format, and a depthwise one, that are dilated, make int16 or several
    channels of each."""
    (rows, kh, down, top, bottom, _), (columns, kw, right, left, behind, _) = draw(windows())
    apart = draw(st.sampled_from([(1, 1), (2, 1), (1, 3), (3, 2)]))
    rows, columns = rows + (kh - 1) * (apart[0] - 1), columns + (kw - 1) * (apart[1] - 1)  # room for the window
    places = (rows + top + bottom - (kh - 1) * apart[0] - 1) // down + 1, 0
    places = places[0], (columns + left + behind - (kw - 1) * apart[1] - 1) // right + 1
    inputs, channels, times, random = draw(st.integers(1, 9)), draw(CHANNELS), draw(st.integers(1, 3)), draw(RANDOM)
    moves = {"strides": (down, right), "pads": ((top, bottom), (left, behind)), "dilation": apart}

    def made(kind: type[Layer], width: Format, count: int, *shape: int, **more: int) -> Case:
        finish = finishes(random, count)
        if (apart == (1, 1) and times == 1) or random.integers(2):  # int16 that leave the network
            out = finish["out"]
            finish = {"bias": finish["bias"], "out": Requantization(out.multiplier, out.shift, *INT16)}
        values = {"weights": weights(random, width, (kh, kw, *shape)), "width": width}
        layer = kind("c", ("x",), (*places, count), 0, **values, **moves, **finish, **more)
        return layer, (integers(random, (rows, columns, inputs), -128, 127),), 1

    each = made(Depthwise, Format.INT8, inputs * times, inputs * times, depth_multiplier=times)
    return [each, *(made(Convolution, width, channels, inputs, channels) for width in INTEGERS)]


@st.composite
def depthwise(draw: st.DrawFn, finish: Finish = finishes) -> list[Case]:
    (rows, kh, down, top, bottom, out_rows), (columns, kw, right, left, behind, out_columns) = draw(windows())
    channels, random = draw(CHANNELS), draw(RANDOM)
    layer = Depthwise(
        "c",
        ("x",),
        (out_rows, out_columns, channels),
        0,
        weights=weights(random, Format.INT8, (kh, kw, channels)),
        strides=(down, right),
        pads=((top, bottom), (left, behind)),
        outside=int(random.integers(-128, 128)),
        **finish(random, channels),
    )
    return [(layer, (integers(random, (rows, columns, channels), -128, 127),), 1)]


@st.composite
def dense(draw: st.DrawFn) -> list[Case]:
    """One with the weights of each format."""
    inputs, channels = draw(st.one_of(st.integers(1, 70), st.sampled_from([96, 256]))), draw(CHANNELS)
    random = draw(RANDOM)
    return [dense_layer(random, width, inputs, channels) for width in INTEGERS]


def dense_layer(random: np.random.Generator, width: Format, inputs: int, channels: int) -> Case:
    finish = finishes(random, channels)
    if random.integers(2):  # some sums are coarser than their results
        shift = integers(random, finish["out"].shift.shape, LOWEST_SHIFT, 31 + LOWEST_SHIFT)
        finish |= {"bias": finish["bias"] >> -LOWEST_SHIFT, "out": replace(finish["out"], shift=shift)}
    if random.integers(2):  # the logits of a last layer
        finish = {"bias": finish["bias"], "out": Requantization(finish["out"].multiplier, finish["out"].shift, *INT16)}
    layer = Dense(
        "d", ("x",), (channels,), 0, weights=weights(random, width, (inputs, channels)), width=width, **finish
    )
    return layer, (integers(random, (inputs,), -128, 127),), 1


@st.composite
def max_pools(draw: st.DrawFn) -> list[Case]:
    (rows, kh, down, _, _, out_rows), (columns, kw, right, _, _, out_columns) = draw(windows(padded=False))
    channels, random = draw(CHANNELS), draw(RANDOM)
    layer = MaxPool("p", ("x",), (out_rows, out_columns, channels), 0, window=(kh, kw), strides=(down, right))
    return [(layer, (integers(random, (rows, columns, channels), -128, 127),), 1)]


@st.composite
def averages(draw: st.DrawFn) -> list[Case]:
    shape = (draw(st.integers(1, 9)), draw(st.integers(1, 9)), draw(CHANNELS))
    random = draw(RANDOM)
    out = outputs(random, 1)
    if random.integers(2):
        out = replace(out, shift=integers(random, (1,), LOWEST_SHIFT, 0))
    layer = AveragePool("p", ("x",), shape[2:], 0, out=out)
    return [(layer, (integers(random, shape, -128, 127),), 1)]


@st.composite
def adds(draw: st.DrawFn) -> list[Case]:
    shape = (draw(st.integers(1, 4)), draw(st.integers(1, 5)), draw(CHANNELS))
    random = draw(RANDOM)
    scales = tuple(map(int, integers(random, (2,), -(2**21), 2**21) >> random.integers(0, 22, 2)))
    (low, high), shift = bounds(random), int(random.integers(31))
    layer = Add("a", ("x", "y"), shape, 0, scales=scales, shift=shift, low=low, high=high)
    return [(layer, (integers(random, shape, -128, 127), integers(random, shape, -128, 127)), 1)]
