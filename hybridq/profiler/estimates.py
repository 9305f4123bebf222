"""Time and energy of one inference, estimated from published measurements of other networks.

An estimate exists only where there is a measurement: of the core, at that precision of weights and results. The rates
were measured on whole networks, so the layers without a kernel (pools, batch norms) are in the rates of the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

from hybridq.formats import Format
from hybridq.profiler.count.merge import CONVOLUTIONS
from hybridq.profiler.report import Profile, Row
from hybridq.profiler.targets import Target

FLOAT, INT8 = Format.FLOAT32, Format.INT8
LEAST_COVERED = 80.0  # percent of the MACC; with less than that measured there is no estimate


@dataclass(frozen=True)
class Rate:
    """A measured rate, and the least and the most that were measured."""

    value: float
    low: float
    high: float
    source: str
    short: str  # the source in a word


# Clock cycles a MACC, by core, by precision of weights and results, and by whether the layer is a convolution.
_M4_INT8 = Rate(3.39, 3.39, 4.51, "int8 DS-CNN on STM32L4R5: X-CUBE-AI 7.3, and TVM with CMSIS-NN at most", "X-CUBE-AI")
_M7_INT8 = Rate(1.77, 1.77, 1.77, "int8 DS-CNN on STM32H7A3: X-CUBE-AI", "X-CUBE-AI")
_M4_FLOAT = ("float on Cortex-M4: X-CUBE-AI, from convolutions to dense layers", "X-CUBE-AI")
CYCLES = {
    ("Cortex-M4F", INT8, True): _M4_INT8,
    ("Cortex-M4F", INT8, False): _M4_INT8,
    ("Cortex-M7", INT8, True): _M7_INT8,
    ("Cortex-M7", INT8, False): _M7_INT8,
    ("Cortex-M4F", FLOAT, True): Rate(8.8, 8.8, 12.1, *_M4_FLOAT),
    ("Cortex-M4F", FLOAT, False): Rate(12.1, 8.8, 12.1, *_M4_FLOAT),
}

# Microwatts a megahertz while running, so picojoules a cycle, by target: current x supply voltage. They are those
# of the whole chip; ratings of the core alone are some thirty times lower and must not be mixed with these.
_L496 = "STM32L496 datasheet: 91 uA/MHz at 3.0 V (LDO), or 37 uA/MHz at 3.3 V (SMPS) at least"
POWER = {
    "stm32l496": Rate(91 * 3.0, 37 * 3.3, 91 * 3.0, _L496, "datasheet"),
    "stm32l4r5": Rate(374, 374, 374, "measured on an STM32L4R5 board", "measured"),
}


@dataclass(frozen=True)
class Estimate:
    """An estimated figure, with the range that its sources give.

    `covered` is the part of the network's MACC, in percent, that lies in layers of which there is a measurement.
    """

    value: float
    low: float
    high: float
    unit: str  # "ms" or "uJ"
    sources: tuple[str, ...]
    short: str  # the last of the sources in a word
    left_out: tuple[str, ...] = ()  # layers with a kernel of which there is no measurement
    not_costed: tuple[str, ...] = ()  # layers whose MACC is not known
    covered: float = 100.0


def estimates(report: Profile) -> dict[str, Estimate | None]:
    """Time and energy of one inference by these names; None where there are no measurements to estimate them from."""
    return {"Time": latency(report.rows, report.target), "Energy": energy(report.rows, report.target)}


def latency(rows: Sequence[Row], target: Target) -> Estimate | None:
    """Milliseconds of one inference; None where nothing was measured that could tell.

    MACC x cycles a MACC / clock, over the layers with a kernel.
    """
    cycles = _cycles(rows, target)
    if not cycles or not target.clock_mhz:
        return None
    return _times(cycles, 1.0, 1.0, 1.0, 1e-3 / target.clock_mhz, "ms")


def energy(rows: Sequence[Row], target: Target) -> Estimate | None:
    """Microjoules of one inference, of the chip while it computes; None where nothing was measured that could tell.

    MACC x cycles a MACC x current x voltage / clock; the clock cancels out, since the current is per MHz.
    """
    cycles, power = _cycles(rows, target), POWER.get(target.name)
    if not cycles or not power:
        return None
    microjoules = _times(cycles, power.value, power.low, power.high, 1e-6, "uJ")
    return replace(microjoules, sources=(*cycles.sources, power.source), short=power.short)


def _cycles(rows: Sequence[Row], target: Target) -> Estimate | None:
    """Clock cycles of one inference; None where the measured layers hold less than `LEAST_COVERED` of the MACC.

    A layer that is not costed counts there as if it were dense, from all that it reads to all that it gives.
    """
    rates = {row.name: rate for row in rows if (rate := _rate(row, target.core))}
    measured = [(row.macc, rates[row.name]) for row in rows if row.macc and row.name in rates]
    unknown = [row for row in rows if row.macc is None]
    if not measured or not all(row.output_shape for row in unknown):
        return None
    known, everything = sum(macc for macc, _ in measured), sum(row.macc or 0 for row in rows)
    possible = sum(prod(row.output_shape) * sum(map(prod, row.input_shapes)) for row in unknown)
    if 100 * known < LEAST_COVERED * (everything + possible):
        return None
    return Estimate(
        value=sum(macc * rate.value for macc, rate in measured),
        low=sum(macc * rate.low for macc, rate in measured),
        high=sum(macc * rate.high for macc, rate in measured),
        unit="cycles",
        sources=tuple(dict.fromkeys(rate.source for _, rate in measured)),
        short=measured[-1][1].short,
        left_out=tuple(row.name for row in rows if row.precision and row.macc and row.name not in rates),
        not_costed=tuple(row.name for row in unknown),
        covered=100 * known / everything,
    )


def _rate(row: Row, core: str) -> Rate | None:
    """Cycles a MACC of a layer with a kernel.

    The weights' precision must be that of the results, but for 8-bit weights with float results: those are
    multiplied as floats, and count so.
    """
    if row.precision is None or (row.kind not in CONVOLUTIONS and row.kind != "Dense"):
        return None
    weights, outputs = row.precision.weights, row.precision.outputs
    arithmetic = FLOAT if outputs is FLOAT and weights is INT8 else weights
    return CYCLES.get((core, arithmetic, row.kind in CONVOLUTIONS)) if arithmetic is outputs else None


def _times(cycles: Estimate, value: float, low: float, high: float, factor: float, unit: str) -> Estimate:
    return replace(
        cycles,
        value=cycles.value * value * factor,
        low=cycles.low * low * factor,
        high=cycles.high * high * factor,
        unit=unit,
    )
