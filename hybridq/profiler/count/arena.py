"""RAM of a network: the activation arena, by the rules that X-CUBE-AI's published reports follow.

The tool plans in advance where each tensor lies. A step may write over what it reads, where each value is read before
its place is written: `overlap`. What a step holds besides its tensors is in `scratch`, when tensors are needed in
`lifetimes`, the planner in `hybridq.arena`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from math import prod

from hybridq.arena.choices import gradual, overlapped
from hybridq.arena.planners import Layout, Lifetime, around_fullest, first_fit, in_order, largest_first, needed
from hybridq.formats import Format
from hybridq.graph.reader import Graph, Operator
from hybridq.precision import PrecisionPlan
from hybridq.profiler.accounting import NEWEST, Accounting
from hybridq.profiler.count.lifetimes import Needs, choices, lifetimes
from hybridq.profiler.count.memory import packed
from hybridq.profiler.count.merge import Step, is_int8, merge, outputs_of, precision_of
from hybridq.profiler.count.overlap import overlap
from hybridq.profiler.count.scratch import clips, pads_apart, scratch

BRANCHING = "not exact for X-CUBE-AI: this network branches"
CLIPPED = "not exact for X-CUBE-AI: 8-bit layers of this network clip their results"
ALIGNMENT = 4  # bytes: X-CUBE-AI's arrays take a multiple


@dataclass(frozen=True)
class Ram:
    """Bytes in RAM while a network runs: the arena, and the network's inputs and outputs where they lie outside it."""

    activations: int
    buffers: int  # inputs and outputs, inside the arena or not
    buffers_inside: bool
    peak: str  # the step during which the arena is fullest; "" without steps
    planner: str
    lifetimes: tuple[Lifetime, ...] = ()  # where each tensor lies in the arena; its steps count those given
    # Where the tool's planner is not known to the byte: what no plan goes below, and what its plans stay below.
    least: int | None = None
    most: int | None = None

    @property
    def total(self) -> int:
        """Bytes in all."""
        return self.activations + (0 if self.buffers_inside else self.buffers)


@dataclass(frozen=True)
class _Tensor:
    """A network input or all that a step gives."""

    precision: Format
    bytes: int
    outside: bool  # of the arena


def ram(graph: Graph, steps: tuple[Step, ...], plan: PrecisionPlan | None = None, rules: Accounting = NEWEST) -> Ram:
    """What the network needs in RAM under a precision plan."""
    runs, rows = _runs(steps, plan, rules)
    tensors = _tensors(graph, runs, plan, rules)
    ends = _ends(graph, steps)
    arena = _arena(graph, runs, tensors, plan, rules)
    # What a recurrent layer keeps until the next run lies above all else.
    states = list(_states(steps, tensors))
    tops = itertools.accumulate((size for _, size in states), initial=arena.layout.bytes)
    last = max(len(steps) - 1, 0)
    kept = [Lifetime(name, 0, last, at, size) for (name, size), at in zip(states, tops, strict=False)]
    buffers = sum(tensors[name].bytes for name in ends)
    above = sum(size for _, size in states)
    places = (one._replace(first=rows[one.first], last=rows[one.last]) for one in arena.layout.lifetimes)
    found = Ram(
        activations=arena.layout.bytes + above,
        buffers=buffers,
        buffers_inside=rules.buffers_inside,
        peak=steps[rows[arena.layout.peak]].name if steps else "",
        planner=arena.doubt or rules.label,
        lifetimes=(*places, *kept),
    )
    if not arena.doubt or rules.own:
        return found
    outside = found.total - arena.layout.bytes
    return replace(found, least=arena.least + outside, most=arena.most + outside)


def step_outputs(step: Step, plan: PrecisionPlan | None) -> Format:
    """The precision of a step's result: that of the last operator in it that names one."""
    named = [precision_of(op, plan).outputs for op in step.operators]
    return next((precision for precision in reversed(named) if precision is not Format.FLOAT32), Format.FLOAT32)


