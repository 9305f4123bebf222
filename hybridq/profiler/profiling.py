"""From a network to its memory report: what it would cost on a board under one precision plan."""

from __future__ import annotations

import glob
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hybridq.errors import UserError, did_you_mean
from hybridq.formats import Format
from hybridq.graph.inputs import InputShapes
from hybridq.graph.operators import FILE_BYTES
from hybridq.graph.reader import Graph, read_graph
from hybridq.precision import LayerPrecision, PrecisionPlan
from hybridq.profiler import targets
from hybridq.profiler.accounting import NAME, Accounting
from hybridq.profiler.accounting import accounting as accounting_named
from hybridq.profiler.count import arena, macc, memory
from hybridq.profiler.count.merge import Step, merge, planned, precision_of
from hybridq.profiler.report import Held, Profile, Row, Totals, Width
from hybridq.quantization.decomposition import check_names

INT8 = Format.INT8

if TYPE_CHECKING:
    from hybridq.integer.network import IntegerNetwork
    from hybridq.profiler.tflm.cost import Tflm


def profile(
    model: Any,
    target: str | targets.Target = targets.DEFAULT_TARGET,
    plan: PrecisionPlan | Mapping[str, Any] | str | None = None,
    accounting: str | Accounting = NAME,
    trained: IntegerNetwork | None = None,
    input_shape: Sequence[int] | Mapping[str, Sequence[int]] | None = None,
) -> Profile:
    """Report on a Keras model, the path of a model file or a Graph, for a board of `targets.TARGETS`, or one's own.

    With a plan, which may be plain data as in a recipe or the name of a standard one, the weights count as it says;
    without one as the model's own quantizers say (float32 for Keras layers). They count by the rules of `accounting`,
    which `accounting.accounting` names. `trained`: the model's integer network, of whose weights an image leaves the
    pruned ones out; without it all count. `input_shape` is the shape, without the batch, of an input that the model
    leaves open, such as (96, 96, 3); of several inputs, by their names. Raises UserError for an unreadable model, an
    input that stays open, an unknown target or accounting, or a plan's pattern that matches no layer.
    """
    board = target if isinstance(target, targets.Target) else targets.target(target)
    graph = read_graph(model, InputShapes.of_any(input_shape))
    wanted = None if plan is None else plan_of(plan, graph)
    if wanted:
        check_names(graph, wanted)
    rules = accounting if isinstance(accounting, Accounting) else accounting_named(accounting)
    counted = _counted(graph, wanted, rules, board, trained)
    rows, ram = _rows(counted, rules), counted.ram
    operators = [op for step in counted.steps for op in step.operators]
    missing = (*filter(None, map(macc.not_costed, operators)), *(counted.tflm.uncounted if counted.tflm else ()))
    return Profile(
        name=graph.name,
        target=board,
        accounting=rules.label,
        planner=ram.planner,
        buffers_inside=ram.buffers_inside,
        peak=ram.peak,
        totals=_totals(graph, wanted, rows, counted, board, missing),
        rows=rows,
        assumed=tuple(sorted({name for op in operators if (name := macc.assumed(op))})),
        not_costed=missing,
        widths=_widths(counted, rows),
        lifetimes=ram.lifetimes,
        plans=_plans(graph, rows, rules),
        stored_wider=counted.stored_wider,
        no_image=counted.no_image,
        file=_held(counted, rows) if wanted is None else None,
        narrows=bool(dense_but_last(graph)),
        tflm=counted.tflm,
    )


def plan_of(plan: PrecisionPlan | Mapping[str, Any] | str, graph: Graph) -> PrecisionPlan:
    """A plan of plain data, or the standard one of that name for a network. Raises UserError for what is neither."""
    if not isinstance(plan, str):
        return PrecisionPlan.of_any(plan)
    standard = standard_plans(graph)
    if plan not in standard:
        raise UserError(f"plan: {plan!r} is none of {', '.join(standard)}{did_you_mean(plan, standard)}")
    return standard[plan]


