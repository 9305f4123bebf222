"""What each operator of a `.tflite` file is in the words of a Keras layer, so that one set of rules counts both.

The rows of `graph.kinds` say which kind of layer or function an operator is; how its options are read is here, by the
family of the kind. An operator that is in no row is "unknown: NAME". Shapes are without the batch, channels last.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod

from hybridq.errors import UserError
from hybridq.graph.keras.layers import Description, checked
from hybridq.graph.kinds import FUNCTIONS, KINDS, Function, LayerKind
from hybridq.graph.tflite import moves, weighted
from hybridq.graph.tflite.call import Call, Rule, keras_layer, without_batch

POOLS = {"MEAN": "GlobalAveragePooling", "REDUCE_MAX": "GlobalMaxPooling"}  # over all places
FUSING = ("ADD", "SUB", "MUL", "DIV")  # operators that have an activation among their options


def described(call: Call) -> Description:
    """What the operator is; unknown where a shape is open or its weights are computed.

    Raises UserError where its settings, its weights and the shapes that the file records contradict.
    """
    kernel, bias = weighted.KERNEL_AND_BIAS.get(call.node.name, ((), ()))
    rule = RULES.get(call.node.name)
    if rule is None or not (call.sources or call.node.name == "READ_VARIABLE"):
        return call.unknown()
    if not all(call.sources):
        return call.unknown(" of an open shape")
    if any(i in call.positions for i in (*kernel, *bias)) or (kernel and not any(i in call.constants for i in kernel)):
        return call.unknown(" of weights that are computed")
    layer = rule(call)
    if layer.kind.startswith("unknown"):
        return replace(layer, output_shape=call.recorded)
    stored = sum(tensor.elements for i, tensor in call.constants.items() if i in kernel)
    if layer.kernel != stored:
        raise UserError(f"its settings need {layer.kernel:,} weights, the file has {stored:,}")
    possible = {call.recorded, (layer.output_shape[0], *call.recorded)} if call.open_batch else {call.recorded}
    if call.recorded and checked(layer.output_shape) not in possible:
        raise UserError(f"its settings give the output {layer.output_shape}, the file says {call.recorded}")
    return layer


# ------------------------------------------------------------------------------------------- the operators


def _pool(kind: LayerKind, operator: str) -> Rule:
    def read(call: Call) -> Description:
        options = call.node.options
        config = {
            "pool_size": [options.number(4), options.number(3)],
            "strides": [options.number(2), options.number(1)],
            "padding": call.padding(),
        }
        return keras_layer(call, kind.name, config, call.fused(5))

    return read


def _reduction(kind: LayerKind, operator: str) -> Rule:
    """Over some axes; a mean or maximum over all places of a sequence or an image is a global pool."""

    def read(call: Call) -> Description:
        (source,), axes = call.sources[:1], call.values(1)
        rank = len(source) + 1  # the axes of the file, with the batch
        reduced = {axis % rank for axis in axes}
        if not reduced or 0 in reduced:
            return call.unknown(f" over the axes {axes}" if axes else "")
        places = {axis for axis in range(1, rank - 1) if source[axis - 1] > 1}
        if operator in POOLS and len(source) in (2, 3) and places <= reduced <= set(range(1, rank - 1)):
            layer = keras_layer(call, f"{POOLS[operator]}{len(source) - 1}D", {})
        else:
            layer = keras_layer(call, kind.name, {"axis": sorted(reduced)})
            if call.recorded and prod(call.recorded) != prod(layer.output_shape):
                return call.unknown(f" over the axes {axes}")
        same = prod(call.recorded) == prod(layer.output_shape)  # whether axes of 1 are kept
        return replace(layer, output_shape=call.recorded if same else layer.output_shape)

    return read


def _elementwise(kind: LayerKind, operator: str) -> Rule:
    """Two tensors, or one and a constant; "operands" counts both."""

    def read(call: Call) -> Description:
        constants = tuple(without_batch(tensor.shape) for tensor in call.constants.values())
        activation = call.fused(0) if operator in FUSING else "linear"
        layer = keras_layer(replace(call, sources=call.sources + constants), kind.name, {}, activation)
        return replace(layer, attributes={**layer.attributes, "operands": len(call.sources) + len(constants)})

    return read


def _prelu(call: Call) -> Description:
    return Description("PReLU", call.sources[0], {"activation": "prelu"})


def _each(kind: LayerKind, operator: str) -> Rule:
    """Of one tensor, value by value."""
    return lambda call: Description(kind.name, call.sources[0])


def _matmul(call: Call) -> Description:
    """Of two tensors, or one and a constant; the first may be transposed."""
    first = call.sources[0] if 0 in call.positions else call.constants[0].shape if 0 in call.constants else ()
    if len(first) < 2 or not call.recorded:
        return call.unknown(" of an open shape")
    return Description("Matmul", call.recorded, {"length": first[-2 if call.node.options.number(0, "b") else -1]})


def _nonlinearity(function: Function) -> Rule:
    most = function.bounds[1] if function.bounds else None
    return lambda call: keras_layer(call, function.layer, {"activation": function.name, "max_value": most})


def _always(rule: Rule) -> Callable[[LayerKind, str], Rule]:
    return lambda kind, operator: rule


# By the family of the kind: the rule of one of its operators.
FAMILIES: dict[str, Callable[[LayerKind, str], Rule]] = {
    "convolution": _always(weighted.convolution),
    "depthwise": _always(weighted.depthwise),
    "transposed": _always(weighted.transposed),
    "dense": _always(weighted.dense),
    "recurrent": _always(weighted.lstm),
    "svdf": _always(weighted.svdf),
    "pool": _pool,
    "reduction": _reduction,
    "merge": _elementwise,
    "matmul": _always(_matmul),
    "prelu": _always(_prelu),
    "unary": _each,
    "unit_norm": _each,
    "requantization": _each,
    "reshape": _always(moves.reshape),
    "permutation": _always(moves.permute),
    "concatenation": _always(moves.concatenate),
    "stack": _always(moves.stack),
    "split": _always(moves.split),
    "tile": _always(moves.tile),
    "padding": _always(moves.pad),
    "resizing": moves.resize,
    "slice": _always(moves.slice_of),
    "space_to_batch": _always(moves.space_to_batch),
    "batch_to_space": _always(moves.batch_to_space),
    "variable": _always(moves.variable),
    "assignment": _always(moves.assignment),
}
RULES: dict[str, Rule] = {
    **{operator: FAMILIES[row.family](row, operator) for row in KINDS.values() for operator in row.tflite},
    **{row.tflite: _nonlinearity(row) for row in FUNCTIONS.values() if row.tflite},
}
