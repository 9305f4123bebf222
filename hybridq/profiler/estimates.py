"""Time and energy of one inference, estimated from published measurements of other networks.

An estimate exists only where there is a measurement: of the stack, the core, and the precision of weights and results.
The rates of ST's tool were measured on whole networks, so the layers without a kernel (pools, batch norms) are in the
rates of the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import NamedTuple

from hybridq.formats import Format
from hybridq.profiler.accounting import NAME
from hybridq.profiler.rates import DENSE, POOL, SUM, Stack, stack_of, work_of
from hybridq.profiler.report import Profile, Row
from hybridq.profiler.targets import Target

FLOAT, INT8 = Format.FLOAT32, Format.INT8
LEAST_COVERED = 80.0  # percent of the MACC; with less than that measured there is no estimate


class Measured(NamedTuple):
    """A measured rate, and the least and the most that were measured."""

    value: float
    low: float
    high: float
    source: str
    short: str  # the source in a word
    accuracy: str = ""  # how far off it is where that is known


# Clock cycles a MACC of layers that compute in float, by core, of convolutions and of dense layers.
_M4_FLOAT = ("float on Cortex-M4: X-CUBE-AI, from convolutions to dense layers", "X-CUBE-AI")
FLOATS = {
    ("Cortex-M4F", False): Measured(8.8, 8.8, 12.1, *_M4_FLOAT),
    ("Cortex-M4F", True): Measured(12.1, 8.8, 12.1, *_M4_FLOAT),
}

# Microwatts a megahertz while running, so picojoules a cycle, by target: current x supply voltage. They are those
# of the whole chip; ratings of the core alone are some thirty times lower and must not be mixed with these.
_L496 = "STM32L496 datasheet: 91 uA/MHz at 3.0 V (LDO), or 37 uA/MHz at 3.3 V (SMPS) at least"
POWER = {
    "stm32l496": Measured(91 * 3.0, 37 * 3.3, 91 * 3.0, _L496, "datasheet"),
    "stm32l4r5": Measured(374, 374, 374, "measured on an STM32L4R5 board", "measured"),
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
    accuracy: str = ""  # how far off the cycles are, where that is known


def estimates(report: Profile) -> dict[str, Estimate | None]:
    """Time and energy of one inference by these names; None where there are no measurements to estimate them from."""
    arguments = report.rows, report.target, report.accounting
    return {"Time": latency(*arguments), "Energy": energy(*arguments)}


def latency(rows: Sequence[Row], target: Target, accounting: str = NAME) -> Estimate | None:
    """Milliseconds of one inference; None where nothing was measured that could tell.

    Cycles / clock, over the layers with a kernel, in the stack that the label of an accounting names.
    """
    cycles = _cycles(rows, target, stack_of(accounting))
    if not cycles or not target.clock_mhz:
        return None
    return _times(cycles, 1.0, 1.0, 1.0, 1e-3 / target.clock_mhz, "ms")


def energy(rows: Sequence[Row], target: Target, accounting: str = NAME) -> Estimate | None:
    """Microjoules of one inference, of the chip while it computes; None where nothing was measured that could tell.

    Cycles x current x voltage / clock; the clock cancels out, since the current is per MHz.
    """
    cycles, power = _cycles(rows, target, stack_of(accounting)), POWER.get(target.name)
    if not cycles or not power:
        return None
    microjoules = _times(cycles, power.value, power.low, power.high, 1e-6, "uJ")
    return replace(microjoules, sources=(*cycles.sources, power.source), short=power.short)


def unmeasured(report: Profile) -> tuple[str, ...]:
    """The layers, with their kinds, for want of whose measurement there is no estimate of the time."""
    if not report.target.clock_mhz or latency(report.rows, report.target, report.accounting):
        return ()
    stack, core = stack_of(report.accounting), report.target.core
    kinds = (row for row in report.rows if row.precision and row.macc and not _row_cycles(row, core, stack))
    return tuple(f"{row.name} ({row.kind})" for row in kinds)


def _cycles(rows: Sequence[Row], target: Target, stack: Stack) -> Estimate | None:
    """Clock cycles of one inference; None where the measured layers hold less than `LEAST_COVERED` of the MACC.

    A layer that is not costed counts there as if it were dense, from all that it reads to all that it gives.
    """
    found = {row.name: cycles for row in rows if (cycles := _row_cycles(row, target.core, stack))}
    unknown = [row for row in rows if row.macc is None]
    if not any(row.precision for row in rows if row.name in found) or not all(row.output_shape for row in unknown):
        return None
    known = sum(row.macc or 0 for row in rows if row.name in found)
    everything = sum(row.macc or 0 for row in rows)
    possible = sum(prod(row.output_shape) * sum(map(prod, row.input_shapes)) for row in unknown)
    if 100 * known < LEAST_COVERED * (everything + possible):
        return None
    return Estimate(
        value=sum(one.value for one in found.values()),
        low=sum(one.low for one in found.values()),
        high=sum(one.high for one in found.values()),
        unit="cycles",
        sources=tuple(dict.fromkeys(one.source for one in found.values())),
        short=next(reversed(found.values())).short,
        left_out=tuple(row.name for row in rows if row.precision and row.macc and row.name not in found),
        not_costed=tuple(row.name for row in unknown),
        covered=100 * known / everything,
        accuracy=next((one.accuracy for one in found.values() if one.accuracy), ""),
    )


def _row_cycles(row: Row, core: str, stack: Stack) -> Measured | None:
    """Clock cycles of a layer.

    The weights' precision must be that of the results, but for 8-bit weights with float results: those are
    multiplied as floats, and count so.
    """
    work = work_of(row)
    if not work or not row.macc:
        return None
    if row.precision is None:
        cycles = stack.cycles(row, core) if work in (SUM, POOL) else None
        return _of_stack(cycles, stack) if cycles else None
    weights, outputs = row.precision.weights, row.precision.outputs
    if weights is outputs is INT8:
        cycles = stack.cycles(row, core)
        return _of_stack(cycles, stack) if cycles else None
    if not stack.floats or outputs is not FLOAT or weights not in (FLOAT, INT8) or work in (SUM, POOL):
        return None
    rate = FLOATS.get((core, work == DENSE))
    if not rate:
        return None
    return rate._replace(value=row.macc * rate.value, low=row.macc * rate.low, high=row.macc * rate.high)


def _of_stack(cycles: float, stack: Stack) -> Measured:
    low, high = cycles * (1 - stack.beyond), cycles * (1 + stack.beyond)
    source = f"8-bit layers by {stack.label}: {stack.ground}"
    return Measured(cycles, low, high, source, stack.label, f"{stack.ground}; {stack.accuracy}")


def _times(cycles: Estimate, value: float, low: float, high: float, factor: float, unit: str) -> Estimate:
    return replace(
        cycles,
        value=cycles.value * value * factor,
        low=cycles.low * low * factor,
        high=cycles.high * high * factor,
        unit=unit,
    )
