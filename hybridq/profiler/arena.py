"""RAM of a network: the activation arena, by the rules that X-CUBE-AI's published reports follow.

The tool plans in advance where each tensor lies. A step may write over what it reads, where each value is read before
its place is written: steps of one value for one value always may, a convolution where its input starts far enough
above its output, the `lag`.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from hybridq.graph import Graph
from hybridq.keras_layers import Shape
from hybridq.precision import Precision, PrecisionPlan
from hybridq.profiler.accounting import NEWEST, Accounting
from hybridq.profiler.memory import packed
from hybridq.profiler.merge import CONVOLUTIONS, IN_PLACE, Step, outputs_of, precision_of

BRANCHING = "sum of the live tensors (this network branches: no planner of X-CUBE-AI's is known for it)"


@dataclass(frozen=True)
class Ram:
    """Bytes in RAM while a network runs: the arena, and the network's inputs and outputs where they lie outside it."""

    activations: int
    buffers: int  # inputs and outputs, inside the arena or not
    buffers_inside: bool
    peak: str  # the step during which the arena is fullest; "" without steps
    planner: str

    @property
    def total(self) -> int:
        """Bytes in all."""
        return self.activations + (0 if self.buffers_inside else self.buffers)


def ram(graph: Graph, steps: tuple[Step, ...], plan: PrecisionPlan | None = None, rules: Accounting = NEWEST) -> Ram:
    """What the network needs in RAM under a precision plan."""
    sizes = _tensor_bytes(graph, steps, plan)
    starts = {op.name for op in graph.operators if op.kind == "InputLayer"}
    ends = outputs_of(graph, steps) | starts
    inside = {name: 0 if name in ends and not rules.buffers_inside else size for name, size in sizes.items()}
    buffers = sum(sizes[name] for name in ends)
    if _is_chain(steps, len(starts)):
        arena, peak = _arena(steps, inside, sizes, rules)
        planner = rules.label
    else:
        arena, peak = _liveness(steps, inside)
        planner = BRANCHING
    return Ram(arena, buffers, rules.buffers_inside, peak, planner)


def _tensor_bytes(graph: Graph, steps: tuple[Step, ...], plan: PrecisionPlan | None) -> dict[str, int]:
    """Bytes of each network input and each step's result.

    What leaves a step has the precision of the last layer in it that says one; a step that only passes values
    on (batch norm, pool, activation) keeps that of its input. Network inputs are float32 but in a TFLite file.
    """
    inputs = [op for op in graph.operators if op.kind == "InputLayer"]
    held = {op.name: op.precision.outputs if op.precision else Precision.FLOAT32 for op in inputs}
    sizes = {op.name: packed(prod(op.output_shape), held[op.name]) for op in inputs}
    for step in steps:
        said = step_outputs(step, plan)
        passes = said is Precision.FLOAT32 and step.operator.kind in IN_PLACE and step.inputs
        held[step.name] = held[step.inputs[0]] if passes else said
        sizes[step.name] = packed(prod(step.output_shape) if step.output_shape else 0, held[step.name])
    return sizes


def step_outputs(step: Step, plan: PrecisionPlan | None) -> Precision:
    """The precision of a step's result: that of the last operator in it that names one."""
    said = [precision_of(op, plan).outputs for op in step.operators]
    return next((precision for precision in reversed(said) if precision is not Precision.FLOAT32), Precision.FLOAT32)


def _is_chain(steps: tuple[Step, ...], inputs: int) -> bool:
    """Whether each step reads the one before it, and nothing else."""
    linked = all(step.inputs == (before.name,) for before, step in itertools.pairwise(steps))
    return inputs == 1 and linked and all(len(step.inputs) == 1 for step in steps)


@dataclass(frozen=True, order=True)
class _Way:
    """One way to lay out the steps from some step to the last."""

    below: int = 0  # how far above the bottom of the arena the first tensor must start
    bytes: int = 0  # of the arena
    peak: str = ""

    def with_step(self, name: str, needed: int, below: int) -> _Way:
        """The same with one more step before the first, which needs so many bytes."""
        fuller = needed > self.bytes
        return _Way(below, max(self.bytes, needed), name if fuller else self.peak)


