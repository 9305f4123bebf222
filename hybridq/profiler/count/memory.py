"""Flash of a network under a precision plan: what the weights take, packed to their bits; code is not counted.

A float network so has exactly the weights that X-CUBE-AI reports.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from hybridq.formats import Format
from hybridq.graph.keras.layers.quantizers import READS
from hybridq.graph.reader import Graph, Operator
from hybridq.precision import LayerPrecision, PrecisionPlan
from hybridq.profiler.accounting import NEWEST, Accounting, accounting
from hybridq.profiler.count.merge import CONVOLUTIONS, Step, merge, precision_of

FLOAT = Format.FLOAT32.bits // 8  # bytes
PUBLISHED = accounting("x-cube-ai:7.1")  # of the reference network's report


def packed(count: int, precision: Format) -> int:
    """Bytes of that many numbers, packed to their bits."""
    return -(-count * precision.bits // 8)


# ----------------------------------------------------------------------------------------------- flash


def weights_bytes(
    steps: Iterable[Step], plan: PrecisionPlan | None = None, rules: Accounting = NEWEST
) -> tuple[int, ...]:
    """Flash of each step: kernels, biases and other constants by their precisions.

    A folded batch norm takes nothing, but its convolution then has a bias. The scales of quantized kernels count in an
    image of our own alone: ST's tool has them in the code. It stores zeros with each LSTM for the peepholes that it
    does not have, 3 floats a unit, and equal arrays once: they count for the first LSTM of that many units.
    """
    sizes: list[int] = []
    zeros: set[int] = set()  # units of the LSTMs so far
    for step in steps:
        units = set() if rules.own else {count for op in step.operators for count in _lstm_units(op)} - zeros
        zeros |= units
        sizes.append(_stored_bytes(step, plan, rules) + FLOAT * 3 * sum(units))
    return tuple(sizes)


def _stored_bytes(step: Step, plan: PrecisionPlan | None, rules: Accounting) -> int:
    total = 0
    for op, bias in _stored(step):
        total += operator_bytes(replace(op, bias=bias), plan)
        total += _requantization(op, precision_of(op, plan)) if rules.own else 0
    return total


def operator_bytes(op: Operator, plan: PrecisionPlan | None = None) -> int:
    """Flash of one operator's kernel, bias and other constants."""
    precision = precision_of(op, plan)
    wide = precision.weights if not op.kernel else Format.FLOAT32
    bits: int = op.attributes.get("other_bits", wide.bits)
    other = FLOAT * -(-op.other * bits // (8 * FLOAT))  # whole words: X-CUBE-AI aligns each array
    return packed(op.kernel, stored_as(op, plan)) + packed(op.bias, precision.bias) + other


def _requantization(op: Operator, precision: LayerPrecision) -> int:
    """A scale for each output channel of a quantized kernel: a float, or a multiplier and a shift to 8-bit results."""
    if not op.kernel or precision.weights is Format.FLOAT32:
        return 0
    each = FLOAT + (1 if precision.outputs is not Format.FLOAT32 else 0)
    return FLOAT * -(-op.output_shape[-1] * each // FLOAT)


def _lstm_units(op: Operator) -> tuple[int, ...]:
    """The units of an LSTM, or of those in a wrapper; () in the second use of a shared layer."""
    inside = op.attributes.get("inside")
    if isinstance(inside, Graph):
        return tuple(units for inner in inside.operators for units in _lstm_units(inner)) if op.kernel else ()
    return (int(op.attributes["units"]),) if op.kind == "LSTM" and op.kernel else ()


def stored_as(op: Operator, plan: PrecisionPlan | None) -> Format:
    """The precision of the stored kernel."""
    return Format.FLOAT32 if plan is None and is_expanded(op) else precision_of(op, plan).weights


def norm_numbers(op: Operator) -> int:
    """What a batch norm behind a layer leaves for each channel: a bias, as its scale is part of the weights.

    Not of those of a layer of Larq, which are whole numbers: 8-bit ones take it up in how they are requantized; signs
    keep a scale too, but for results that are signs, where one threshold says it all; and so do floating results. So
    ST's report of the one such network that is known has it.
    """
    if READS not in op.attributes:
        return 1
    own = precision_of(op, None)
    return 1 if own.outputs is Format.BINARY or own.weights is own.outputs is Format.INT8 else 2


def is_expanded(op: Operator) -> bool:
    """Whether 8-bit weights of a TFLite file or of Larq are expanded, for the layer computes in float.

    So does one whose results are float, and a convolution of several images at once: a dilated one, taken apart.
    """
    own = precision_of(op, None)
    several = op.kind in CONVOLUTIONS and len(op.input_shapes[0]) > 3
    in_float = own.outputs is Format.FLOAT32 or several
    if READS in op.attributes:
        return own.weights is Format.INT8 and own.outputs is Format.FLOAT32
    return "per_channel" in op.attributes and own.weights is not Format.FLOAT32 and in_float


def parameters(step: Step) -> int:
    """How many numbers a step stores."""
    return sum(op.kernel + bias + op.other for op, bias in _stored(step))


def parameters_by_width(step: Step, plan: PrecisionPlan | None = None) -> Counter[int]:
    """How many of them are how many bits wide."""
    numbers: Counter[int] = Counter()
    for op, bias in _stored(step):
        precision = precision_of(op, plan)
        numbers[stored_as(op, plan).bits] += op.kernel
        numbers[precision.bias.bits] += bias
        numbers[precision.weights.bits if not op.kernel else Format.FLOAT32.bits] += op.other
    return numbers


def _stored(step: Step) -> list[tuple[Operator, int]]:
    """The operators that store something, each with its biases; a folded batch norm gives its layer some."""
    folds = bool(step.folded and step.operator.kernel)
    biases = step.operator.output_shape[-1] * norm_numbers(step.operator) if folds else step.operator.bias
    return [(op, biases if op is step.operator else op.bias) for op in step.operators if op not in step.folded]


def published_rule_bytes(graph: Graph, plan: PrecisionPlan | None = None) -> int:
    """Flash by the rule consistent with the published rows of the reference network: a reconstruction.

    A network with a binary layer: packed kernels and the convolutions' biases as float32; neither the dense
    layers' biases nor batch norms (79,760 B, 0.076 MiB for the hybrid network). Any other network, the
    "8-bit" one included: all its parameters as float32 (505,064 B, 0.48 MiB). The published source states no
    such rule.
    """
    precisions = {op.name: precision_of(op, plan).weights for op in graph.weighted}
    if Format.BINARY not in precisions.values():
        return sum(weights_bytes(merge(graph, PUBLISHED, plan), PrecisionPlan()))
    return sum(
        packed(op.kernel, precisions[op.name]) + (FLOAT * op.bias if op.kind in CONVOLUTIONS else 0)
        for op in graph.weighted
    )
