"""How many clock cycles stacks take for a multiply-accumulate, by kind of layer, as data; and what that rests on.

Of ST's tool few figures are published, so few rates are fitted: kinds of layers share one. `tools/fit_time.py` fits
them and prints how far off they are, on the networks that they are fitted on and on one left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod

from hybridq.graph.kinds import kind_of
from hybridq.profiler.accounting import NAME, OWN, TFLM
from hybridq.profiler.report import Row

# The kinds of work.
FIRST, CONVOLUTION, POINTWISE, DEPTHWISE, DENSE = KINDS = ("first", "convolution", "1x1", "depthwise", "dense")
SUM, POOL = "sum", "pool"
FEW = 4  # channels: a convolution of no more is one of pictures or sound, whose sums are short
AS_DENSE = ("recurrent", "projected_lstm")  # families: their products are those of dense layers, step by step

# Milliseconds of the reference networks of MLPerf Tiny (closed division, single stream) on a NUCLEO-L4R5ZI, a
# Cortex-M4F at 120 MHz: mlcommons/tiny_results, rounds 1.1 (7.3), 1.2 (9.0) and 1.3 (10.2).
PUBLISHED = {
    "X-CUBE-AI 7.3": {"kws": 74.73, "vww": 224.92, "ic": 226.91, "ad": 7.58},
    "X-CUBE-AI 9.0": {"kws": 43.2, "vww": 88.9, "ic": 165.1, "ad": 5.26},
    "X-CUBE-AI 10.2": {"kws": 43.42, "vww": 89.43, "ic": 165.67, "ad": 4.79},
}
PUBLISHED_MHZ = 120
# Of the same networks, by TensorFlow Lite for Microcontrollers (90b983c2) with CMSIS-NN (99f736a6): instructions, as
# counted in an emulated Cortex-M4. One board of which both are known took 1.28 cycles for each: 9.84 M against 7.70 M.
COUNTED = {"kws": 7_697_592, "vww": 24_102_643, "ic": 29_862_798, "ad": 583_177, "str_ww": 2_227_839}
CYCLES_AN_INSTRUCTION = 1.28


@dataclass(frozen=True)
class Rate:
    """Cycles a multiply-accumulate, and more for each sum that comes of them."""

    macc: float
    output: float = 0.0


@dataclass(frozen=True)
class Stack:
    """What a stack takes for layers of 8 bits on a Cortex-M4F, and on other cores, of that, which part.

    `error` is the most that the estimate is off on the networks that its rates are fitted on, `beyond` on one that was
    left out of the fit; both relative to what was measured. The latter is the range of an estimate.
    """

    label: str
    rates: Mapping[str, Rate]
    error: float
    beyond: float
    ground: str
    cores: Mapping[str, float] = field(default_factory=lambda: {"Cortex-M4F": 1.0})
    fitted: bool = True  # False: by layers of other networks, without a figure of a whole one
    floats: bool = True  # whether layers that compute in float take the time that they take in ST's tool

    @property
    def accuracy(self) -> str:
        """How far off an estimate is, in words."""
        error, beyond = (f"{100 * part:.0f} %" for part in (self.error, self.beyond))
        return (
            f"off by at most {error} on them, {beyond} on one left out" if self.fitted else f"off by {beyond} or more"
        )

    def cycles(self, row: Row, core: str) -> float | None:
        """Clock cycles of a layer of 8 bits; None where nothing was measured that could tell."""
        rate, part = self.rates.get(work_of(row)), self.cores.get(core)
        if rate is None or part is None or row.macc is None:
            return None
        return part * (row.macc * rate.macc + row.macc / max(_inner(row), 1) * rate.output)


def _alike(groups: Mapping[tuple[str, ...], float]) -> dict[str, Rate]:
    return {kind: Rate(rate) for kinds, rate in groups.items() for kind in kinds}


def _counted(rates: Mapping[str, tuple[float, float]]) -> dict[str, Rate]:
    """Rates in cycles, from instructions."""
    return {kind: Rate(*(CYCLES_AN_INSTRUCTION * one for one in pair)) for kind, pair in rates.items()}


_LONG, _SHORT = (CONVOLUTION, POINTWISE), (FIRST, DEPTHWISE, DENSE)
_NEW_CORES = {"Cortex-M4F": 1.0, "Cortex-M33": 0.89, "Cortex-M7": 0.59}  # of 9.0, on the same four networks
_FITTED = "2 rates fitted on the 4 networks of MLPerf Tiny"
X_CUBE_AI = {
    (7, 3): Stack(
        "X-CUBE-AI 7.3",
        _alike({(CONVOLUTION,): 2.02, (FIRST, POINTWISE, DEPTHWISE, DENSE): 3.48}),
        error=0.04,
        beyond=0.06,  # where it is not the only one with its kind of layer
        ground=_FITTED,
        cores={"Cortex-M4F": 1.0, "Cortex-M7": 0.52},
    ),
    (9, 0): Stack(
        "X-CUBE-AI 9.0", _alike({_LONG: 1.39, _SHORT: 2.69}), error=0.14, beyond=0.26, ground=_FITTED, cores=_NEW_CORES
    ),
    (10, 2): Stack(
        "X-CUBE-AI 10.2", _alike({_LONG: 1.46, _SHORT: 2.46}), error=0.14, beyond=0.38, ground=_FITTED, cores=_NEW_CORES
    ),
}
_EMULATED = f"instructions counted in an emulated Cortex-M4, at {CYCLES_AN_INSTRUCTION} cycles each"
TFLM_CMSIS_NN = Stack(
    "TFLM with CMSIS-NN",
    _counted(
        {
            FIRST: (0.0, 145.0),
            CONVOLUTION: (1.56, 104.0),
            POINTWISE: (1.55, 39.0),
            DEPTHWISE: (0.0, 73.0),
            DENSE: (1.87, 54.0),
            SUM: (81.0, 0.0),
            POOL: (6.6, 0.0),
        }
    ),
    error=0.10,
    beyond=0.25,
    ground=f"rates of layers of 5 networks, {_EMULATED}",
    floats=False,  # reference kernels, of which nothing was measured
)
# Instructions a MACC of our own kernels, of the emulated boards in docs/results/deploy.md; no board has measured them.
OWN_IMAGE = Stack(
    "our image",
    _counted(
        {
            FIRST: (3.0, 0.0),
            CONVOLUTION: (1.25, 0.0),
            POINTWISE: (1.48, 0.0),
            DEPTHWISE: (7.03, 0.0),
            DENSE: (1.7, 0.0),
        }
    ),
    error=0.50,
    beyond=0.50,
    ground=f"{_EMULATED}; no board has measured them",
    fitted=False,
)
# Cycles a MACC of whole 8-bit networks, where their layers are not known: a DS-CNN by X-CUBE-AI 7.3.
WHOLE = {"Cortex-M4F": 3.39, "Cortex-M7": 1.77}


def stack_of(accounting: str) -> Stack:
    """The stack whose time a report estimates, by the label of its accounting: the version's own, or the one before.

    ST Edge AI Core 1.0 counts as X-CUBE-AI 9.0, Core 2.0 and later as 10.2.
    """
    if accounting in (OWN, TFLM):
        return OWN_IMAGE if accounting == OWN else TFLM_CMSIS_NN
    found = re.match(rf"{NAME} (core )?(\d+)\.(\d+)", accounting)
    version = (int(found[2]), int(found[3])) if found else max(X_CUBE_AI)
    if found and found[1]:
        version = (9, 0) if version < (2, 0) else max(X_CUBE_AI)
    # 10.0 and 10.1 are of the same kernels as 10.2
    earlier = [known for known in X_CUBE_AI if known[0] == version[0] >= 9 or known <= version]
    return X_CUBE_AI[max(earlier, default=min(X_CUBE_AI))]


def work_of(row: Row) -> str:
    """What kind of work a layer is; "" for one of another kind."""
    family, channels = (
        kind_of(row.kind).family,
        row.input_shapes[0][-1] if row.input_shapes and row.input_shapes[0] else 0,
    )
    if family in ("convolution", "separable"):
        return (
            POINTWISE if prod(row.kernel) == 1 or family == "separable" else FIRST if channels <= FEW else CONVOLUTION
        )
    if family in AS_DENSE:
        return DENSE
    return {"depthwise": DEPTHWISE, "dense": DENSE, "merge": SUM, "pool": POOL, "global_pool": POOL}.get(family, "")


def _inner(row: Row) -> int:
    """How many products a sum has."""
    taps = prod(row.kernel)
    return taps if work_of(row) == DEPTHWISE else taps * (row.input_shapes[0][-1] if row.input_shapes[0] else 1)
