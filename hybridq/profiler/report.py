"""The memory report as data: one row for each step of a network, the totals, and whether it fits the board."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hybridq.arena.planners import Lifetime
from hybridq.precision import LayerPrecision
from hybridq.profiler.result import Result
from hybridq.profiler.targets import Limit, Target

if TYPE_CHECKING:
    from hybridq.profiler.tflm.cost import Tflm

DOMINANT = 80.0  # percent of the flash that the layers named as dominant hold together


@dataclass(frozen=True)
class Row:
    """One step of the network: a layer with what runs inside it. Shares are in percent of the network."""

    name: str
    kind: str
    merged: tuple[str, ...]  # the other operators that run in it
    marks: tuple[str, ...]  # "pool", "norm": the ones of them that matter to the figures
    input_shapes: tuple[tuple[int, ...], ...]  # of each tensor that it reads; no shape has the batch
    output_shape: tuple[int, ...]
    kernel: tuple[int, ...]  # rows and columns of its window; () without one
    precision: LayerPrecision | None  # None for a layer without a kernel
    parameters: int | None  # None where there is no rule for the layer
    weights_bytes: int | None
    macc: int | None
    macc_share: float
    flash_share: float


@dataclass(frozen=True)
class Width:
    """What of a network is that many bits wide: stored numbers, and the MACC of the steps with such a kernel.

    Steps without a kernel count as 32 bits.
    """

    bits: int
    parameters: int
    macc: int


@dataclass(frozen=True)
class Totals:
    """Sums over the network; bytes, shares in percent of the target's flash and RAM."""

    macc: int
    parameters: int
    weights_bytes: int
    activations_bytes: int
    io_bytes: int
    flash_bytes: int  # the weights: a program's code is not counted but by tflm, which counts the file and code
    ram_bytes: int  # activations, and the input/output buffers where they lie outside
    # Of the RAM, where the tool's own plan is not known to the byte: what none goes below, and what it stays below.
    ram_least_bytes: int | None
    ram_most_bytes: int | None
    target_flash_share: float
    target_ram_share: float
    fits: bool | None  # None: not known, for a layer is not counted, or the RAM may be more
    published_rule_bytes: int  # see memory.published_rule_bytes


@dataclass(frozen=True)
class Held:
    """What the weights take in the model's file, and which layers make the difference to the flash."""

    bytes: int
    expanded: tuple[str, ...]  # with 8-bit weights that the tool expands to float32, for they compute in float
    sparse: tuple[str, ...]  # without the zeros in the file, counted with them


@dataclass(frozen=True, repr=False)
class Profile(Result):
    """The report on one network, under one precision plan, for one target."""

    name: str
    target: Target
    accounting: str
    planner: str  # the rule behind activations_bytes
    buffers_inside: bool  # whether activations_bytes holds the network's inputs and outputs
    peak: str  # the step during which the activations need most
    totals: Totals
    rows: tuple[Row, ...]
    assumed: tuple[str, ...]  # activations whose MACC is an assumption, not read off a report
    not_costed: tuple[str, ...]  # layers without a rule: the totals leave them out
    widths: tuple[Width, ...]  # the widest first
    lifetimes: tuple[Lifetime, ...]  # where each tensor lies in the arena, and from which row to which
    plans: tuple[tuple[str, int], ...]  # for a float network: (plan, flash in bytes under it)
    stored_wider: tuple[tuple[str, str, str], ...] = ()  # of an image: layer, its format, the wider one it is stored in
    no_image: str = ""  # why figures that should be those of an image of our own are not
    file: Held | None = None  # what the weights take in the model's file, where that is another figure
    narrows: bool = True  # whether the plan "hybrid" makes a layer binary here
    tflm: Tflm | None = None  # what TensorFlow Lite for Microcontrollers takes, where it was the accounting

    @property
    def dominant(self) -> tuple[tuple[str, ...], float]:
        """The fewest layers that hold 80 % of the flash or more, and the percentage that they hold."""
        names: list[str] = []
        share = 0.0
        for row in sorted(self.rows, key=lambda row: -row.flash_share):
            if share >= DOMINANT or not row.weights_bytes:
                break
            names.append(row.name)
            share += row.flash_share
        return tuple(names), share

    @property
    def limits(self) -> tuple[Limit, ...]:
        """The target's limits, with what the network needs of each."""
        return self.target.limits(self.totals.flash_bytes, self.totals.ram_bytes, self.totals.macc)

    @property
    def exceeded(self) -> tuple[Limit, ...]:
        """The limits that the network breaks."""
        return tuple(limit for limit in self.limits if limit.exceeded)