@dataclass(frozen=True)
class _Arena:
    """The arena without the states that are kept between runs."""

    layout: Layout
    doubt: str  # why the tool's planner is not known to the byte; "" where it is
    least: int = 0  # bytes that the fullest step needs in any plan
    most: int = 0  # bytes of the plan that writes over nothing where it has the choice, with the inputs beside it


def _arena(
    graph: Graph,
    steps: tuple[Step, ...],
    tensors: Mapping[str, _Tensor],
    plan: PrecisionPlan | None,
    rules: Accounting,
) -> _Arena:
    unit = 1 if rules.own else ALIGNMENT
    # What an 8-bit convolution reads with three channels has a byte more: 3,073 for 32 x 32 pixels in three networks.
    read = {step.inputs[0] for step in steps if _reads_beyond(step, plan) and not rules.own}
    sizes = {name: tensor.bytes + (name in read) for name, tensor in tensors.items()}
    inside = {name: 0 if tensor.outside else _rounded(sizes[name], unit) for name, tensor in tensors.items()}
    clipped = {step.name for step in steps if clips(step, precision_of(step.operator, plan))}
    needs = []
    for step in steps:
        above = overlap(step, inside[step.inputs[0]], inside[step.name], plan, rules) if step.inputs else None
        needs.append(
            Needs(
                inside[step.name],
                _rounded(_held(step, tensors[step.name], plan, rules), unit),
                above if above is None else _rounded(above, unit),
                step.operator.facts.family == "requantization",
                is_int8(step.operator, precision_of(step.operator, plan)),
                rules.unclipped and step.name in clipped,
            )
        )
    groups, open_ = partial(lifetimes, graph, steps, inside, needs), choices(needs)
    branches = not _is_chain(graph, steps)
    if rules.own or not (branches or clipped):
        return _Arena(overlapped(groups, open_, len(steps)), BRANCHING if branches else "")
    whole = any(need.scratch_above for need in needs)  # of whole numbers
    if whole and ((clipped and rules.around_clipping) or (branches and rules.around_branching)):
        tries = [gradual(groups, open_, len(steps), around_fullest)]
    else:
        tries = [gradual(groups, open_, len(steps), place) for place in (first_fit, largest_first)]
        tries.append(overlapped(groups, open_, len(steps)))
    apart = in_order(groups(frozenset()), len(steps))
    return _Arena(
        layout=min(*tries, apart, key=lambda one: one.bytes),
        doubt=BRANCHING if branches else CLIPPED,
        least=max(needed(groups(frozenset(open_)), len(steps))),
        most=apart.bytes + sum(inside[name] for name in _starts(graph)),
    )


def _reads_beyond(step: Step, plan: PrecisionPlan | None) -> bool:
    op = step.operator
    return op.kind == "Conv2D" and op.input_shapes[0][-1] == 3 and is_int8(op, precision_of(op, plan))


