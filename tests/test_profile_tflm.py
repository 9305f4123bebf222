"""What TensorFlow Lite for Microcontrollers takes: its arena beside 32-bit builds, and what is said of it."""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from compare_tflm import BUILDS  # a tool: what 32-bit builds with CMSIS-NN say
from hypothesis import given
from hypothesis import strategies as st
from tflite_builds import SMALL, Writer

from hybridq.arena.planners import Lifetime, lowest_fit
from hybridq.errors import UserError
from hybridq.graph.reader import read_graph
from hybridq.profiler import profile, render, target
from hybridq.profiler.tflm import structs
from hybridq.profiler.tflm.arena import Arena, allocate
from hybridq.profiler.tflm.model import read_model
from hybridq.profiler.tflm.setup import setup
from hybridq.profiler.tflm.structs import ESP_NN, ESP_NN_BEFORE, REFERENCE, Build, rounded

FACTS = Path(__file__).resolve().parent.parent.parent / "shared" / "facts"
ABSENT = "the models are not beside this checkout (../shared)"

# The smallest arena, in steps of 16 bytes, with which a 32-bit build could allocate in an emulated Cortex-M4, and what
# it then says it uses; found by trying.
SMALLEST = {
    "mlperf/models/ad01_int8.tflite": (3_024, 2_580),
    "mlperf/models/kws_ref_model.tflite": (22_832, 22_820),
    "wild/svdf_keyword.tflite": (10_560, 8_212),
    "wakeword/alexa.tflite": (18_240, 18_228),
    "wakeword/okay_nabu.tflite": (19_392, 19_268),
    "xcube/models/dac70r+AI_ML__sine_model.tflite": (1_168, 832),
    "modelzoo/models/mobilenet_v2_0.35_128_fft_int8.tflite": (466_416, 466_416),
    "modelzoo/models/squeezenetv1.1_128_tfs_int8.tflite": (345_040, 345_040),
    "modelzoo/models/yamnet_256_64x96_tl_int8.tflite": (161_776, 161_776),
    "xcube-new/models/gimme1dollar+vision_ai_kiosk__ai__model_200x200_quant_8b.tflite": (204_176, 204_176),
}


def fact(name: str) -> Path:
    path = FACTS / name
    if not path.is_file():
        pytest.skip(ABSENT)
    return path


def arena(path: Path, build: Build | None = None) -> Arena:
    return allocate(read_model(path), build or Build())


@pytest.mark.parametrize("name", BUILDS)
def test_the_arena_is_that_of_a_32_bit_build(name: str) -> None:
    assert arena(fact(f"mlperf/models/{name}.tflite")).used == BUILDS[name][0]


@pytest.mark.parametrize("name", SMALLEST)
def test_the_size_to_reserve_is_the_smallest_that_works(name: str) -> None:
    found, (smallest, used) = arena(fact(name)), SMALLEST[name]
    assert found.used == used
    assert rounded(found.needed, 16) == smallest


# Bytes of the linked program without the file, in the same builds.
CODE = {"kws_ref_model": 52_472, "pretrainedResnet_quant": 50_344, "ad01_int8": 27_296, "str_ww_ref_model": 49_944}


@pytest.mark.parametrize("name", CODE)
def test_the_code_is_near_that_of_a_linked_program(name: str) -> None:
    report = profile(fact(f"mlperf/models/{name}.tflite"), accounting="tflm")
    assert report.tflm
    assert report.tflm.code_bytes == pytest.approx(CODE[name], rel=0.03)


@pytest.mark.parametrize("name", ["alexa", "okay_nabu"])
def test_the_manifests_of_wake_words(name: str) -> None:
    """Declared for ESP-NN of 2024, within a percent; its newer versions need so much more that boards run out."""
    path = fact(f"wakeword/{name}.tflite")
    declared = json.loads(path.with_suffix(".json").read_text())["micro"]["tensor_arena_size"]
    before, since = (arena(path, Build(enum=4, kernels=kernels)).needed for kernels in (ESP_NN_BEFORE, ESP_NN))
    assert declared == pytest.approx(before, rel=0.01)
    assert before <= declared < since
    assert arena(path).variables > 3_000  # states


def test_structs_have_the_sizes_that_compilers_give_them() -> None:
    """By arm-none-eabi-g++ 12.2, with enums of a byte and of four, and by g++ on x86-64."""
    builds = Build(), Build(enum=4), Build(pointer=8, enum=4)
    sizes = {
        structs.SINGLE_ARENA: (36, 36, 72),
        structs.GREEDY_PLANNER: (44, 44, 72),
        structs.MICRO_ALLOCATOR: (36, 36, 72),
        structs.NODE: (32, 32, 64),
        structs.EVAL_TENSOR: (12, 12, 24),
        structs.TENSOR: (32, 40, 64),
        structs.QUANTIZATION: (12, 12, 24),
        structs.ALLOCATION: (24, 24, 32),
        "9i2p3i2c": (56, 56, 72),  # OpDataConv
        "q7i5p": (56, 56, 80),  # SoftmaxParams
        "2e2be": (5, 16, 16),  # TfLiteFullyConnectedParams
    }
    assert {layout: tuple(build.size(layout) for build in builds) for layout in sizes} == sizes
    package = Build(pointer=8, enum=4, package=True)
    assert [package.size(layout) for layout in (structs.SINGLE_ARENA, structs.MICRO_ALLOCATOR)] == [104, 272]