def standard_plans(graph: Graph) -> dict[str, PrecisionPlan]:
    """The plans worth a first look; none makes a layer wider than it is.

    "int8": all kernels, and all tensors, inputs too; "int8-weights": the kernels alone; "hybrid": these, and the
    dense ones but the last binary.
    """
    own = {op.name: op.precision or LayerPrecision() for op in graph.operators}
    int8 = {glob.escape(op.name): {"weights": INT8} for op in graph.weighted if own[op.name].weights.bits > INT8.bits}
    starts = [op.name for op in graph.operators if op.kind == "InputLayer"]
    tensors = {name: {"outputs": INT8} for name in ("*", *map(glob.escape, starts))}
    narrower = {glob.escape(name): {"outputs": p.outputs} for name, p in own.items() if p.outputs.bits < INT8.bits}
    binary = {glob.escape(name): {"weights": Format.BINARY} for name in dense_but_last(graph)}
    plans = {
        "int8": tensors | {name: narrower.get(name, {}) | int8.get(name, {}) for name in narrower | int8},
        "int8-weights": int8,
        "hybrid": int8 | binary,
    }
    return {label: PrecisionPlan.from_data(data) for label, data in plans.items()}


def dense_but_last(graph: Graph) -> list[str]:
    """The dense layers that the plan "hybrid" makes binary; of those that are so already, none."""
    dense = [op for op in graph.weighted if op.kind == "Dense"][:-1]
    return [op.name for op in dense if (op.precision or LayerPrecision()).weights is not Format.BINARY]


@dataclass(frozen=True)
class _Counted:
    """What an accounting makes of a network: its steps, their flash and the RAM."""

    steps: tuple[Step, ...]
    plan: PrecisionPlan | None  # that the steps are counted by; None: their own precisions
    sizes: tuple[int, ...]  # bytes of flash of each step
    ram: arena.Ram
    stored_wider: tuple[tuple[str, str, str], ...] = ()  # see Profile
    no_image: str = ""  # why it is not an image of our own, where that was asked for
    tflm: Tflm | None = None  # what TensorFlow Lite for Microcontrollers takes, where that was asked for


def _counted(
    graph: Graph,
    plan: PrecisionPlan | None,
    rules: Accounting,
    board: targets.Target,
    trained: IntegerNetwork | None = None,
) -> _Counted:
    no_image = ""
    if rules.tflm:
        return _counted_by_tflm(graph, plan, board)
    if rules.own:
        from hybridq.profiler.packed import image_of

        image = image_of(graph, plan, trained)
        if not isinstance(image, str):
            return _Counted(image.steps, None, image.sizes, image.ram(), image.stored_wider)
        no_image = image
    graph = planned(graph, plan)
    steps = merge(graph, rules, plan)
    sizes = memory.weights_bytes(steps, plan, rules)
    return _Counted(steps, plan, sizes, arena.ram(graph, steps, plan, rules), no_image=no_image)


def _counted_by_tflm(graph: Graph, plan: PrecisionPlan | None, board: targets.Target) -> _Counted:
    """The file as it is: each operator a step, with what the file stores for it."""
    from hybridq.profiler.tflm.cost import cost

    if plan:
        raise UserError("the accounting tflm counts a .tflite file as it is: no plan makes its weights narrower")
    tflm = cost(graph, board.core)
    steps = tuple(Step(op, op.inputs) for op in graph.operators if op.kind != "InputLayer")
    sizes = tuple(tflm.stored.get(step.name, 0) for step in steps)
    return _Counted(steps, None, sizes, tflm.ram(steps), tflm=tflm)


