"""From a network to its memory report: what it would cost on a board under one precision plan."""

from __future__ import annotations

import glob
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hybridq.formats import Format
from hybridq.graph.reader import Graph, read_graph
from hybridq.precision import LayerPrecision, PrecisionPlan
from hybridq.profiler import targets
from hybridq.profiler.accounting import NAME, Accounting
from hybridq.profiler.accounting import accounting as accounting_named
from hybridq.profiler.count import arena, macc, memory
from hybridq.profiler.count.merge import Step, merge, precision_of
from hybridq.profiler.report import Profile, Row, Totals, Width

if TYPE_CHECKING:
    from hybridq.integer.network import IntegerNetwork


def profile(
    model: Any,
    target: str | targets.Target = targets.DEFAULT_TARGET,
    plan: PrecisionPlan | None = None,
    accounting: str | Accounting = NAME,
    trained: IntegerNetwork | None = None,
) -> Profile:
    """Report on a Keras model, the path of a model file or a Graph, for a board of `targets.TARGETS`, or one's own.

    With a plan the weights count as it says; without one as the model's own quantizers say (float32 for Keras
    layers). They count by the rules of `accounting`, which `accounting.accounting` names. `trained`: the model's
    integer network, of whose weights an image leaves the pruned ones out; without it all count. Raises UserError for
    an unreadable model, an unknown target or accounting, or a plan's pattern that matches no layer.
    """
    board = target if isinstance(target, targets.Target) else targets.target(target)
    graph = read_graph(model)
    if plan:
        plan.check((op.name for op in graph.weighted), (op.name for op in graph.operators))
    rules = accounting if isinstance(accounting, Accounting) else accounting_named(accounting)
    counted = _counted(graph, plan, rules, trained)
    rows, ram = _rows(counted, rules), counted.ram
    operators = [op for step in counted.steps for op in step.operators]
    return Profile(
        name=graph.name,
        target=board,
        accounting=rules.label,
        planner=ram.planner,
        buffers_inside=ram.buffers_inside,
        peak=ram.peak,
        totals=_totals(graph, plan, rows, ram, board),
        rows=rows,
        assumed=tuple(sorted({name for op in operators if (name := macc.assumed(op))})),
        not_costed=tuple(filter(None, map(macc.not_costed, operators))),
        widths=_widths(counted, rows),
        lifetimes=ram.lifetimes,
        plans=_plans(graph, rows, rules),
        stored_wider=counted.stored_wider,
        no_image=counted.no_image,
    )


def standard_plans(graph: Graph) -> dict[str, PrecisionPlan]:
    """The plans worth a first look: "int8", all kernels; "hybrid", the dense ones but the last binary."""
    names = [op.name for op in graph.weighted]
    binary = [op.name for op in graph.weighted if op.kind == "Dense"][:-1]
    int8 = {glob.escape(name): Format.INT8.value for name in names}
    plans = {"int8": int8, "hybrid": int8 | {glob.escape(name): Format.BINARY.value for name in binary}}
    return {label: PrecisionPlan.from_data(data) for label, data in plans.items()}


@dataclass(frozen=True)
class _Counted:
    """What an accounting makes of a network: its steps, their flash and the RAM."""

    steps: tuple[Step, ...]
    plan: PrecisionPlan | None  # that the steps are counted by; None: their own precisions
    sizes: tuple[int, ...]  # bytes of flash of each step
    ram: arena.Ram
    stored_wider: tuple[tuple[str, str, str], ...] = ()  # see Profile
    no_image: str = ""  # why it is not an image of our own, where that was asked for


def _counted(
    graph: Graph, plan: PrecisionPlan | None, rules: Accounting, trained: IntegerNetwork | None = None
) -> _Counted:
    no_image = ""
    if rules.own:
        from hybridq.profiler.packed import image_of

        image = image_of(graph, plan, trained)
        if not isinstance(image, str):
            return _Counted(image.steps, None, image.sizes, image.ram(), image.stored_wider)
        no_image = image
    steps = merge(graph, rules, plan)
    sizes = memory.weights_bytes(steps, plan, rules)
    return _Counted(steps, plan, sizes, arena.ram(graph, steps, plan, rules), no_image=no_image)


def _rows(counted: _Counted, rules: Accounting) -> tuple[Row, ...]:
    steps = counted.steps
    maccs = [macc.step_macc(step, rules) for step in steps]
    flash = [size if step.operator.known else None for step, size in zip(steps, counted.sizes, strict=True)]
    all_macc, all_flash = sum(filter(None, maccs)), sum(filter(None, flash))
    return tuple(
        Row(
            name=step.name,
            kind=step.operator.kind,
            merged=tuple(op.name for op in step.operators if op is not step.operator),
            marks=("pool",) * bool(step.pool) + ("norm",) * bool(step.folded),
            input_shapes=step.operators[0].input_shapes,
            output_shape=step.map_shape,
            precision=_precision(step, counted.plan),
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
    own = precision_of(step.operator, plan)
    return LayerPrecision(own.weights, own.bias, arena.step_outputs(step, plan))


def _totals(
    graph: Graph, plan: PrecisionPlan | None, rows: tuple[Row, ...], ram: arena.Ram, board: targets.Target
) -> Totals:
    flash, count = sum(row.weights_bytes or 0 for row in rows), sum(row.macc or 0 for row in rows)
    return Totals(
        macc=count,
        parameters=sum(row.parameters or 0 for row in rows),
        weights_bytes=flash,
        activations_bytes=ram.activations,
        io_bytes=ram.buffers,
        flash_bytes=flash,
        ram_bytes=ram.total,
        target_flash_share=_percent(flash, board.flash_bytes),
        target_ram_share=_percent(ram.total, board.ram_bytes),
        fits=not any(limit.exceeded for limit in board.limits(flash, ram.total, count)),
        published_rule_bytes=memory.published_rule_bytes(graph, plan),
    )


def _widths(counted: _Counted, rows: tuple[Row, ...]) -> tuple[Width, ...]:
    parameters: Counter[int] = Counter()
    maccs: Counter[int] = Counter()
    for step, row in zip(counted.steps, rows, strict=True):
        if step.operator.known:
            parameters += memory.parameters_by_width(step, counted.plan)
        maccs[row.precision.weights.bits if row.precision else Format.FLOAT32.bits] += row.macc or 0
    widths = sorted({bits for bits in parameters | maccs if parameters[bits] or maccs[bits]}, reverse=True)
    return tuple(Width(bits, parameters[bits], maccs[bits]) for bits in widths)


def _plans(graph: Graph, rows: tuple[Row, ...], rules: Accounting) -> tuple[tuple[str, int], ...]:
    """Flash under the standard plans, where all weights are still float."""
    if any(row.precision and row.precision.weights is not Format.FLOAT32 for row in rows):
        return ()
    return tuple(
        (label, sum(memory.weights_bytes(merge(graph, rules, plan), plan, rules)))
        for label, plan in standard_plans(graph).items()
        if any(row.precision for row in rows)
    )


def _percent(part: int, whole: int) -> float:
    return 100.0 * part / whole if whole else 0.0
