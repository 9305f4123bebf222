"""The kernels as `hybridq export` compiles them for a network: each way to round and to keep results within bounds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import strategies as st
from kernel_draws import bounds, check, convolutions, depthwise, integers
from kernel_machines import Emulated

from hybridq.formats import Format
from hybridq.image import toolchain
from hybridq.integer.network import INT8, Requantization

BETWEEN = {0: (), 1: (INT8,), 2: (INT8, (0, 127)), 3: ((0, 127),)}  # by HQ_BOUNDS; 0: any


def finished(twice: int, shifted: int, between: int) -> Callable[[np.random.Generator, int], dict[str, object]]:
    """What draws the biases and factors that such kernels are compiled for."""

    def finish(random: np.random.Generator, channels: int) -> dict[str, object]:
        multiplier = integers(random, (channels,), 2**30, 2**31 - 1)
        shift = integers(random, (channels,), shifted - twice, (6, 12, 30)[random.integers(3)])
        choices = BETWEEN[between]
        low, high = choices[random.integers(len(choices))] if choices else bounds(random)
        zero, bias = int(random.integers(-128, 128)), integers(random, (channels,), -(2**26), 2**26)
        return {
            "bias": bias >> random.integers(27),
            "out": Requantization(multiplier, shift, low, high, zero, twice=bool(twice)),
        }

    return finish


@pytest.mark.parametrize("compiler", ["zig", "gcc"])
@pytest.mark.parametrize(
    ("twice", "shifted", "between", "one"), [(1, 1, 1, 0), (1, 0, 2, 1), (0, 1, 3, 1), (0, 1, 2, 0), (1, 0, 0, 0)]
)
def test_kernels_of_a_network(tmp_path: Path, compiler: str, twice: int, shifted: int, between: int, one: int) -> None:
    pytest.importorskip("unicorn", reason="needs pip install hybridq[deploy]")
    found = toolchain.cortex_m4()
    if compiler not in found:
        pytest.skip(f"{compiler} is not installed")
    values = {"ROUNDS_TWICE": twice, "SHIFTED": shifted, "BOUNDS": between, "ONE_PLACE": one}
    flags = tuple(f"-DHQ_{name}={value}" for name, value in values.items())
    board, finish = Emulated(tmp_path, found[compiler], flags), finished(twice, shifted, between)
    check(board, st.one_of(convolutions((Format.INT8, Format.INT4), finish), depthwise(finish)), share=4)
