"""The memory report: one row for each step of the network, the totals, and whether it fits the board."""

from __future__ import annotations

import glob
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from hybridq.arena.planners import Lifetime
from hybridq.graph.keras.layers import Shape
from hybridq.graph.reader import Graph, Operator, read_graph
from hybridq.precision import LayerPrecision, Precision, PrecisionPlan
from hybridq.profiler import accounting as rules
from hybridq.profiler import estimates, targets
from hybridq.profiler.accounting import Accounting
from hybridq.profiler.count import arena, macc, memory
from hybridq.profiler.count.merge import Step, merge, precision_of
from hybridq.profiler.render.table import Printed, Sheet

if TYPE_CHECKING:
    from hybridq.integer.network import IntegerNetwork

SCHEMA = 1
DOMINANT = 80.0  # percent of the flash that the layers named as dominant hold together


@dataclass(frozen=True)
class Row:
    """One step of the network: a layer with what runs inside it. Shares are in percent of the network."""

    name: str
    kind: str
    merged: tuple[str, ...]  # the other operators that run in it
    marks: tuple[str, ...]  # "pool", "norm": the ones of them that matter to the figures
    input_shapes: tuple[Shape, ...]  # without the batch, as all shapes
    output_shape: Shape
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
    flash_bytes: int  # the weights: a program's code is not counted
    ram_bytes: int  # activations, and the input/output buffers where they lie outside
    target_flash_share: float
    target_ram_share: float
    fits: bool
    published_rule_bytes: int  # see memory.published_rule_bytes


@dataclass(frozen=True, repr=False)
class Profile(Printed):
    """The report on one network, under one precision plan, for one target."""

    name: str
    target: targets.Target
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
    no_image: str = ""  # why figures that should be those of an image of our own are not

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
    def limits(self) -> tuple[targets.Limit, ...]:
        """The target's limits, with what the network needs of each."""
        return self.target.limits(self.totals.flash_bytes, self.totals.ram_bytes, self.totals.macc)

    @property
    def exceeded(self) -> tuple[targets.Limit, ...]:
        """The limits that the network breaks."""
        return tuple(limit for limit in self.limits if limit.exceeded)

    @property
    def estimates(self) -> dict[str, estimates.Estimate | None]:
        """Time and energy of one inference, where there are measurements to estimate them from."""
        return {"Time": estimates.latency(self.rows, self.target), "Energy": estimates.energy(self.rows, self.target)}

    def to_json(self) -> dict[str, Any]:
        """Plain data; a figure that is not known is None, never zero."""
        return {
            "schema": SCHEMA,
            "name": self.name,
            "target": asdict(self.target),
            "accounting": self.accounting,
            "no_image": self.no_image or None,
            "planner": self.planner,
            "io_in_activations": self.buffers_inside,
            "peak": self.peak,
            "totals": asdict(self.totals),
            "exceeded": [limit._asdict() for limit in self.exceeded],
            "layers": [_plain(row) for row in self.rows],
            "dominant": {"layers": list(self.dominant[0]), "flash_share": self.dominant[1]},
            "assumed": list(self.assumed),
            "not_costed": list(self.not_costed),
            "plans": dict(self.plans),
            "widths": [asdict(width) for width in self.widths],
            "lifetimes": [one._asdict() for one in self.lifetimes],
            "estimates": {name: found.to_json() if found else None for name, found in self.estimates.items()},
        }

    def sheet(self) -> Sheet:
        """The table of the layers and what it says, in words."""
        from hybridq.profiler.render.words import sheet

        return sheet(self)

    def records(self) -> list[Sequence[Any]]:
        """A line a layer."""
        from hybridq.profiler.render.words import records

        return records(self)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from hybridq.profiler.render.html import report

        return report(self)


def profile(
    model: Any,
    target: str | targets.Target = targets.DEFAULT_TARGET,
    plan: PrecisionPlan | None = None,
    accounting: str | Accounting = rules.NAME,
    trained: IntegerNetwork | None = None,
) -> Profile:
    """Report on a Keras model, the path of a model file or a Graph.

    With a plan the weights count as it says; without one as the model's own quantizers say (float32 for Keras
    layers). `trained`: the model's integer network, of whose weights an image leaves the pruned ones out; without
    it all count. Raises UserError for an unreadable model, an unknown target or a plan's pattern that matches no
    layer.
    """
    board = target if isinstance(target, targets.Target) else targets.target(target)
    graph = read_graph(model)
    if plan:
        plan.check((op.name for op in graph.weighted), (op.name for op in graph.operators))
    counted = accounting if isinstance(accounting, Accounting) else rules.accounting(accounting)
    found = _counted(graph, plan, counted, trained)
    steps, shown, needed = found.steps, found.plan, found.ram
    rows = _rows(found, counted)
    return Profile(
        name=graph.name,
        target=board,
        accounting=counted.label,
        planner=needed.planner,
        buffers_inside=needed.buffers_inside,
        peak=needed.peak,
        widths=_widths(steps, shown, rows),
        lifetimes=needed.lifetimes,
        totals=_totals(graph, plan, rows, needed, board),
        rows=rows,
        assumed=tuple(sorted({name for op in _operators(steps) if (name := macc.assumed(op))})),
        not_costed=tuple(filter(None, map(macc.not_costed, _operators(steps)))),
        plans=_plans(graph, rows, counted),
        no_image=found.no_image,
    )