def _arena(
    steps: tuple[Step, ...], inside: Mapping[str, int], sizes: Mapping[str, int], rules: Accounting
) -> tuple[int, str]:
    """Bytes of a network without branches, and its fullest step: the least over which convolutions work in place.

    The lags of consecutive convolutions in place add up, since their tensors hang together. Any other step needs
    input and output side by side. Walking backwards, the ways that are worse in both lag and bytes are dropped.
    """
    ways = [_Way()]
    for step in reversed(steps):
        source, result, scratch = inside[step.inputs[0]], inside[step.name], _scratch(step, sizes, rules)
        next_ways = []
        for way in ways:
            if step.operator.kind in IN_PLACE:
                next_ways.append(way.with_step(step.name, way.below + max(source, result), way.below))
                continue
            apart = max(source + result + scratch, way.below + result)
            next_ways.append(way.with_step(step.name, apart, 0))
            if rules.in_place and step.operator.kind in CONVOLUTIONS and source and result:
                start = way.below + _lag(step, sizes, rules)
                over = max(start + source, way.below + result)
                # What lies under the output is free; scratch that does not fit there comes on top.
                next_ways.append(way.with_step(step.name, over + (scratch if scratch > way.below else 0), start))
        ways = _useful(next_ways)
    best = min(ways, key=lambda way: way.bytes)
    return best.bytes, best.peak


def _useful(ways: list[_Way]) -> list[_Way]:
    """The ways that no other beats in both."""
    kept: list[_Way] = []
    for way in sorted(set(ways)):
        if not kept or way.bytes < kept[-1].bytes:
            kept.append(way)
    return kept


def _lag(step: Step, sizes: Mapping[str, int], rules: Accounting) -> int:
    """How far above its output the input of a convolution in place must start, in bytes.

    Before the output's row i is whole, the input must be read up to that row: the distance is largest at the
    first rows or at the last. What is kept on top of it, for the edge, differs by version.
    """
    op = step.operator
    rows, conv_rows = _image(op.input_shapes[0])[0], _image(op.output_shape)[0]
    rows_out, width, _ = _image(step.map_shape)
    stride: int = op.attributes["strides"][0] * (step.pool.attributes["strides"][0] if step.pool else 1)
    row_out = sizes[step.name] // rows_out
    row_in = sizes[step.inputs[0]] // rows
    distance = max((-(-i // stride) + 1) * row_out - i * row_in for i in (0, 1, conv_rows + 1))
    pads = op.attributes["pads"]
    top: int = pads[0][0]
    sides: int = sum(pads[1]) if len(pads) > 1 else 0
    padded = any(map(any, pads))
    edge = top * (width + sides) + rules.edge_padded if padded else rules.edge_unpadded  # pixels
    return max(distance + edge * (row_out // width), 0)


def _scratch(step: Step, sizes: Mapping[str, int], rules: Accounting) -> int:
    """What a convolution holds besides its tensors, in bytes: the rows that a merged pool covers; its window."""
    op = step.operator
    if op.kind not in CONVOLUTIONS:
        return 0
    _, width, channels = _image(op.output_shape)
    each = sizes[step.name] / prod(step.output_shape)
    rows = step.pool.attributes["kernel"][0] * width * channels if step.pool else 0
    windowed = rules.window_scratch and not op.kind.startswith("Depthwise")
    window = prod(op.attributes["kernel"]) * op.input_shapes[0][-1] if windowed else 0
    return int((rows + window) * each)


def _image(shape: Shape) -> tuple[int, int, int]:
    """Rows, columns, channels; a sequence is an image of one column, a vector one of one pixel."""
    rows, columns, channels = (*shape[:-1], 1, 1)[:2] + shape[-1:]
    return rows, columns, channels


def _liveness(steps: tuple[Step, ...], inside: Mapping[str, int]) -> tuple[int, str]:
    """The largest sum of tensors alive at one step, and that step; one in place writes over an input that dies."""
    last_use = {name: i for i, step in enumerate(steps) for name in step.inputs}
    alive: dict[str, int] = {}
    peak, fullest = 0, ""
    for i, step in enumerate(steps):
        dying = {name for name in step.inputs if last_use[name] == i}
        over = [alive.get(name, 0) for name in dying] if step.operator.kind in IN_PLACE else [0]
        alive[step.name] = inside[step.name]
        needed = sum(alive.values()) - min(max(over, default=0), inside[step.name])
        if needed > peak:
            peak, fullest = needed, step.name
        for name in dying:
            alive.pop(name, None)
    return peak, fullest