def _rounded(count: int, unit: int) -> int:
    return -(-count // unit) * unit


def _runs(
    steps: tuple[Step, ...], plan: PrecisionPlan | None, rules: Accounting
) -> tuple[tuple[Step, ...], tuple[int, ...]]:
    """The steps, those that pad apart as two; and for each the number of the step that it is of."""
    parts: list[tuple[Step, int]] = []
    for i, step in enumerate(steps):
        op = step.operator
        if not pads_apart(op, precision_of(op, plan), rules):
            parts.append((step, i))
            continue
        pads, shape = op.attributes["pads"], op.input_shapes[0]
        padded = (*(size + 2 * max(pad) for size, pad in zip(shape, pads, strict=False)), shape[-1])
        pad = Operator(f"{op.name} (padded)", f"ZeroPadding{len(pads)}D", op.inputs, op.input_shapes, padded)
        without = {**op.attributes, "pads": ((0, 0),) * len(pads)}
        inner = replace(op, inputs=(pad.name,), input_shapes=(padded,), attributes=without)
        parts += [(Step(pad, step.inputs), i), (replace(step, operator=inner, inputs=(pad.name,)), i)]
    return tuple(step for step, _ in parts), tuple(i for _, i in parts) or (0,)


# ----------------------------------------------------------------------------------------------- tensors


def _starts(graph: Graph) -> list[str]:
    return [op.name for op in graph.operators if op.kind == "InputLayer"]


def _ends(graph: Graph, steps: tuple[Step, ...]) -> frozenset[str]:
    """The network's inputs, and the steps whose results leave it."""
    return outputs_of(graph, steps) | frozenset(_starts(graph))


def _is_chain(graph: Graph, steps: tuple[Step, ...]) -> bool:
    """Whether each step reads the one before it and nothing else, and only the last result leaves the network."""
    starts = _starts(graph)
    linked = all(step.inputs == (before,) for before, step in zip([*starts, *_names(steps)], steps, strict=False))
    left = outputs_of(graph, steps[:-1]) | (frozenset(graph.outputs) & frozenset(starts))
    return len(starts) == 1 and linked and not (steps and left)


def _names(steps: Iterable[Step]) -> list[str]:
    return [step.name for step in steps]


def _tensors(
    graph: Graph, steps: tuple[Step, ...], plan: PrecisionPlan | None, rules: Accounting
) -> dict[str, _Tensor]:
    """Each network input and what each step gives, the states of a recurrent layer that returns them included.

    What leaves a step has the precision of the last layer in it that says one; a step that only passes values
    on (batch norm, pool, activation) keeps the widest of its inputs. Network inputs are float32 but in a TFLite file.
    """
    outside = frozenset() if rules.buffers_inside else _ends(graph, steps)
    tensors: dict[str, _Tensor] = {}
    for op in graph.operators:
        if op.kind == "InputLayer":
            precision = op.precision.outputs if op.precision else Format.FLOAT32
            tensors[op.name] = _Tensor(precision, packed(prod(op.output_shape), precision), op.name in outside)
    for step in steps:
        stored = step_outputs(step, plan)
        if stored is Format.FLOAT32 and step.operator.facts.keeps_precision and step.inputs:
            stored = max((tensors[name].precision for name in step.inputs), key=lambda precision: precision.bits)
        shapes = [step.output_shape, *(shape for op in step.operators for shape in op.further_outputs)]
        size = sum(packed(prod(shape), stored) for shape in shapes if shape)
        elsewhere = step.operator.facts.family in ("assignment", "constant")  # above the arena, in flash
        tensors[step.name] = _Tensor(stored, size, step.name in outside or elsewhere)
    return tensors


def _held(step: Step, result: _Tensor, plan: PrecisionPlan | None, rules: Accounting) -> int:
    """Bytes that a step holds while it runs, besides its tensors; a wrapper holds what its layers need."""
    op = step.operator
    inside = op.attributes.get("inside")
    if not isinstance(inside, Graph):
        return scratch(step, result.precision, precision_of(op, plan), rules)
    # Its layers read from and write to the tensors around it. Halves that are merged by value need one of their own.
    apart = replace(rules, buffers_inside=False)
    merging = op.attributes.get("merge_mode") in ("sum", "mul", "ave")
    half = packed(prod(op.output_shape), result.precision) if merging else 0
    steps = merge(inside, apart, plan)
    return half + _arena(inside, steps, _tensors(inside, steps, plan, apart), plan, apart).layout.bytes


def _states(steps: Iterable[Step], tensors: Mapping[str, _Tensor]) -> Iterable[tuple[str, int]]:
    """What is kept from one run of the network to the next: the states of stateful recurrent layers, in bytes."""
    for step in steps:
        size = packed(sum(map(_kept, step.operators)), tensors[step.name].precision)
        size += sum(op.attributes.get("state_bytes", 0) for op in step.operators)
        if size:
            yield f"{step.name} (state)", size


def _kept(op: Operator) -> int:
    inside = op.attributes.get("inside")
    if isinstance(inside, Graph):
        return sum(map(_kept, inside.operators))
    return int(op.attributes.get("state", 0)) if op.attributes.get("stateful") else 0
