"""The C kernels compute what hybridq.integer.arithmetic says, to the last bit: on this machine and on the Cortex-M4."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kernel_runs import KERNELS, Emulated, Host, Runner

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

SANITIZED = "HYBRIDQ_TEST_SANITIZED"  # set where this file runs itself under the sanitizers
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g")
EXAMPLES = {"host": 50 if os.environ.get(SANITIZED) else 200, "zig": 60, "gcc": 60}


@pytest.fixture(scope="module", params=list(EXAMPLES))
def machine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Host | Emulated:
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "host":
        if toolchain.host() is None:
            pytest.skip("no C compiler")
        return Host(folder, *(SANITIZERS if os.environ.get(SANITIZED) else ()))
    pytest.importorskip("elftools", reason="needs pip install hybridq[deploy]")
    pytest.importorskip("unicorn", reason="needs pip install hybridq[deploy]")
    if request.param not in toolchain.cortex_m4():
        pytest.skip(f"{request.param} for the Cortex-M4 is not installed")
    return Emulated(folder, toolchain.cortex_m4()[request.param])


def check(machine: Host | Emulated, cases: st.SearchStrategy[tuple[Layer, tuple[np.ndarray, ...], int]]) -> None:
    """For many a layer and its inputs: the kernels' output is the definition's."""

    @settings(max_examples=EXAMPLES[machine.name], deadline=None, suppress_health_check=list(HealthCheck))
    @given(cases)
    def equal(case: tuple[Layer, tuple[np.ndarray, ...], int]) -> None:
        layer, inputs, tile = case
        wanted = computed(layer, tuple(x[None].astype(np.int64) for x in inputs))[0]
        assert np.array_equal(Runner(machine).layer(layer, *inputs, tile=tile), wanted)

    equal()


@st.composite
def integers(draw: st.DrawFn, shape: tuple[int, ...], low: int, high: int) -> np.ndarray:
    """Random ones, or all of one extreme, or both extremes mixed."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    match draw(st.sampled_from(["random", "random", "low", "high", "extremes"])):
        case "random":
            return random.integers(low, high + 1, shape)
        case "low":
            return np.full(shape, low)
        case "high":
            return np.full(shape, high)
        case _:
            return random.choice([low, high], shape)


def weights(width: Format, shape: tuple[int, ...]) -> st.SearchStrategy[np.ndarray]:
    there = np.array(width.row.integers)
    return integers(shape, 0, len(there) - 1).map(lambda places: there[places])


@st.composite
def outputs(draw: st.DrawFn, channels: int) -> Requantization:
    multiplier = draw(integers((channels,), 2**30, 2**31 - 1)) * draw(integers((channels,), 0, 1))
    low, high = sorted(draw(st.tuples(*[st.integers(-128, 127)] * 2)))
    low, high = draw(st.sampled_from([(-128, 127), (-128, 127), (0, 127), (low, high)]))
    largest = draw(st.sampled_from([6, 12, 31]))  # few shifts bring an accumulator to something other than 0 and -1
    return Requantization(multiplier, draw(integers((channels,), 0, largest)), low, high)


@st.composite
def finishes(draw: st.DrawFn, channels: int) -> dict[str, object]:
    """Bias, requantization, and perhaps a table and a batch norm."""
    found = {"bias": draw(integers((channels,), -(2**28), 2**28)) >> draw(st.integers(0, 28))}
    found["out"] = draw(outputs(channels))
    if draw(st.booleans()):
        found["table"] = draw(integers((256,), -128, 127))
    if draw(st.booleans()):
        bias, by = draw(integers((channels,), -(2**15), 2**15)), draw(integers((channels,), -(2**14), 2**14))
        found["affine"] = Affine(bias, by, draw(st.integers(0, 30)))
    return found


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
def convolutions(draw: st.DrawFn, width: Format) -> tuple[Layer, tuple[np.ndarray, ...], int]:
    (rows, kh, down, top, bottom, out_rows), (columns, kw, right, left, behind, out_columns) = draw(windows())
    inputs, channels = draw(CHANNELS), draw(CHANNELS)
    layer = Convolution(
        "c",
        ("x",),
        (out_rows, out_columns, channels),
        0,
        weights=draw(weights(width, (kh, kw, inputs, channels))),
        width=width,
        strides=(down, right),
        pads=((top, bottom), (left, behind)),
        **draw(finishes(channels)),
    )
    return layer, (draw(integers((rows, columns, inputs), -128, 127)),), draw(st.integers(1, 6))


