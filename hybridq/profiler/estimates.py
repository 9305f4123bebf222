"""Time and energy of one inference, estimated from published measurements of other networks.

An estimate exists only where there is a measurement: of the core, at that precision of weights and results. The rates
were measured on whole networks, so the layers without a kernel (pools, batch norms) are in the rates of the others.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from hybridq.precision import Precision
from hybridq.profiler.merge import CONVOLUTIONS
from hybridq.profiler.targets import Target

if TYPE_CHECKING:
    from hybridq.profiler.report import Row

FLOAT, INT8 = Precision.FLOAT32, Precision.INT8
LEAST_COVERED = 90.0  # percent of the MACC; with less than that measured there is no estimate


@dataclass(frozen=True)
class Rate:
    """A measured rate, and the least and the most that were measured."""

    value: float
    low: float
    high: float
    source: str


# Clock cycles a MACC, by core, by precision of weights and results, and by whether the layer is a convolution.
_M4_INT8 = Rate(3.39, 3.39, 4.51, "int8 DS-CNN on STM32L4R5: X-CUBE-AI 7.3, and TVM with CMSIS-NN at most")
_M7_INT8 = Rate(1.77, 1.77, 1.77, "int8 DS-CNN on STM32H7A3: X-CUBE-AI")
_M4_FLOAT = "float on Cortex-M4: X-CUBE-AI, from convolutions to dense layers"
CYCLES = {
    ("Cortex-M4F", INT8, True): _M4_INT8,
    ("Cortex-M4F", INT8, False): _M4_INT8,
    ("Cortex-M7F", INT8, True): _M7_INT8,
    ("Cortex-M7F", INT8, False): _M7_INT8,
    ("Cortex-M4F", FLOAT, True): Rate(8.8, 8.8, 12.1, _M4_FLOAT),
    ("Cortex-M4F", FLOAT, False): Rate(12.1, 8.8, 12.1, _M4_FLOAT),
}

# Microwatts a megahertz while running, so picojoules a cycle, by target: current x supply voltage. They are those
# of the whole chip; ratings of the core alone are some thirty times lower and must not be mixed with these.
_L496 = "STM32L496 datasheet: 91 uA/MHz at 3.0 V (LDO), or 37 uA/MHz at 3.3 V (SMPS) at least"
POWER = {
    "stm32l496": Rate(91 * 3.0, 37 * 3.3, 91 * 3.0, _L496),
    "stm32l4r5": Rate(374, 374, 374, "measured on an STM32L4R5 board"),
}


@dataclass(frozen=True)
class Estimate:
    """An estimated figure, with the range that its sources give.

    `left_out` are the layers for which there is no source; the others hold `covered` percent of the MACC.
    """

    value: float
    low: float
    high: float
    unit: str  # "ms" or "uJ"
    sources: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    covered: float = 100.0

    def to_json(self) -> dict[str, Any]:
        """Plain data, and the same as text."""
        return {
            **asdict(self),
            "sources": list(self.sources),
            "left_out": list(self.left_out),
            "text": str(self),
        }

    def __str__(self) -> str:
        ends = f" ({_short(self.low)} to {_short(self.high)})" if self.low < self.high else ""
        said = f"estimate {_short(self.value)} {self.unit}{ends}: {'; '.join(self.sources)}"
        if self.left_out:
            said += f"; without {', '.join(self.left_out)}: no figure for {100 - self.covered:.1f} % of the MACC"
        return said


def latency(rows: Iterable[Row], target: Target) -> Estimate | None:
    """Milliseconds of one inference; None where nothing was measured that could tell.

    MACC x cycles a MACC / clock, over the layers with a kernel.
    """
    cycles = _cycles(rows, target)
    if not cycles or not target.clock_mhz:
        return None
    exact = Rate(1.0, 1.0, 1.0, "")
    return _times(cycles, exact, 1e-3 / target.clock_mhz, "ms")


def energy(rows: Iterable[Row], target: Target) -> Estimate | None:
    """Microjoules of one inference, of the chip while it computes; None where nothing was measured that could tell.

    MACC x cycles a MACC x current x voltage / clock; the clock cancels out, since the current is per MHz.
    """
    cycles, power = _cycles(rows, target), POWER.get(target.name)
    if not cycles or not power:
        return None
    return _times(cycles, power, 1e-6, "uJ")


def _cycles(rows: Iterable[Row], target: Target) -> Estimate | None:
    """Clock cycles of one inference."""
    layers = [(row, _rate(row, target.core)) for row in rows if row.precision]
    counted = [(row.macc, rate) for row, rate in layers if row.macc is not None and rate]
    known, everything = sum(macc for macc, _ in counted), sum(row.macc or 0 for row, _ in layers)
    if not known or 100 * known < LEAST_COVERED * everything:
        return None
    return Estimate(
        value=sum(macc * rate.value for macc, rate in counted),
        low=sum(macc * rate.low for macc, rate in counted),
        high=sum(macc * rate.high for macc, rate in counted),
        unit="cycles",
        sources=tuple(dict.fromkeys(rate.source for _, rate in counted)),
        left_out=tuple(row.name for row, rate in layers if row.macc is None or not rate),
        covered=100 * known / everything,
    )


def _rate(row: Row, core: str) -> Rate | None:
    """Cycles a MACC of a layer.

    The weights' precision must be that of the results, but for 8-bit weights with float results: those are
    multiplied as floats, and count so.
    """
    assert row.precision is not None
    weights, outputs = row.precision.weights, row.precision.outputs
    arithmetic = FLOAT if outputs is FLOAT and weights is INT8 else weights
    if arithmetic is not outputs or (row.kind not in CONVOLUTIONS and row.kind != "Dense"):
        return None
    return CYCLES.get((core, arithmetic, row.kind in CONVOLUTIONS))


def _times(cycles: Estimate, rate: Rate, factor: float, unit: str) -> Estimate:
    low, value, high = cycles.low * rate.low, cycles.value * rate.value, cycles.high * rate.high
    sources = (*cycles.sources, *filter(None, [rate.source]))
    return replace(cycles, value=factor * value, low=factor * low, high=factor * high, unit=unit, sources=sources)


def _short(value: float) -> str:
    """Three digits: the sources have no more."""
    return f"{float(f'{value:.3g}'):,.0f}" if value >= 100 else f"{value:.3g}"