def standard_plans(graph: Graph) -> dict[str, PrecisionPlan]:
    """The plans worth a first look: "int8", all kernels; "hybrid", the dense ones but the last binary."""
    names = [op.name for op in graph.weighted]
    binary = [op.name for op in graph.weighted if op.kind == "Dense"][:-1]
    int8 = {glob.escape(name): Precision.INT8.value for name in names}
    plans = {"int8": int8, "hybrid": int8 | {glob.escape(name): Precision.BINARY.value for name in binary}}
    return {label: PrecisionPlan.from_data(data) for label, data in plans.items()}


@dataclass(frozen=True)
class _Counted:
    """What an accounting makes of a network: its steps, their flash and the RAM."""

    steps: tuple[Step, ...]
    plan: PrecisionPlan | None  # that the steps are counted by; None: their own precisions
    sizes: tuple[int, ...]
    ram: arena.Ram
    no_image: str = ""


def _counted(
    graph: Graph, plan: PrecisionPlan | None, counted: Accounting, trained: IntegerNetwork | None = None
) -> _Counted:
    why = ""
    if counted.own:
        from hybridq.profiler.packed import image_of

        image = image_of(graph, plan, trained)
        if not isinstance(image, str):
            return _Counted(image.steps, None, image.sizes, image.ram())
        why = image
    steps = merge(graph, counted, plan)
    sizes = memory.weights_bytes(steps, plan, counted)
    return _Counted(steps, plan, sizes, arena.ram(graph, steps, plan, counted), why)


def _operators(steps: tuple[Step, ...]) -> list[Operator]:
    return [op for step in steps for op in step.operators]


def _rows(found: _Counted, counted: Accounting) -> tuple[Row, ...]:
    steps, plan, sizes = found.steps, found.plan, found.sizes
    maccs = [macc.step_macc(step, counted) for step in steps]
    flash = [size if step.operator.known else None for step, size in zip(steps, sizes, strict=True)]
    all_macc, all_flash = sum(filter(None, maccs)), sum(filter(None, flash))
    return tuple(
        Row(
            name=step.name,
            kind=step.operator.kind,
            merged=tuple(op.name for op in step.operators if op is not step.operator),
            marks=("pool",) * bool(step.pool) + ("norm",) * bool(step.folded),
            input_shapes=step.operators[0].input_shapes,
            output_shape=step.map_shape,
            precision=_precision(step, plan),
            parameters=memory.parameters(step) if step.operator.known else None,
            weights_bytes=size,
            macc=count,
            macc_share=_percent(count or 0, all_macc),
            flash_share=_percent(size or 0, all_flash),
        )
        for step, count, size in zip(steps, maccs, flash, strict=True)
    )


def _precision(step: Step, plan: PrecisionPlan | None) -> LayerPrecision | None:
    if not step.operator.kernel:
        return None
    said = precision_of(step.operator, plan)
    return LayerPrecision(said.weights, said.bias, arena.step_outputs(step, plan))


def _totals(
    graph: Graph, plan: PrecisionPlan | None, rows: tuple[Row, ...], needed: arena.Ram, board: targets.Target
) -> Totals:
    flash, count = sum(row.weights_bytes or 0 for row in rows), sum(row.macc or 0 for row in rows)
    used = needed.total
    return Totals(
        macc=count,
        parameters=sum(row.parameters or 0 for row in rows),
        weights_bytes=flash,
        activations_bytes=needed.activations,
        io_bytes=needed.buffers,
        flash_bytes=flash,
        ram_bytes=used,
        target_flash_share=_percent(flash, board.flash_bytes),
        target_ram_share=_percent(used, board.ram_bytes),
        fits=not any(limit.exceeded for limit in board.limits(flash, used, count)),
        published_rule_bytes=memory.published_rule_bytes(graph, plan),
    )


def _widths(steps: tuple[Step, ...], plan: PrecisionPlan | None, rows: tuple[Row, ...]) -> tuple[Width, ...]:
    parameters: Counter[int] = Counter()
    maccs: Counter[int] = Counter()
    for step, row in zip(steps, rows, strict=True):
        if step.operator.known:
            parameters += memory.parameters_by_width(step, plan)
        maccs[row.precision.weights.bits if row.precision else Precision.FLOAT32.bits] += row.macc or 0
    found = sorted({bits for bits in parameters | maccs if parameters[bits] or maccs[bits]}, reverse=True)
    return tuple(Width(bits, parameters[bits], maccs[bits]) for bits in found)


def _plans(graph: Graph, rows: tuple[Row, ...], counted: Accounting) -> tuple[tuple[str, int], ...]:
    """Flash under the standard plans, where all weights are still float."""
    if any(row.precision and row.precision.weights is not Precision.FLOAT32 for row in rows):
        return ()
    return tuple(
        (label, sum(memory.weights_bytes(merge(graph, counted, plan), plan, counted)))
        for label, plan in standard_plans(graph).items()
        if any(row.precision for row in rows)
    )


def _percent(part: int, whole: int) -> float:
    return 100.0 * part / whole if whole else 0.0


def _plain(row: Row) -> dict[str, Any]:
    precision = row.precision
    return asdict(row) | {
        "merged": list(row.merged),
        "marks": list(row.marks),
        "input_shapes": [list(shape) for shape in row.input_shapes],
        "output_shape": list(row.output_shape),
        "precision": {part: str(getattr(precision, part)) for part in ("weights", "bias", "outputs")}
        if precision
        else None,
    }
