"""Layers that are several in the integer network: a transposed convolution, a separable one, a causal one.

A transposed convolution is a convolution of its input with rows and columns of zeros between; both follow from the
graph. The two parts of a separable one need a grid between them, so that a plan which puts it on grids takes it apart
before a training (`quantization.model`, `quantization.graph`).
"""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any

from hybridq.errors import UserError
from hybridq.formats import Format
from hybridq.graph.kinds import of_family
from hybridq.graph.operators import Graph, Operator, layer_of
from hybridq.precision import PrecisionPlan

SEPARABLE = of_family("separable")
DEPTHWISE = "_depthwise"  # behind the name of a separable convolution: its first part
MOVES = {"kernel", "strides", "dilation", "padding"}  # settings of a transposed convolution of Keras
PADDING = "_padding"  # behind that of a causal one: the zeros before the sequence


def taken_apart(graph: Graph) -> Graph:
    """A network whose transposed convolutions are convolutions of a tensor with zeros between.

    Raises UserError for a setting that no such convolution has.
    """
    operators: list[Operator] = []
    for op in graph.operators:
        known = op.facts.family == "transposed" and op.facts.axes < 3 and op.attributes.keys() >= MOVES
        operators += _transposed(op) if known else (op,)
    return Graph(graph.name, tuple(operators), graph.outputs)


def decomposed(graph: Graph, plan: PrecisionPlan) -> Graph:
    """A network with the layers that `parts_of` makes several of, under a plan."""
    operators: list[Operator] = []
    for op in graph.operators:
        layer = layer_of(op.name)
        if _is_separated(layer, op.kind, plan):
            operators += _separated(op)
        elif _is_padded(layer, op.kind, op.attributes.get("padding"), plan):
            operators += _padded(op)
        else:
            operators.append(op)
    return Graph(graph.name, tuple(operators), graph.outputs)


def check_names(graph: Graph, plan: PrecisionPlan, under: PrecisionPlan | None = None) -> None:
    """Raise UserError for a pattern of a plan that names no layer of a network, as it is taken apart.

    under: the whole plan, where the one that is checked is a part of it.
    """
    named = decomposed(graph, under or plan)
    plan.check((op.name for op in named.weighted), (op.name for op in named.operators))


def parts_of(layer: Any, plan: PrecisionPlan) -> tuple[Any, ...]:
    """The Keras layers that a plan makes of one, the last of which bears its name; none where it stays as it is.

    A separable convolution on grids is a depthwise and a pointwise one. A causal convolution with quantized weights,
    which QKeras has not, is one that reads zeros before the sequence.
    """
    import keras

    kind = type(layer).__name__
    if _is_separated(layer.name, kind, plan):
        config, axes = layer.get_config(), 1 + kind.endswith("2D")
        depthwise, pointwise = (getattr(keras.layers, f"{one}{axes}D") for one in ("DepthwiseConv", "Conv"))
        moves = ("kernel_size", "strides", "dilation_rate", "depth_multiplier", "padding")
        given = {key: config[key] for key in ("filters", "activation", "use_bias")}
        first = depthwise(**{key: config[key] for key in moves}, use_bias=False, name=layer.name + DEPTHWISE)
        return first, pointwise(kernel_size=1, **given, name=layer.name)
    if _is_padded(layer.name, kind, getattr(layer, "padding", None), plan):
        before = (layer.kernel_size[0] - 1) * layer.dilation_rate[0]
        zeros = keras.layers.ZeroPadding1D((before, 0), name=layer.name + PADDING)
        return zeros, type(layer).from_config(layer.get_config() | {"padding": "valid"})
    return ()


def _is_separated(name: str, kind: str, plan: PrecisionPlan) -> bool:
    return kind in SEPARABLE and plan.of(name).outputs.on_grid


def _is_padded(name: str, kind: str, padding: Any, plan: PrecisionPlan) -> bool:
    wanted = plan.of(name)
    return kind == "Conv1D" and padding == "causal" and not wanted.weights == wanted.bias == Format.FLOAT32


def _part(call: str, what: str) -> str:
    """The name of the same call of a part of a layer."""
    layer = layer_of(call)
    return layer + what + call.removeprefix(layer)


def _padded(op: Operator) -> tuple[Operator, Operator]:
    (source,), pads = op.input_shapes, op.attributes["pads"]
    longer = (source[0] + sum(pads[0]), source[1])
    first = Operator(_part(op.name, PADDING), "ZeroPadding1D", op.inputs, op.input_shapes, longer, {"pads": pads})
    attributes = {**op.attributes, "pads": ((0, 0),), "padding": "valid"}
    return first, replace(op, inputs=(first.name,), input_shapes=(longer,), attributes=attributes)


def _separated(op: Operator) -> tuple[Operator, Operator]:
    attributes, (source,) = op.attributes, op.input_shapes
    axes, channels = op.facts.axes, source[-1] * attributes["depth_multiplier"]
    middle = (*op.output_shape[:-1], channels)
    plain = {"use_bias": False, "activation": "linear", "groups": source[-1], "filters": channels}
    first = replace(
        op,
        name=_part(op.name, DEPTHWISE),
        kind=f"DepthwiseConv{axes}D",
        output_shape=middle,
        attributes={**attributes, **plain},
        kernel=prod(attributes["kernel"]) * channels if op.kernel else 0,
        bias=0,
    )
    ones = (1,) * axes
    moves = {"kernel": ones, "strides": ones, "dilation": ones, "pads": ((0, 0),) * axes}
    second = replace(
        op,
        kind=f"Conv{axes}D",
        inputs=(first.name,),
        input_shapes=(middle,),
        attributes={**attributes, **moves, "padding": "valid", "groups": 1, "depth_multiplier": 1},
        kernel=channels * op.output_shape[-1] if op.kernel else 0,
    )
    return first, second


def _transposed(op: Operator) -> tuple[Operator, ...]:
    """Weight m of the turned kernel meets what lies reach - 1 - m places before: so many zeros before the first row."""
    (source,), attributes = op.input_shapes, op.attributes
    strides, pads = attributes["strides"], []
    given = zip(source, op.output_shape, attributes["kernel"], strides, attributes["dilation"], strict=False)
    for n, size, k, stride, rate in given:
        reach = (k - 1) * rate + 1
        same = attributes["padding"] == "same"
        if size != (n * stride if same else (n - 1) * stride + max(stride, reach)):
            raise UserError(f"{op.name}: output_padding has no form in integers; leave it out")
        before = reach - 1 - (max(reach - stride, 0) // 2 if same else 0)
        pads.append((before, size - n * stride - before + reach - 1))
    spread = tuple(n * stride for n, stride in zip(source, strides, strict=False))
    attributes = {**attributes, "strides": (1,) * op.facts.axes, "pads": tuple(pads)}
    if set(strides) == {1}:
        return (replace(op, attributes=attributes),)
    first = Operator(
        f"{op.name} (spread)",
        f"UpSampling{op.facts.axes}D",
        op.inputs,
        op.input_shapes,
        (*spread, source[-1]),
        {"size": strides, "interpolation": "nearest", "zeros": True},
    )
    return first, replace(op, inputs=(first.name,), input_shapes=(first.output_shape,), attributes=attributes)
