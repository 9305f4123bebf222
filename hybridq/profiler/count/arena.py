"""RAM of a network: the activation arena, by the rules that X-CUBE-AI's published reports follow.

The tool plans in advance where each tensor lies. A step may write over what it reads, where each value is read before
its place is written: `overlap`. What a step holds besides its tensors is in `scratch`, the planner in `planners`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from typing import NamedTuple

from hybridq.arena.planners import Layout, Lifetime, overlapped, scratch_name
from hybridq.formats import Format
from hybridq.graph.reader import Graph, Operator
from hybridq.precision import PrecisionPlan
from hybridq.profiler.accounting import NEWEST, Accounting
from hybridq.profiler.count.memory import packed
from hybridq.profiler.count.merge import Step, is_int8, merge, outputs_of, precision_of
from hybridq.profiler.count.overlap import overlap, written_over
from hybridq.profiler.count.scratch import pads_apart, scratch

BRANCHING = "first fit (this network branches: not exact for X-CUBE-AI)"
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

    @property
    def total(self) -> int:
        """Bytes in all."""
        return self.activations + (0 if self.buffers_inside else self.buffers)


class _Needs(NamedTuple):
    """What a step needs of the arena, in bytes."""

    result: int  # 0 outside the arena
    scratch: int
    overlap: int | None  # see `overlap.overlap`
    scratch_above: bool  # above its input and its result, where it writes over the input; False: anywhere


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
    layout = _layout(graph, runs, tensors, plan, rules)
    # What a recurrent layer keeps until the next run lies above all else.
    states = list(_states(steps, tensors))
    tops = itertools.accumulate((size for _, size in states), initial=layout.bytes)
    last = max(len(steps) - 1, 0)
    kept = [Lifetime(name, 0, last, at, size) for (name, size), at in zip(states, tops, strict=False)]
    return Ram(
        activations=layout.bytes + sum(size for _, size in states),
        buffers=sum(tensors[name].bytes for name in ends),
        buffers_inside=rules.buffers_inside,
        peak=steps[rows[layout.peak]].name if steps else "",
        planner=rules.label if _is_chain(graph, steps) else BRANCHING,
        lifetimes=(*(one._replace(first=rows[one.first], last=rows[one.last]) for one in layout.lifetimes), *kept),
    )


def step_outputs(step: Step, plan: PrecisionPlan | None) -> Format:
    """The precision of a step's result: that of the last operator in it that names one."""
    named = [precision_of(op, plan).outputs for op in step.operators]
    return next((precision for precision in reversed(named) if precision is not Format.FLOAT32), Format.FLOAT32)


def _layout(
    graph: Graph,
    steps: tuple[Step, ...],
    tensors: Mapping[str, _Tensor],
    plan: PrecisionPlan | None,
    rules: Accounting,
) -> Layout:
    """The arena, without the states that are kept between runs."""
    unit = 1 if rules.own else ALIGNMENT
    # What an 8-bit convolution reads with three channels has a byte more: 3,073 for 32 x 32 pixels in three networks.
    read = {step.inputs[0] for step in steps if _reads_beyond(step, plan) and not rules.own}
    sizes = {name: tensor.bytes + (name in read) for name, tensor in tensors.items()}
    inside = {name: 0 if tensor.outside else _rounded(sizes[name], unit) for name, tensor in tensors.items()}
    needs = []
    for step in steps:
        above = overlap(step, inside[step.inputs[0]], inside[step.name], plan, rules) if step.inputs else None
        needs.append(
            _Needs(
                inside[step.name],
                _rounded(_held(step, tensors[step.name], plan, rules), unit),
                above if above is None else _rounded(above, unit),
                is_int8(step.operator, precision_of(step.operator, plan)),
            )
        )
    choices = [i for i, need in enumerate(needs) if need.overlap is not None]
    return overlapped(partial(_groups, graph, steps, inside, needs), choices, len(steps))


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
        tensors[step.name] = _Tensor(stored, size, step.name in outside)
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
    return half + _layout(inside, steps, _tensors(inside, steps, plan, apart), plan, apart).bytes


def _states(steps: Iterable[Step], tensors: Mapping[str, _Tensor]) -> Iterable[tuple[str, int]]:
    """What is kept from one run of the network to the next: the states of stateful recurrent layers, in bytes."""
    for step in steps:
        count = sum(map(_kept, step.operators))
        if count:
            yield f"{step.name} (state)", packed(count, tensors[step.name].precision)


def _kept(op: Operator) -> int:
    inside = op.attributes.get("inside")
    if isinstance(inside, Graph):
        return sum(map(_kept, inside.operators))
    return int(op.attributes.get("state", 0)) if op.attributes.get("stateful") else 0


# --------------------------------------------------------------------------------------------- lifetimes


def _groups(
    graph: Graph,
    steps: tuple[Step, ...],
    inside: Mapping[str, int],
    needs: Sequence[_Needs],
    taken: frozenset[int],
) -> list[list[Lifetime]]:
    """Tensors with their lifetimes, together with those written over them, and the scratch of each step; in order.

    A network input is there from the start, an output to the end. `taken` are the steps that write over their input
    of those that have the choice.
    """
    leaving = outputs_of(graph, steps) | frozenset(graph.outputs)
    end = max(len(steps) - 1, 0)
    last = {name: i for i, step in enumerate(steps) for name in (step.name, *step.inputs)}
    last |= {name: end for name in leaving if name in inside}
    group_of = {name: [Lifetime(name, 0, last.get(name, 0), 0, inside[name])] for name in _starts(graph)}
    placed = {name: group[0] for name, group in group_of.items()}
    groups = list(group_of.values())
    for i, (step, need) in enumerate(zip(steps, needs, strict=True)):
        dying = [name for name in step.inputs if last[name] == i and name not in leaving]
        lag = need.overlap if i in taken and step.inputs[0] in dying else None
        under = step.inputs[0] if lag is not None else written_over(step, inside, dying)
        own = Lifetime(step.name, i, last[step.name], placed[under].offset - (lag or 0) if under else 0, need.result)
        work = Lifetime(scratch_name(step.name), i, i, 0, need.scratch)
        if lag and need.scratch_above:
            group_of[under].append(work._replace(offset=max(placed[under].end, own.end)))
        else:
            groups.append([work])
        placed[step.name] = own
        group_of[step.name] = group_of[under] if under else []
        group_of[step.name].append(own)
        if not under:
            groups.append(group_of[step.name])
    return groups
