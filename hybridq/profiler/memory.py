"""Flash and RAM of a network under a precision plan.

Flash is what the weights take, packed to their bits; the program's code is not counted. A float network so
has exactly the weights that X-CUBE-AI reports. RAM is the activation arena by the rule that X-CUBE-AI 5.x
reports follow, plus the network's input and output buffers, which lie outside the arena there.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from hybridq.graph import Graph, Operator
from hybridq.keras_layers import Shape
from hybridq.precision import LayerPrecision, Precision, PrecisionPlan
from hybridq.profiler.merge import CONVOLUTIONS, IN_PLACE, Step, merge, outputs_of

FLOAT = Precision.FLOAT32.bits // 8  # bytes
SEQUENTIAL = "x-cube-ai 5.x, in place"
BRANCHING = "sum of the live tensors (this network branches: no planner of X-CUBE-AI's is known for it)"


def precision_of(op: Operator, plan: PrecisionPlan | None) -> LayerPrecision:
    """How a layer is represented: as the plan says or, without a plan, as its own quantizers say."""
    return (plan.of(op.name) if plan else op.precision) or LayerPrecision()


def packed(count: int, precision: Precision) -> int:
    """Bytes of that many numbers, packed to their bits."""
    return -(-count * precision.bits // 8)


# ----------------------------------------------------------------------------------------------- flash


def weights_bytes(step: Step, plan: PrecisionPlan | None = None) -> int:
    """Flash of one step: kernels and biases by their precisions, batch-norm scales and offsets as float32.

    A folded batch norm takes nothing, but its convolution then has a bias. The scales of quantized kernels
    are not counted: they are part of the requantization that a deployed image holds.
    """
    total = 0
    for op, bias in _stored(step):
        precision = precision_of(op, plan)
        total += packed(op.kernel, precision.weights) + packed(bias, precision.bias) + FLOAT * op.other
    return total


def parameters(step: Step) -> int:
    """How many numbers a step stores."""
    return sum(op.kernel + bias + op.other for op, bias in _stored(step))


def _stored(step: Step) -> list[tuple[Operator, int]]:
    """The operators that store something, each with its biases; a folded batch norm gives its layer some."""
    folds = bool(step.folded and step.operator.kernel)
    first = (step.operator, step.operator.output_shape[-1] if folds else step.operator.bias)
    return [first, *((op, op.bias) for op in step.tail if op is not step.folded)]


def published_rule_bytes(graph: Graph, plan: PrecisionPlan | None = None) -> int:
    """Flash by the rule consistent with the published rows of the reference network: a reconstruction.

    A network with a binary layer: packed kernels and the convolutions' biases as float32; neither the dense
    layers' biases nor batch norms (79,760 B, 0.076 MiB for the hybrid network). Any other network, the
    "8-bit" one included: all its parameters as float32 (505,064 B, 0.48 MiB). The published source states no
    such rule.
    """
    precisions = {op.name: precision_of(op, plan).weights for op in graph.weighted}
    if Precision.BINARY not in precisions.values():
        return sum(weights_bytes(step, PrecisionPlan()) for step in merge(graph))
    return sum(
        packed(op.kernel, precisions[op.name]) + (FLOAT * op.bias if op.kind in CONVOLUTIONS else 0)
        for op in graph.weighted
    )


# ------------------------------------------------------------------------------------------------- RAM


@dataclass(frozen=True)
class Ram:
    """Bytes in RAM while a network runs, and the name of the rule behind the activations."""

    activations: int
    buffers: int  # the network's inputs and outputs
    planner: str


def ram(graph: Graph, steps: tuple[Step, ...], plan: PrecisionPlan | None = None) -> Ram:
    """What the network needs in RAM: the activation arena, and outside it the input and output buffers."""
    sizes = _tensor_bytes(graph, steps, plan)
    starts = {op.name for op in graph.operators if op.kind == "InputLayer"}
    outside = outputs_of(graph, steps) | starts
    inside = {name: 0 if name in outside else size for name, size in sizes.items()}
    buffers = sum(sizes[name] for name in outside)
    if _is_chain(steps, len(starts)):
        return Ram(_arena(steps, inside, sizes), buffers, SEQUENTIAL)
    return Ram(_liveness(steps, inside), buffers, BRANCHING)


def _tensor_bytes(graph: Graph, steps: tuple[Step, ...], plan: PrecisionPlan | None) -> dict[str, int]:
    """Bytes of each network input and each step's result.

    What leaves a step has the precision of the last layer in it that says one; a step that only passes values
    on (batch norm, pool, activation) keeps that of its input. Network inputs are float32.
    """
    held = {op.name: Precision.FLOAT32 for op in graph.operators if op.kind == "InputLayer"}
    sizes = {op.name: FLOAT * prod(op.output_shape) for op in graph.operators if op.kind == "InputLayer"}
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


def _arena(steps: tuple[Step, ...], inside: Mapping[str, int], sizes: Mapping[str, int]) -> int:
    """The arena of a network without branches: the least over the choices which convolutions work in place.

    A convolution may write over its own input if the input starts `lag` bytes above the output; the lags of
    consecutive ones add up, since their tensors hang together. Any other needs input and output side by side.
    Walking backwards, each way to plan the rest is a pair (lag that the tensor here already stands on, peak),
    of which the useful are kept.
    """
    ways = [(0, 0)]
    for step in reversed(steps):
        source, result, scratch = inside[step.inputs[0]], inside[step.name], _scratch(step, sizes)
        next_ways = []
        for below, peak in ways:
            if step.operator.kind in IN_PLACE:
                next_ways.append((below, max(peak, below + max(source, result))))
                continue
            next_ways.append((0, max(peak, source + result + scratch, below + result)))
            if step.operator.kind in CONVOLUTIONS and source and result:
                lag = below + _lag(step, sizes)
                next_ways.append((lag, max(peak, lag + source + scratch, below + result + scratch)))
        ways = _useful(next_ways)
    return min(peak for _, peak in ways)


def _useful(ways: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The ways that no other beats in both lag and peak."""
    kept: list[tuple[int, int]] = []
    for lag, peak in sorted(set(ways)):
        if not kept or peak < kept[-1][1]:
            kept.append((lag, peak))
    return kept