@st.composite
def depthwise(draw: st.DrawFn) -> tuple[Layer, tuple[np.ndarray, ...], int]:
    (rows, kh, down, top, bottom, out_rows), (columns, kw, right, left, behind, out_columns) = draw(windows())
    channels = draw(CHANNELS)
    layer = Depthwise(
        "c",
        ("x",),
        (out_rows, out_columns, channels),
        0,
        weights=draw(weights(Format.INT8, (kh, kw, channels))),
        strides=(down, right),
        pads=((top, bottom), (left, behind)),
        **draw(finishes(channels)),
    )
    return layer, (draw(integers((rows, columns, channels), -128, 127)),), 1


@st.composite
def dense(draw: st.DrawFn, width: Format) -> tuple[Layer, tuple[np.ndarray, ...], int]:
    inputs, channels = draw(st.one_of(st.integers(1, 70), st.sampled_from([96, 256]))), draw(CHANNELS)
    finish = draw(finishes(channels))
    if draw(st.booleans()):  # some sums are coarser than their results
        shift = draw(integers(finish["out"].shift.shape, LOWEST_SHIFT, 31 + LOWEST_SHIFT))
        finish |= {"bias": finish["bias"] >> -LOWEST_SHIFT, "out": replace(finish["out"], shift=shift)}
    if draw(st.booleans()):  # the logits of a last layer
        finish = {"bias": finish["bias"], "out": Requantization(finish["out"].multiplier, finish["out"].shift, *INT16)}
    layer = Dense("d", ("x",), (channels,), 0, weights=draw(weights(width, (inputs, channels))), width=width, **finish)
    return layer, (draw(integers((inputs,), -128, 127)),), 1


@st.composite
def max_pools(draw: st.DrawFn) -> tuple[Layer, tuple[np.ndarray, ...], int]:
    (rows, kh, down, _, _, out_rows), (columns, kw, right, _, _, out_columns) = draw(windows(padded=False))
    channels = draw(CHANNELS)
    layer = MaxPool("p", ("x",), (out_rows, out_columns, channels), 0, window=(kh, kw), strides=(down, right))
    return layer, (draw(integers((rows, columns, channels), -128, 127)),), 1


@st.composite
def averages(draw: st.DrawFn) -> tuple[Layer, tuple[np.ndarray, ...], int]:
    shape = (draw(st.integers(1, 9)), draw(st.integers(1, 9)), draw(CHANNELS))
    out = draw(outputs(1))
    if draw(st.booleans()):
        out = replace(out, shift=draw(integers((1,), LOWEST_SHIFT, 0)))
    layer = AveragePool("p", ("x",), shape[2:], 0, out=out)
    return layer, (draw(integers(shape, -128, 127)),), 1


@st.composite
def adds(draw: st.DrawFn) -> tuple[Layer, tuple[np.ndarray, ...], int]:
    shape = (draw(st.integers(1, 4)), draw(st.integers(1, 5)), draw(CHANNELS))
    scales, shift = draw(st.tuples(*[st.integers(-(2**21), 2**21)] * 2)), draw(st.integers(0, 30))
    scales = tuple(scale >> draw(st.integers(0, 21)) for scale in scales)
    low, high = sorted(draw(st.tuples(*[st.integers(-128, 127)] * 2)))
    layer = Add("a", ("x", "y"), shape, 0, scales=scales, shift=shift, low=low, high=high)
    return layer, (draw(integers(shape, -128, 127)), draw(integers(shape, -128, 127))), 1


@pytest.mark.parametrize("width", INTEGERS)
def test_convolutions(machine: Host | Emulated, width: Format) -> None:
    check(machine, convolutions(width))


