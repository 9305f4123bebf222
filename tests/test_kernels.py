"""The C kernels compute what hybridq.integer.arithmetic says, to the last bit: on this machine and on the Cortex-M4.

The layers are those of `kernel_draws`; of maps that are pooled, joined and moved see test_map_kernels.py.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import strategies as st
from kernel_draws import adds, averages, check, convolutions, dense, depthwise, gathered, max_pools
from kernel_machines import KERNELS, Emulated, Machine
from kernel_runs import Runner

from hybridq.formats import Format
from hybridq.image import toolchain
from hybridq.integer.network import Convolution, Dense, Requantization


def test_convolutions(machine: Machine) -> None:
    check(machine, convolutions())


def test_dense_layers(machine: Machine) -> None:
    check(machine, dense())


def test_depthwise(machine: Machine) -> None:
    check(machine, depthwise())


def test_windows_one_position_at_a_time(machine: Machine) -> None:
    check(machine, gathered(), share=5)


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
