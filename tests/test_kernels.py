"""The C kernels compute what hybridq.integer.arithmetic says, to the last bit: on this machine and on the Cortex-M4."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kernel_machines import KERNELS, Emulated, Host, Machine, Sanitized
from kernel_runs import Runner
from network_runs import has_sanitizers

from hybridq.formats import INTEGERS, Format
from hybridq.image import toolchain
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


@pytest.fixture(scope="module", params=list(EXAMPLES))
def machine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "host":
        if toolchain.host() is None:
            pytest.skip("no C compiler")
        yield Host(folder)
    elif request.param == "sanitized":
        if not has_sanitizers():
            pytest.skip("no gcc with AddressSanitizer")
        sanitized = Sanitized(folder)
        yield sanitized
        sanitized.close()
    else:
        pytest.importorskip("elftools", reason="needs pip install hybridq[deploy]")
        pytest.importorskip("unicorn", reason="needs pip install hybridq[deploy]")
        if request.param not in toolchain.cortex_m4():
            pytest.skip(f"{request.param} for the Cortex-M4 is not installed")
        yield Emulated(folder, toolchain.cortex_m4()[request.param])


Case = tuple[Layer, tuple[np.ndarray, ...], int]  # a layer, its inputs, its tile


def check(machine: Machine, cases: st.SearchStrategy[list[Case]]) -> None:
    """For many a layer and its inputs: the kernels' output is the definition's.

    Those of one list differ in their numbers alone: drawing the shapes takes longer than running the kernels.
    """

    @settings(max_examples=EXAMPLES[machine.name], deadline=None, suppress_health_check=list(HealthCheck))
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
    fields["out"] = outputs(random, channels)
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


@st.composite
def convolutions(draw: st.DrawFn) -> list[Case]:
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
            **finishes(random, channels),
        )
        for width in INTEGERS
    ]
    return [(layer, (integers(random, (rows, columns, inputs), -128, 127),), tile) for layer in layers]


@st.composite
def depthwise(draw: st.DrawFn) -> list[Case]:
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
        **finishes(random, channels),
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


def test_convolutions(machine: Machine) -> None:
    check(machine, convolutions())


def test_dense_layers(machine: Machine) -> None:
    check(machine, dense())


def test_depthwise(machine: Machine) -> None:
    check(machine, depthwise())


def test_pools(machine: Machine) -> None:
    check(machine, st.one_of(max_pools(), averages()))


def test_sums_of_two(machine: Machine) -> None:
    check(machine, adds())


def test_the_first_of_the_largest_logits(machine: Machine) -> None:
    for logits in ([5], [-32768, -32768], [1, 7, 7, 3], [-5, -9, -5], [32767, -32768, 32767]):
        assert Runner(machine).argmax(np.array(logits)) == np.argmax(logits)


# The reference network: rows, columns, inputs, outputs.
CONVOLUTIONS = [(36, 53, 1, 16), (36, 53, 16, 16), (17, 25, 16, 32), (15, 23, 32, 32), (6, 10, 32, 64), (4, 8, 64, 64)]
DENSE = [(768, 64), (64, 64)]


def test_speed(machine: Machine) -> None:
    """Instructions per MACC on the shapes of the reference network; CMSIS-NN takes 2.22 and 1.94 on such."""
    if not isinstance(machine, Emulated):
        pytest.skip("instructions are counted in the emulator")
    runner, random = Runner(machine.counting()), np.random.default_rng(0)
    out = Requantization(np.full(1, 2**30), np.full(1, 8))
    for width, most in ((Format.INT8, 1.35), (Format.INT4, 1.45)):
        total = macc = 0
        for rows, columns, inputs, channels in CONVOLUTIONS:
            kernels = random.integers(-width.largest, width.largest + 1, (3, 3, inputs, channels))
            shape, pads = (1, columns, channels), ((0, 0), (1, 1))  # a row costs as much as any other
            bias = np.zeros(channels, np.int64)
            layer = Convolution("c", ("x",), shape, 0, weights=kernels, width=width, bias=bias, out=out, pads=pads)
            runner.layer(layer, random.integers(-128, 128, (3, columns, inputs)), tile=4 if inputs > 1 else columns)
            total, macc = total + rows * runner.instructions, macc + rows * columns * kernels.size
        assert total / macc < most, width
    for width, most in ((Format.INT8, 1.6), (Format.INT4, 1.7), (Format.BINARY, 1.05)):
        total = macc = 0
        for inputs, channels in DENSE:
            kernels, bias = random.choice([-1, 1], (inputs, channels)), np.zeros(channels, np.int64)
            layer = Dense("d", ("x",), (channels,), 0, weights=kernels, width=width, bias=bias, out=out)
            runner.layer(layer, random.integers(-128, 128, inputs))
            total, macc = total + runner.instructions, macc + kernels.size
        assert total / macc < most, width


def test_clang_has_no_warnings_for_this_machine(tmp_path: Path) -> None:
    """gcc's are errors in all other tests; so are clang's for the Cortex-M4."""
    pytest.importorskip("ziglang", reason="needs pip install hybridq[deploy]")
    clang = toolchain.Compiler("clang", (sys.executable, "-m", "ziglang", "cc"))
    clang.build(KERNELS, tmp_path / "kernels.o", ("-O0", "-r", "-nostdlib", "-fno-sanitize=undefined"))