def _rows(counted: _Counted, rules: Accounting) -> tuple[Row, ...]:
    steps = counted.steps
    maccs = [macc.step_macc(step, rules) for step in steps]
    flash = [size if step.operator.counted else None for step, size in zip(steps, counted.sizes, strict=True)]
    all_macc, all_flash = sum(filter(None, maccs)), sum(filter(None, flash))
    return tuple(
        Row(
            name=step.name,
            kind=step.operator.kind,
            merged=tuple(op.name for op in step.operators if op is not step.operator),
            marks=("pool",) * bool(step.pool) + ("norm",) * bool(step.folded),
            input_shapes=step.operators[0].input_shapes,
            output_shape=step.map_shape,
            kernel=tuple(step.operator.attributes.get("kernel", ())),
            precision=_precision(step, counted.plan),
            parameters=memory.parameters(step) if step.operator.counted else None,
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
    return LayerPrecision(memory.stored_as(step.operator, plan), own.bias, arena.step_outputs(step, plan))


def _held(counted: _Counted, rows: tuple[Row, ...]) -> Held | None:
    """What the file holds, where that is not what is counted."""
    ops = [step.operator for step in counted.steps]
    here = [op for op in ops if FILE_BYTES in op.attributes]
    if not here:
        return None
    other = sum(op.attributes[FILE_BYTES] - memory.operator_bytes(op) for op in here)
    expanded = {op.name for op in here if memory.is_expanded(op)}
    sparse = tuple(op.name for op in here if op.name not in expanded)
    return Held(
        sum(row.weights_bytes or 0 for row in rows) + other,
        tuple(op.name for op in here if op.name in expanded),
        sparse,
    )


def _totals(
    graph: Graph,
    plan: PrecisionPlan | None,
    rows: tuple[Row, ...],
    counted: _Counted,
    board: targets.Target,
    missing: tuple[str, ...],
) -> Totals:
    """`missing`: the layers that are not counted."""
    weights, count, ram = sum(row.weights_bytes or 0 for row in rows), sum(row.macc or 0 for row in rows), counted.ram
    flash = counted.tflm.flash_bytes if counted.tflm else weights
    exceeded, may_exceed = (
        any(limit.exceeded for limit in board.limits(flash, size, count)) for size in (ram.total, ram.most or 0)
    )
    if counted.tflm:  # its figures do not rest on those of the layers
        exceeded, missing = exceeded or bool(counted.tflm.refused), counted.tflm.uncounted
    return Totals(
        macc=count,
        parameters=sum(row.parameters or 0 for row in rows),
        weights_bytes=weights,
        activations_bytes=ram.activations,
        io_bytes=ram.buffers,
        flash_bytes=flash,
        ram_bytes=ram.total,
        ram_least_bytes=ram.least,
        ram_most_bytes=ram.most,
        target_flash_share=_percent(flash, board.flash_bytes),
        target_ram_share=_percent(ram.total, board.ram_bytes),
        fits=False if exceeded else not (missing or may_exceed) or None,
        published_rule_bytes=memory.published_rule_bytes(graph, plan),
    )


def _widths(counted: _Counted, rows: tuple[Row, ...]) -> tuple[Width, ...]:
    parameters: Counter[int] = Counter()
    maccs: Counter[int] = Counter()
    for step, row in zip(counted.steps, rows, strict=True):
        if step.operator.counted:
            parameters += memory.parameters_by_width(step, counted.plan)
        maccs[row.precision.weights.bits if row.precision else Format.FLOAT32.bits] += row.macc or 0
    widths = sorted({bits for bits in parameters | maccs if parameters[bits] or maccs[bits]}, reverse=True)
    return tuple(Width(bits, parameters[bits], maccs[bits]) for bits in widths)


def _plans(graph: Graph, rows: tuple[Row, ...], rules: Accounting) -> tuple[tuple[str, int], ...]:
    """Flash under the standard plans that differ in it, where all weights are still float."""
    weights = {row.precision.weights for row in rows if row.precision}
    if rules.tflm or weights != {Format.FLOAT32}:
        return ()
    standard, differ = standard_plans(graph), ("int8", "hybrid") if dense_but_last(graph) else ("int8",)
    return tuple(
        (label, sum(memory.weights_bytes(merge(graph, rules, standard[label]), standard[label], rules)))
        for label in differ
    )


def _percent(part: int, whole: int) -> float:
    return 100.0 * part / whole if whole else 0.0
