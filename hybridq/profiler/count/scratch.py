"""What a step holds while it runs, besides what it reads and its result: one line a family of layers in two tables.

Read off published reports of X-CUBE-AI, and off the arrays named "scratch" in the code that it generates. Where no
report is known the rule is ours, made of the layer's own inner tensors, and says so.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import NamedTuple

from hybridq.formats import Format
from hybridq.graph.operators import Shape
from hybridq.graph.reader import Operator
from hybridq.precision import LayerPrecision
from hybridq.profiler.accounting import Accounting
from hybridq.profiler.count.memory import packed
from hybridq.profiler.count.merge import Step, is_int8

INT8_EXPANDED = 5120  # bytes: the most 8-bit weights that a convolution keeps expanded to 16 bits
INT8_CHANNEL = 10  # bytes for each output channel that has a scale of its own


class Rule(NamedTuple):
    """How many values a layer holds, and in which versions of the tool."""

    values: Callable[[Operator], int]
    since: Callable[[Accounting], bool]


def scratch(step: Step, stored: Format, precision: LayerPrecision, rules: Accounting) -> int:
    """Bytes that the step holds; `stored` is the precision of its result, `precision` that of its operator."""
    pooled = packed(_pooled_rows(step), stored)
    if is_int8(step.operator, precision):
        return pooled + (0 if rules.own else int8_scratch(step.operator))
    rule = SCRATCH.get(step.operator.facts.family) if step.operator.facts.axes < 3 else None
    return pooled + (packed(rule.values(step.operator), stored) if rule and rule.since(rules) else 0)


def image(shape: Shape) -> tuple[int, int, int]:
    """Rows, columns, channels; a sequence is an image of one column, a vector one of one pixel."""
    rows, columns, channels = (*shape[:-1], 1, 1)[:2] + shape[-1:]
    return rows, columns, channels


def from_7_2(rules: Accounting) -> bool:
    """Whether the version is 7.2 or later; those of ST Edge AI Core are."""
    return rules.core or rules.version >= (7, 2)


def pads_apart(op: Operator, precision: LayerPrecision, rules: Accounting) -> bool:
    """Whether it first copies its input with the padding around it, as much on each side: some 8-bit convolutions do.

    Depthwise ones from 8.0 on, as in seven generated networks of 8.1 and Core 1.0 to 3.0; others from 8.1 on with whole
    words of four input channels, as in one of 8.1 and in two reports of Core 2.1 and 2.2, but not in one of 8.0 nor
    with 1 or 3 channels.
    """
    if rules.own or not rules.copies or not is_int8(op, precision) or not any(map(any, op.attributes.get("pads", ()))):
        return False
    if op.facts.family == "depthwise":
        return rules.core or rules.version >= (8, 0)
    # No report optimised for time has one.
    return (rules.core or rules.version >= (8, 1)) and rules.in_place and op.input_shapes[0][-1] % 4 == 0


def clips(step: Step, precision: LayerPrecision) -> bool:
    """Whether it is an 8-bit convolution with a nonlinearity that is more than a bound of its result, as ReLU is."""
    if step.operator.facts.family not in ("convolution", "depthwise") or not is_int8(step.operator, precision):
        return False
    functions = {inner.attributes.get("activation", "linear") for inner in step.operators}
    return bool(functions - {"linear", "relu"}) or any(inner.facts.family == "prelu" for inner in step.operators)


def _always(rules: Accounting) -> bool:
    return True


def _windows(rules: Accounting) -> bool:
    return rules.window_scratch


# ------------------------------------------------------------------------------------------------ values


def _pooled_rows(step: Step) -> int:
    """The rows of a convolution that the pool merged into it covers."""
    if not step.pool:
        return 0
    _, width, channels = image(step.operator.output_shape)
    return int(step.pool.attributes["kernel"][0] * width * channels)


def _window(op: Operator) -> int:
    """The values under the kernel."""
    return int(prod(op.attributes["kernel"]) * op.input_shapes[0][-1])


def _between(op: Operator) -> int:
    """A separable convolution's depthwise half, whole. No report has it."""
    return int(prod(op.output_shape[:-1]) * op.input_shapes[0][-1] * op.attributes["depth_multiplier"])


def _recurrent(op: Operator) -> int:
    """The gates, the states and the new output: 7 x units for an LSTM, as reports have it; others by analogy.

    A GRU: the gates of the input and those of the state, as in a report of Core 3.0.
    """
    if op.kind == "GRU":
        return int(2 * op.attributes["gates"] * op.attributes["units"])
    return int((op.attributes["gates"] + 1) * op.attributes["units"] + op.attributes["state"])


def _attention(op: Operator) -> int:
    """The scores of each query and key. No report has it."""
    return int(op.attributes["queries"] * op.attributes["keys"])


def _multi_head_attention(op: Operator) -> int:
    """Queries, keys, values and scores of all heads; then the results take the place of queries and keys.

    No report has it.
    """
    heads, queries, keys = (op.attributes[name] for name in ("heads", "queries", "keys"))
    key, value = op.attributes["key_dim"], op.attributes["value_dim"]
    read, results = (queries + keys) * key, queries * value
    return int(heads * (keys * value + queries * keys + max(read, results)))


SCRATCH: dict[str, Rule] = {  # by family
    "convolution": Rule(_window, _windows),
    "separable": Rule(_between, _always),
    "recurrent": Rule(_recurrent, from_7_2),
    "projected_lstm": Rule(_recurrent, from_7_2),
    "attention": Rule(_attention, _always),
    "multi_head_attention": Rule(_multi_head_attention, _always),
}

# ------------------------------------------------------------------------------------------ 8-bit layers


def int8_scratch(op: Operator) -> int:
    """Bytes of an 8-bit layer. The same from 6.0 to Core 2.2, as far as reports and generated code show."""
    each = INT8_CHANNEL * op.output_shape[-1] if op.attributes["per_channel"] else 0
    rule = INT8.get(op.kind)
    return rule(op) + each if rule else 0


def _int8_convolution(op: Operator) -> int:
    """Two columns of the values under the kernel, as 16 bits; the weights too, as far as they have room."""
    channels, filters = op.input_shapes[0][-1], op.output_shape[-1]
    taps = int(prod(op.attributes["kernel"]) * (channels // op.attributes["groups"]))
    if prod(op.attributes["kernel"]) == 1:
        return 4 * taps
    return 4 * taps + 4 * filters + min(2 * taps * filters, INT8_EXPANDED)


def _int8_depthwise(op: Operator) -> int:
    return 3 * int(prod(op.attributes["kernel"])) * op.output_shape[-1] + 1


def _int8_dense(op: Operator) -> int:
    """The input as 16 bits."""
    return 2 * op.input_shapes[0][-1]


INT8: dict[str, Callable[[Operator], int]] = {
    "Conv2D": _int8_convolution,
    "DepthwiseConv2D": _int8_depthwise,
    "Dense": _int8_dense,
}