# ------------------------------------------------------------------------------------------------- the report


def test_the_report_has_arena_file_and_code(tmp_path: Path) -> None:
    path = tmp_path / "small.tflite"
    path.write_bytes(SMALL)
    report = profile(path, accounting="tflm")
    assert report.tflm
    sums = report.totals
    assert sums.flash_bytes == len(SMALL) + report.tflm.code_bytes > sums.weights_bytes
    assert sums.ram_bytes == sums.activations_bytes == report.tflm.arena_size == rounded(report.tflm.arena.needed, 16)
    assert [row.name for row in report.rows][:2] == ["conv_2d_0", "mul_1"]
    assert report.rows[0].weights_bytes == 4 * (4 * 3 * 3 * 2 + 4)
    assert sum(row.weights_bytes or 0 for row in report.rows) < len(SMALL)
    places = {one.tensor for one in report.lifetimes}
    assert {"input_0", "conv_2d_0", "softmax_6"} <= places
    assert all(0 <= one.first <= one.last < len(report.rows) for one in report.lifetimes)
    said = render.text(report)
    grouped = f"{report.tflm.arena_size:,}".replace(",", "'")
    assert f"constexpr int kTensorArenaSize = {grouped};" in said
    assert f"file {len(SMALL):,} B + code" in said


def test_a_program_s_lines(tmp_path: Path) -> None:
    path = tmp_path / "small.tflite"
    path.write_bytes(SMALL)
    said = render.text(setup(read_graph(path), target("stm32l496")))
    assert "MicroMutableOpResolver<7> resolver;" in said
    for line in ("AddConv2D()", "AddMaxPool2D()", "AddFullyConnected()", "AddSoftmax()"):
        assert f"resolver.{line};" in said
    found = setup(read_graph(path), target("esp32s3"))
    sizes = [int(re.findall(r"\d+", line)[-1]) for what, line in found.lines if what.startswith("manifest")]
    assert sizes == [found.tflm.arena_size, found.tflm.also[0][1]]


def test_what_the_interpreter_refuses_is_said(tmp_path: Path) -> None:
    writer = Writer()
    x = writer.add("TILE", (writer.input(1, 4), writer.constant(np.int32([1, 2]))), 1, 8)
    writer.add("FULLY_CONNECTED", (x, writer.weights(3, 8, kind=np.int8), -1), 1, 3)
    report = profile(writer.read(tmp_path), accounting="tflm")
    assert report.tflm
    assert report.tflm.refused == ("TILE", "FULLY_CONNECTED of floats with 8-bit weights")
    assert not report.totals.fits
    assert "no kernel for TILE and FULLY_CONNECTED of floats with 8-bit weights" in " ".join(
        render.text(report).split()
    )


def test_only_files_of_tflite_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "small.tflite"
    path.write_bytes(SMALL)
    with pytest.raises(UserError, match=r"counts a \.tflite file as it is"):
        profile(path, accounting="tflm", plan={"*": "binary"})
    with pytest.raises(UserError, match=r"is of \.tflite files, and small is none"):
        profile(replace(read_graph(path), file=""), accounting="tflm")


# --------------------------------------------------------------------------------------------------- parts


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 4), st.integers(1, 50)), min_size=1, max_size=12))
def test_each_tensor_lies_as_low_as_it_fits(tensors: list[tuple[int, int, int]]) -> None:
    wanted = [Lifetime(f"t{i}", first, first + more, 0, size) for i, (first, more, size) in enumerate(tensors)]
    placed = lowest_fit(wanted)
    assert [one.tensor for one in placed] == [one.tensor for one in wanted]
    for i, one in enumerate(placed):
        meets = [other for other in placed[:i] if other.first <= one.last and one.first <= other.last]
        assert all(one.end <= other.offset or other.end <= one.offset for other in meets)
        assert one.offset == 0 or one.offset in {other.end for other in meets}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("damaged")


@given(
    changes=st.lists(st.tuples(st.integers(8, len(SMALL) - 1), st.integers(0, 255)), min_size=1, max_size=4),
    whole=st.booleans(),
)
def test_a_damaged_file_is_an_error_or_has_an_arena(folder: Path, changes: list[tuple[int, int]], whole: bool) -> None:
    content = bytearray(SMALL)
    for place, value in changes:
        content[place] = value
    path = folder / "damaged.tflite"
    path.write_bytes(bytes(content if whole else content[: len(content) // 2]))
    for build in (Build(), Build(enum=4, kernels=ESP_NN), Build(kernels=REFERENCE)):
        with contextlib.suppress(UserError):
            assert arena(path, build).used > 0
