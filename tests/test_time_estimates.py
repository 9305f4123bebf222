"""Time estimates beside what was published and counted, and what is said of layers without a measurement."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tflite_builds import SMALL

from hybridq.graph.reader import Graph, Operator
from hybridq.profiler import profile, render, target
from hybridq.profiler.estimates import estimates, latency
from hybridq.profiler.rates import COUNTED, CYCLES_AN_INSTRUCTION, PUBLISHED, PUBLISHED_MHZ, TFLM_CMSIS_NN, X_CUBE_AI

# Reference networks of MLPerf Tiny.
MLPERF = Path(__file__).resolve().parent.parent.parent / "shared" / "facts" / "mlperf" / "models"
FILES = {
    "kws": "kws_ref_model",
    "vww": "vww_96_int8",
    "ic": "pretrainedResnet_quant",
    "ad": "ad01_int8",
    "str_ww": "str_ww_ref_model",
}


def cycles(network: str, accounting: str) -> float:
    """Clock cycles of a reference network, as estimated."""
    path = MLPERF / f"{FILES[network]}.tflite"
    if not path.is_file():
        pytest.skip("the reference networks are not beside this checkout (../shared)")
    found = profile(path, target="stm32l4r5", accounting=accounting)
    time = latency(found.rows, found.target, found.accounting)
    assert time
    return time.value * 120e3


@pytest.mark.parametrize(("accounting", "version"), [("7.3", (7, 3)), ("9.0", (9, 0)), ("2.2", (10, 2))])
def test_the_time_is_as_near_to_the_published_as_said(accounting: str, version: tuple[int, int]) -> None:
    stack = X_CUBE_AI[version]
    for network, ms in PUBLISHED[stack.label].items():
        off = cycles(network, f"x-cube-ai:{accounting}") / (ms * PUBLISHED_MHZ * 1e3) - 1
        assert abs(off) < stack.error + 0.005
        assert abs(off) < 0.15


def test_the_interpreter_s_time_is_that_of_the_instructions_counted() -> None:
    for network, count in COUNTED.items():
        off = cycles(network, "tflm") / (count * CYCLES_AN_INSTRUCTION) - 1
        assert abs(off) < TFLM_CMSIS_NN.error


def test_layers_of_which_nothing_was_measured_are_named() -> None:
    pixels = {"kernel": (2, 2), "groups": 1, "strides": (2, 2), "pads": ((0, 0), (0, 0))}
    ops = (
        Operator("in", "InputLayer", (), (), (8, 8, 4)),
        Operator("up", "Conv2DTranspose", ("in",), ((8, 8, 4),), (16, 16, 4), pixels, 64, 4),
    )
    found = profile(Graph("up", ops, ("up",)), plan={"*": {"weights": "8-bit", "outputs": "8-bit"}})
    assert estimates(found) == {"Time": None, "Energy": None}
    assert "Time: no estimate, nothing was measured of up (Conv2DTranspose)" in render.text(found)


def test_recurrent_layers_count_as_dense_ones() -> None:
    ops = (
        Operator("in", "InputLayer", (), (), (100,)),
        Operator("layer", "Dense", ("in",), ((100,),), (20,), {}, 2000, 20),
    )
    (row,) = profile(Graph("one", ops, ("layer",))).rows
    assert latency([replace(row, kind="GRU")], target("stm32l496")) == latency([row], target("stm32l496"))


def test_the_interpreter_s_kernels_for_floats_were_not_measured(tmp_path: Path) -> None:
    (tmp_path / "small.tflite").write_bytes(SMALL)
    found = profile(tmp_path / "small.tflite", accounting="tflm")
    assert estimates(found)["Time"] is None
    assert "nothing was measured of conv_2d_0 (Conv2D)" in render.text(found)
