"""The boards, limits given by hand, and the estimates of time and energy."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridq.errors import UserError
from hybridq.graph.reader import Graph, Operator
from hybridq.precision import PrecisionPlan
from hybridq.profiler import TARGETS, Target, profile, target
from hybridq.profiler.estimates import Estimate, energy, latency
from hybridq.profiler.rates import stack_of
from hybridq.profiler.render.words import estimate_line
from hybridq.profiler.targets import custom_target
from hybridq.settings.units import KIB, MIB, parse_count, parse_size


def test_the_boards() -> None:
    board = target("STM32L496")
    assert (board.flash_bytes, board.ram_bytes, board.clock_mhz, board.core) == (MIB, 320 * KIB, 80, "Cortex-M4F")
    assert next(iter(TARGETS.values())) == board
    assert board.description == "Cortex-M4F, 80 MHz"
    for name, known in TARGETS.items():
        assert name == known.name == name.lower()
        assert known.source
        assert known.label
        assert 64 * KIB <= known.ram_bytes <= known.flash_bytes
    assert len({board.label for board in TARGETS.values()}) == len(TARGETS)


def test_an_unknown_board_names_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'stm32f407'"):
        target("STM32F40")


def broken(board: Target, flash: int, ram: int, macc: int) -> dict[str, int]:
    """By how much each limit is exceeded."""
    return {one.name: one.needed - one.allowed for one in board.limits(flash, ram, macc) if one.exceeded}


def test_a_class_of_networks_limits_the_memory_together_and_the_operations() -> None:
    small = target("hello-edge-small")
    assert broken(small, flash=22_604, ram=16_000, macc=2_656_768) == {}  # its DS-CNN
    assert broken(small, flash=60_000, ram=20_001, macc=0) == {"flash and RAM together": 1}
    over = {"flash": 1, "flash and RAM together": 1, "operations": 2}
    assert broken(small, flash=80_001, ram=0, macc=3_000_001) == over
    assert small.description == "80,000 B of flash and RAM together, 6 M operations"


def test_a_board_limits_flash_and_ram() -> None:
    board = target("stm32l496")
    assert broken(board, MIB, 320 * KIB, 10**12) == {}
    assert broken(board, MIB + 1, 320 * KIB + 2, 0) == {"flash": 1, "RAM": 2}
    assert board.limits(MIB // 2, 0, 0)[0].share == 50


def test_a_block_of_ram_is_a_part_of_it() -> None:
    for board in TARGETS.values():
        assert board.block_bytes is None or 64 * KIB <= board.block_bytes < board.ram_bytes
    assert target("stm32l496").block_bytes is None  # SRAM2 follows SRAM1
    assert target("stm32h743").block_bytes == 512 * KIB
    assert custom_target(flash="1MiB", base=target("stm32h743")).block_bytes == 512 * KIB
    assert custom_target(ram="900KiB", base=target("stm32h743")).block_bytes is None


# --------------------------------------------------------------------------------------- limits given by hand


def test_sizes() -> None:
    assert parse_size("1MiB") == parse_size("1M") == parse_size(" 1024 KiB ") == parse_size("1048576") == MIB
    assert parse_size("320K") == parse_size("320kib") == 320 * KIB
    assert parse_size("80KB") == parse_size("80 kB") == parse_size("80000 B") == 80_000
    assert parse_size("0.5MiB") == 512 * KIB
    assert parse_size("1.5MB") == 1_500_000


@given(st.integers(1, 10**9), st.sampled_from(["B", "kB", "KiB", "MB", "MiB", "K", "M"]))
def test_a_size_grows_with_its_number(number: int, unit: str) -> None:
    assert parse_size(f"{number}{unit}") == number * parse_size(f"1{unit}")


@given(st.integers(1, 10**9))
def test_a_number_alone_is_of_bytes_and_too_few_to_be_meant_are_asked_about(number: int) -> None:
    if number < KIB:
        with pytest.raises(UserError, match=f"'{number}' would be {number} bytes: write {number}KiB, or {number}B"):
            parse_size(str(number))
    else:
        assert parse_size(str(number)) == number


@pytest.mark.parametrize("text", ["", "KiB", "0", "-1K", "1e6", "1.5", "0.3kib", "1KiBs", "1,5M", "٣K", "9" * 40])
def test_nonsense_is_no_size(text: str) -> None:
    with pytest.raises(UserError, match="is not a size: write a number"):
        parse_size(text)


@given(st.text(max_size=12))
def test_any_text_is_a_size_or_a_plain_error(text: str) -> None:
    with contextlib.suppress(UserError):
        assert parse_size(text) >= 1


def test_a_number_of_operations() -> None:
    assert [parse_count(text) for text in ("2.3M", "800k", "800 K", " 1 ")] == [2_300_000, 800_000, 800_000, 1]
    assert custom_target(macc="2.3M").limits(0, 0, 2_300_001)[-1].exceeded
    assert not custom_target(macc="2.3M").limits(0, 0, 2_300_000)[-1].exceeded
    for text in ("", "0", "many", "2.3KiB", "-1", "0.5", "1e6"):
        with pytest.raises(UserError, match="is not a number of operations"):
            parse_count(text)


def test_limits_given_by_hand() -> None:
    board = custom_target(flash="80KiB")
    assert (board.name, board.flash_bytes, board.ram_bytes) == ("stm32l496", 80 * KIB, 320 * KIB)
    assert board.label == "STM32L496 with flash of 80KiB"
    small = custom_target("1MiB", "64K", base=target("nrf52840"))
    assert (small.ram_bytes, small.clock_mhz) == (64 * KIB, 64)
    assert custom_target() == target("stm32l496")
    with pytest.raises(UserError, match="'big' is not a size"):
        custom_target(ram="big")


# ------------------------------------------------------------------------------------------------- estimates


def network(kind: str = "Conv2D") -> Graph:
    """One layer of 1,000,100 MACC: 100 results of 10,000 inputs each; as a convolution, one pixel of 100 channels."""
    conv = {"kernel": (1, 1), "groups": 1, "strides": (1, 1), "pads": ((0, 0), (0, 0))}
    shape, attributes = ((1, 1), conv) if kind == "Conv2D" else ((), {})
    ops = (
        Operator("in", "InputLayer", (), (), (*shape, 10_000)),
        Operator("layer", kind, ("in",), ((*shape, 10_000),), (*shape, 100), attributes, 10**6, 100),
    )
    return Graph("one", ops, ("layer",))


def estimates(
    board: str, plan: Mapping[str, Any], kind: str = "Conv2D", accounting: str = "x-cube-ai:7.3"
) -> tuple[Estimate | None, Estimate | None]:
    found = profile(network(kind), plan=PrecisionPlan.from_data(plan), accounting=accounting)
    arguments = found.rows, target(board), found.accounting
    return latency(*arguments), energy(*arguments)


INT8: dict[str, Any] = {"*": {"weights": "8-bit", "outputs": "8-bit"}}


def test_int8_on_the_chip_of_the_measurement() -> None:
    time, work = estimates("stm32l4r5", INT8)
    assert time
    assert work
    assert time.value == pytest.approx(1_000_100 * 3.48 / 120e3)
    assert time.low == pytest.approx(time.value * 0.94)
    assert time.high == pytest.approx(time.value * 1.06)
    assert work.value == pytest.approx(1_000_100 * 3.48 * 374e-6)
    assert estimate_line(time) == "estimate 29 ms (27.3 to 30.7; X-CUBE-AI 7.3)"
    assert estimate_line(work) == "estimate 1.3 mJ (1.22 to 1.38; measured)"
    assert "off by at most 4 % on them, 6 % on one left out" in time.accuracy


def test_versions_and_stacks_take_their_own_time() -> None:
    names = ("x-cube-ai:6.0", "x-cube-ai:8.1", "x-cube-ai:9.0", "x-cube-ai:1.0", "x-cube-ai:2.2", "x-cube-ai")
    found = [estimates("stm32l4r5", INT8, accounting=name)[0] for name in names]
    labels = [f"X-CUBE-AI {version}" for version in ("7.3", "7.3", "9.0", "9.0", "10.2", "10.2")]
    assert [one and one.short for one in found] == labels
    assert stack_of("x-cube-ai 10.0").label == "X-CUBE-AI 10.2"
    assert [stack_of(name).label for name in ("tflm", "packed")] == ["TFLM with CMSIS-NN", "our image"]


def test_time_and_energy_of_the_default_board() -> None:
    time, work = estimates("stm32l496", INT8)
    assert time
    assert work
    assert time.value == pytest.approx(1_000_100 * 3.48 / 80e3)
    assert work.value == pytest.approx(time.value * 80 * 0.091 * 3.0)  # ms x mA x V
    assert work.low == pytest.approx(time.low * 80 * 0.037 * 3.3)
    assert work.unit == "uJ"


def test_float_depends_on_the_kind_of_layer() -> None:
    conv, dense = estimates("stm32l496", {})[0], estimates("stm32l496", {}, "Dense")[0]
    assert conv
    assert dense
    assert dense.value / conv.value == pytest.approx(12.1 / 8.8)
    assert conv.low == pytest.approx(conv.value)
    assert dense.high == pytest.approx(dense.value)


def test_no_figure_no_estimate() -> None:
    assert estimates("rp2040", INT8) == (None, None)  # no source for its core
    assert estimates("hello-edge-small", INT8) == (None, None)
    assert estimates("stm32l496", {"*": {"weights": "binary", "outputs": "8-bit"}}) == (None, None)
    time, work = estimates("stm32h743", INT8)
    assert time
    assert time.low < time.value < time.high
    assert work is None  # no current for that chip
    assert latency((), target("stm32l496")) is None


def two_layers(kernel: int, after: Operator) -> Graph:
    """A dense layer of that many weights, and another operator that reads its 100 results."""
    ops = network("Dense").operators
    first = Operator("layer", "Dense", ("in",), ((kernel // 100,),), (100,), {}, kernel, 100)
    return Graph("two", (ops[0], first, after), (after.name,))


@pytest.mark.parametrize("kernel", [10**6, 5000, 2000, 100])
def test_what_the_estimate_leaves_out_is_said(kernel: int) -> None:
    after = Operator("dense", "Dense", ("layer",), ((100,),), (10,), {}, 1000, 10)
    plan = PrecisionPlan.from_data(INT8 | {"dense": {"weights": "binary"}})  # 1,010 MACC without a measurement
    time = latency(profile(two_layers(kernel, after), plan=plan).rows, target("stm32l496"))
    covered = 100 * (kernel + 100) / (kernel + 1110)
    assert (time is None) == (covered < 80)
    if time:
        assert time.left_out == ("dense",)
        assert time.covered == pytest.approx(covered)
        assert estimate_line(time).endswith("covers 83 % of the MACC" if kernel == 5000 else "X-CUBE-AI 10.2)")


def test_a_layer_that_is_not_costed_counts_as_a_dense_one() -> None:
    def time(kernel: int, outputs: tuple[int, ...]) -> Estimate | None:
        odd = Operator("odd", "unknown: Odd", ("layer",), ((100,),), outputs)
        return latency(profile(two_layers(kernel, odd)).rows, target("stm32l496"))

    found = time(50_000, (50,))  # at most 100 x 50
    assert found
    assert found.not_costed == ("odd",)
    assert estimate_line(found).endswith("X-CUBE-AI); 1 layer not costed")
    assert time(50_000, (500,)) is None
    assert time(50_000, ()) is None  # of any size


@given(st.floats(1e-3, 1e6), st.floats(80, 100), st.integers(0, 100))
def test_an_estimate_is_a_line(value: float, covered: float, missing: int) -> None:
    names = tuple(map(str, range(missing)))
    for name, unit, short in (("Time", "ms", "X-CUBE-AI"), ("Energy", "uJ", "datasheet")):
        found = Estimate(value, value / 3, value * 2, unit, ("measured",), short, (), names, covered)
        line = f"{name}: {estimate_line(found)}"
        assert line.startswith(f"{name}: estimate ")
        assert len(line) <= 100


@given(st.sampled_from(list(TARGETS.values())), st.sampled_from(["Conv2D", "Dense"]), st.booleans())
def test_the_value_lies_in_its_range(board: object, kind: str, quantized: bool) -> None:
    assert isinstance(board, type(target("rp2040")))
    rows = profile(network(kind), plan=PrecisionPlan.from_data(INT8 if quantized else {})).rows
    for found in (latency(rows, board), energy(rows, board)):
        if found:
            assert 0 < found.low <= found.value <= found.high
            assert found.sources


def test_targets() -> None:
    board = target("STM32L496")
    assert (board.flash_bytes, board.ram_bytes, board.clock_mhz) == (2**20, 320 * 1024, 80)
    assert all(name == known.name and known.source for name, known in TARGETS.items())
    with pytest.raises(UserError, match="did you mean 'stm32l496'"):
        target("stm32l469")
