"""Which steps may write over what they read, and how far above its result the input of such a step must start."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hybridq.graph.keras.layers.quantizers import READS
from hybridq.graph.kinds import Over
from hybridq.precision import PrecisionPlan
from hybridq.profiler.accounting import Accounting
from hybridq.profiler.count.merge import CONVOLUTIONS, Step, is_int8, precision_of
from hybridq.profiler.count.scratch import from_7_2, image

MARGIN = 4  # bytes: of the byte more that a convolution with three channels reads, in whole words


def overlap(step: Step, source: int, result: int, plan: PrecisionPlan | None, rules: Accounting) -> int | None:
    """How far above its result the input starts where the step writes over it, in bytes; None where it cannot.

    Steps in which the planner has no choice are left out: see `written_over`. `source` and `result` are the bytes of
    the two in the arena, 0 where they lie outside.
    """
    op = step.operator
    if op.facts.over is Over.INPUT:
        whole = op.facts.family == "pool" and max(op.output_shape[:-1], default=1) == 1
        return None if whole else 0  # a pool of all places is a global one
    if not (rules.in_place and source and result) or READS in op.attributes:  # of Larq: as in one report of 8.1
        return None
    if op.facts.family == "padding":  # the two end at the same byte
        return max(result - source, 0)
    if op.facts.family == "requantization":  # of bytes to bytes, as a network with pictures begins
        return max(result - source, 0) if from_7_2(rules) and result - source in (0, MARGIN) else None
    if op.kind in CONVOLUTIONS and op.facts.family != "separable":
        return lag(step, source, result, is_int8(op, precision_of(op, plan)), rules)
    return None


def written_over(step: Step, bytes_of: Mapping[str, int], dying: Iterable[str]) -> str:
    """The largest input that a merge or a normalisation always writes over, of those no longer needed; or "".

    Generated code rarely shows it.
    """
    op, result = step.operator, bytes_of[step.name]
    if op.facts.over not in (Over.FIRST, Over.ANY) or set(op.input_shapes) != {op.output_shape}:
        return ""
    if op.facts.over is Over.FIRST:
        dying = [name for name in dying if name == step.inputs[0]]
    return max((name for name in dying if 0 < result <= bytes_of[name]), key=bytes_of.__getitem__, default="")


def lag(step: Step, source: int, result: int, int8: bool, rules: Accounting) -> int:
    """How far above its output the input of a convolution in place must start, in bytes.

    Before the output's row i is whole, the input must be read up to that row: the distance is largest at the
    first rows or at the last, in 8-bit layers at the first row or at the end of the input. What is kept on top of it,
    for the edge, differs by version.
    """
    op = step.operator
    rows, conv_rows = image(op.input_shapes[0])[0], image(op.output_shape)[0]
    rows_out, width, _ = image(step.map_shape)
    conv_stride: int = op.attributes["strides"][0]
    stride: int = conv_stride * (step.pool.attributes["strides"][0] if step.pool else 1)
    row_out, row_in = result // rows_out, source // rows
    last = rows if int8 and from_7_2(rules) else conv_rows * conv_stride + 1
    rows_read = (0, last) if int8 and from_7_2(rules) else (0, 1, last)
    distance = max((-(-i // stride) + 1) * row_out - i * row_in for i in rows_read)
    pads = op.attributes["pads"]
    top: int = pads[0][0]
    sides: int = sum(pads[1]) if len(pads) > 1 else 0
    beyond = 0 if int8 and (top or not from_7_2(rules)) else rules.edge_padded
    padded = any(map(any, pads)) if from_7_2(rules) else any(before for before, _ in pads)
    edge = top * (width + sides) + beyond if padded else rules.edge_unpadded  # pixels
    return max(distance + edge * (row_out // width), 0)