@pytest.mark.parametrize("width", INTEGERS)
def test_dense_layers(machine: Host | Emulated, width: Format) -> None:
    check(machine, dense(width))


def test_depthwise(machine: Host | Emulated) -> None:
    check(machine, depthwise())


def test_pools(machine: Host | Emulated) -> None:
    check(machine, st.one_of(max_pools(), averages()))


def test_sums_of_two(machine: Host | Emulated) -> None:
    check(machine, adds())


def test_the_first_of_the_largest_logits(machine: Host | Emulated) -> None:
    for logits in ([5], [-32768, -32768], [1, 7, 7, 3], [-5, -9, -5], [32767, -32768, 32767]):
        assert Runner(machine).argmax(np.array(logits)) == np.argmax(logits)


# The reference network: rows, columns, inputs, outputs.
CONVOLUTIONS = [(36, 53, 1, 16), (36, 53, 16, 16), (17, 25, 16, 32), (15, 23, 32, 32), (6, 10, 32, 64), (4, 8, 64, 64)]
DENSE = [(768, 64), (64, 64)]


def test_speed(machine: Host | Emulated) -> None:
    """Instructions per MACC on the shapes of the reference network; CMSIS-NN takes 2.22 and 1.94 on such."""
    if isinstance(machine, Host):
        pytest.skip("instructions are counted in the emulator")
    runner, random = Runner(machine), np.random.default_rng(0)
    out = Requantization(np.full(1, 2**30), np.full(1, 8))
    for width, most in ((Format.INT8, 1.35), (Format.INT4, 1.45)):
        total = macc = 0
        for rows, columns, inputs, channels in CONVOLUTIONS:
            kernels = random.integers(-width.largest, width.largest + 1, (3, 3, inputs, channels))
            shape, pads = (rows, columns, channels), ((1, 1), (1, 1))
            bias = np.zeros(channels, np.int64)
            layer = Convolution("c", ("x",), shape, 0, weights=kernels, width=width, bias=bias, out=out, pads=pads)
            runner.layer(layer, random.integers(-128, 128, (rows, columns, inputs)), tile=4 if inputs > 1 else columns)
            total, macc = total + runner.instructions, macc + rows * columns * kernels.size
        assert total / macc < most, width
    for width, most in ((Format.INT8, 1.6), (Format.INT4, 1.7), (Format.BINARY, 1.05)):
        total = macc = 0
        for inputs, channels in DENSE:
            kernels, bias = random.choice([-1, 1], (inputs, channels)), np.zeros(channels, np.int64)
            layer = Dense("d", ("x",), (channels,), 0, weights=kernels, width=width, bias=bias, out=out)
            runner.layer(layer, random.integers(-128, 128, inputs))
            total, macc = total + runner.instructions, macc + kernels.size
        assert total / macc < most, width


def test_clean_under_the_sanitizers() -> None:
    """The host's part of this file once more, with every buffer between red zones."""
    if os.environ.get(SANITIZED):
        pytest.skip("this is that run")
    if shutil.which("gcc") is None:
        pytest.skip("no gcc")
    runtime = subprocess.run(["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True).stdout.strip()
    if not Path(runtime).is_absolute():
        pytest.skip("gcc has no AddressSanitizer")
    options = {"LD_PRELOAD": runtime, "PYTHONMALLOC": "malloc", "ASAN_OPTIONS": "detect_leaks=0", SANITIZED: "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", "-k", "host", __file__]
    done = subprocess.run(command, env=os.environ | options, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def test_clang_has_no_warnings_for_this_machine(tmp_path: Path) -> None:
    """gcc's are errors in all other tests; so are clang's for the Cortex-M4."""
    pytest.importorskip("ziglang", reason="needs pip install hybridq[deploy]")
    clang = toolchain.Compiler("clang", (sys.executable, "-m", "ziglang", "cc"))
    clang.build(KERNELS, tmp_path / "kernels.so", ("-O0", "-shared", "-fPIC", "-fno-sanitize=undefined"))