def _lag(step: Step, sizes: Mapping[str, int]) -> int:
    """How far above its output the input of a convolution in place must start, in bytes.

    Before the output's row i is whole, the input must be read up to that row: the distance is largest at the
    first rows or at the last. `edge` is the rows of padding, or one pixel without.
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
    edge = top * (width + sides) if any(map(any, pads)) else 1  # pixels
    return max(distance + edge * (row_out // width), 0)


def _scratch(step: Step, sizes: Mapping[str, int]) -> int:
    """A convolution with its pool inside holds the rows that the pool covers, in bytes."""
    if not step.pool or step.operator.kind not in CONVOLUTIONS:
        return 0
    _, width, channels = _image(step.operator.output_shape)
    each = sizes[step.name] / prod(step.output_shape)
    return int(step.pool.attributes["kernel"][0] * width * channels * each)


def _image(shape: Shape) -> tuple[int, int, int]:
    """Rows, columns, channels; a sequence is an image of one column, a vector one of one pixel."""
    rows, columns, channels = (*shape[:-1], 1, 1)[:2] + shape[-1:]
    return rows, columns, channels


def _liveness(steps: tuple[Step, ...], inside: Mapping[str, int]) -> int:
    """The largest sum of tensors alive at one step; one in place writes over an input not needed later."""
    last_use = {name: i for i, step in enumerate(steps) for name in step.inputs}
    alive: dict[str, int] = {}
    peak = 0
    for i, step in enumerate(steps):
        dying = {name for name in step.inputs if last_use[name] == i}
        over = [alive.get(name, 0) for name in dying] if step.operator.kind in IN_PLACE else [0]
        alive[step.name] = inside[step.name]
        peak = max(peak, sum(alive.values()) - min(max(over, default=0), inside[step.name]))
        for name in dying:
            alive.pop(name, None)
    return peak
