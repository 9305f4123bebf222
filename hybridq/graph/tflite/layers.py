"""What each operator of a `.tflite` file is in the words of a Keras layer, so that one set of rules counts both.

The rows of `graph.kinds` say which kind of layer or function an operator is; how its options are read is here, by the
family of the kind. An operator that is in no row is "unknown: NAME". Shapes are without the batch, channels last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from math import prod
from typing import Any

from hybridq.errors import UserError
from hybridq.graph.keras.layers import Description, checked, describe
from hybridq.graph.kinds import FUNCTIONS, KINDS, Function, LayerKind
from hybridq.graph.operators import Shape
from hybridq.graph.tflite.call import Call, without_batch

Rule = Callable[[Call], Description]

# Which inputs of an operator are its kernel, and which its bias; every other constant with numbers is "other".
KERNEL_AND_BIAS: dict[str, tuple[Iterable[int], Iterable[int]]] = {
    "CONV_2D": ((1,), (2,)),
    "DEPTHWISE_CONV_2D": ((1,), (2,)),
    "FULLY_CONNECTED": ((1,), (2,)),
    "TRANSPOSE_CONV": ((1,), (3,)),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": (range(1, 9), range(12, 16)),
}


def described(call: Call) -> Description:
    """What the operator is; unknown where a shape is open or its weights are computed.

    Raises UserError where its settings, its weights and the shapes that the file records contradict.
    """
    kernel, bias = KERNEL_AND_BIAS.get(call.node.name, ((), ()))
    rule = RULES.get(call.node.name)
    if rule is None or not call.sources:
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


def _keras(call: Call, kind: str, config: Mapping[str, Any], activation: str = "linear") -> Description:
    """The Keras layer of those settings; an image layer works on each image where there are several."""
    sources, several = call.sources, Shape()
    if kind.endswith(("2D", "2DTranspose")) and len(sources[0]) == 4:
        sources, several = (sources[0][1:],), sources[0][:1]
    layer = describe({"class_name": kind, "config": config}, sources, None)
    attributes = layer.attributes if activation == "linear" else {**layer.attributes, "activation": activation}
    return replace(layer, output_shape=(*several, *layer.output_shape), attributes=attributes)


def _convolution(call: Call) -> Description:
    """Weights (filters, rows, columns, channels of a group)."""
    filters, *kernel, channels = _axes(call, 4)
    groups = max(call.sources[0][-1] // max(channels, 1), 1)
    config = {"filters": filters, "groups": groups, **_window(call, 4), "kernel_size": kernel}
    return _keras(call, "Conv2D", config | {"activation": call.fused(3)})


def _depthwise(call: Call) -> Description:
    """Weights (1, rows, columns, channels x multiplier)."""
    _, *kernel, filters = _axes(call, 4)
    config = {"depth_multiplier": filters // call.sources[0][-1], **_window(call, 5), "kernel_size": kernel}
    return _keras(call, "DepthwiseConv2D", config | {"activation": call.fused(4)})


def _transposed(call: Call) -> Description:
    """Weights (filters, rows, columns, channels). The file states the output's size, which the settings leave open."""
    filters, *kernel, _ = _axes(call, 4)
    config = {"filters": filters, **_window(call), "kernel_size": kernel, "use_bias": 3 in call.constants}
    layer = _keras(call, "Conv2DTranspose", config | {"activation": call.fused(3)})
    return replace(layer, output_shape=call.recorded or layer.output_shape)


def _axes(call: Call, count: int) -> Shape:
    shape = call.constants[1].shape
    if len(shape) != count:
        raise UserError(f"its weights have the shape {shape}")
    return shape


def _window(call: Call, dilation_slot: int = 0) -> dict[str, Any]:
    """Padding, strides, dilation, bias of a convolution; the file has the width first."""
    options = call.node.options
    config: dict[str, Any] = {"padding": call.padding(), "strides": [options.number(2), options.number(1)]}
    if dilation_slot:
        config["dilation_rate"] = [options.number(dilation_slot + i, default=1) for i in (1, 0)]
    return config | {"use_bias": 2 in call.constants}


def _dense(call: Call) -> Description:
    """Weights (units, inputs). The input is taken as rows of that many values, whatever its axes."""
    units, width = _axes(call, 2)
    values, source = prod(call.sources[0]), call.sources[0]
    if not width or values % width:
        raise UserError(f"{source} does not divide into rows of {width}")
    if source[-1] != width:
        call.sources = (without_batch((values // width, width)),)
    layer = _keras(call, "Dense", {"units": units, "use_bias": 2 in call.constants, "activation": call.fused(0)})
    same = prod(call.recorded) == prod(layer.output_shape)  # it may keep the axes of its input, or drop those of 1
    return replace(layer, output_shape=call.recorded if same else layer.output_shape)


def _pool(kind: LayerKind, operator: str) -> Rule:
    def read(call: Call) -> Description:
        options = call.node.options
        config = {
            "pool_size": [options.number(4), options.number(3)],
            "strides": [options.number(2), options.number(1)],
            "padding": call.padding(),
        }
        return _keras(call, kind.name, config, call.fused(5))

    return read


def _reduction(kind: LayerKind, operator: str) -> Rule:
    """A mean or maximum over all places of a sequence or an image is a global pool; over anything else: no rule."""
    form = kind.name.removesuffix(f"{kind.axes}D")

    def read(call: Call) -> Description:
        (source,), axes = call.sources[:1], call.values(1)
        rank = len(source) + 1  # the axes of the file, with the batch
        reduced = {axis % rank for axis in axes}
        places = {axis for axis in range(1, rank - 1) if source[axis - 1] > 1}
        if len(source) not in (2, 3) or not reduced or not places <= reduced <= set(range(1, rank - 1)):
            return call.unknown(f" over the axes {axes}" if axes else "")
        layer = _keras(call, f"{form}{len(source) - 1}D", {})
        same = prod(call.recorded) == prod(layer.output_shape)  # whether axes of 1 are kept
        return replace(layer, output_shape=call.recorded if same else layer.output_shape)

    return read


def _elementwise(kind: LayerKind, operator: str) -> Rule:
    """Two tensors, or one and a constant; "operands" counts both."""
    fuses = operator not in ("MINIMUM", "MAXIMUM")

    def read(call: Call) -> Description:
        constants = tuple(without_batch(tensor.shape) for tensor in call.constants.values())
        activation = call.fused(0) if fuses else "linear"
        layer = _keras(replace(call, sources=call.sources + constants), kind.name, {}, activation)
        return replace(layer, attributes={**layer.attributes, "operands": len(call.sources) + len(constants)})

    return read


def _prelu(call: Call) -> Description:
    return Description("PReLU", call.sources[0], {"activation": "prelu"})


def _requantization(kind: LayerKind, operator: str) -> Rule:
    return lambda call: Description(kind.name, call.sources[0])


def _reshape(call: Call) -> Description:
    """Where the batch is left open it holds what the other axes do not."""
    source, target = prod(call.sources[0]), call.recorded
    if target and source % prod(target) == 0:
        return Description("Reshape", without_batch((source // prod(target), *target)))
    if target:
        raise UserError(f"{call.sources[0]} does not reshape to {target}")
    return call.unknown(" to an open shape")


def _permute(call: Call) -> Description:
    order = call.values(1)
    if not order or order[0] != 0 or len(order) != len(call.sources[0]) + 1:
        return call.unknown(" of the batch")
    return _keras(call, "Permute", {"dims": list(order[1:])})


def _concatenate(call: Call) -> Description:
    values = sum(prod(shape) for shape in call.sources)
    values += sum(tensor.elements for tensor in call.constants.values())
    if values != prod(call.recorded):
        return call.unknown(" to an open shape")
    activation = call.fused(1)
    return Description("Concatenate", call.recorded, {} if activation == "linear" else {"activation": activation})


def _pad(call: Call) -> Description:
    """Zeros around an image or sequence; paddings (axes with the batch, before and after)."""
    source, values = call.sources[0], call.values(1)
    pads = [list(pair) for pair in zip(values[::2], values[1::2], strict=False)]
    if len(source) not in (2, 3) or len(pads) != len(source) + 1 or any(pads[0] + pads[-1]):
        return call.unknown(" of the batch or the channels")
    places = len(source) - 1
    return _keras(call, f"ZeroPadding{places}D", {"padding": pads[1:-1] if places > 1 else pads[1]})


def _resize(kind: LayerKind, operator: str) -> Rule:
    interpolation = "bilinear" if operator == "RESIZE_BILINEAR" else "nearest"

    def read(call: Call) -> Description:
        source = call.sources[0]
        if len(source) < 3 or len(call.recorded) < 3:
            return call.unknown(" to an open shape")
        return Description(kind.name, (*source[:-3], *call.recorded[-3:]), {"interpolation": interpolation})

    return read


def _slice(call: Call) -> Description:
    return Description("Slice", call.recorded) if call.recorded else call.unknown(" of an open shape")


def _space_to_batch(call: Call) -> Description:
    """How the converter writes a dilated convolution: every n-th place becomes a sequence or image of its own."""
    (*places, channels), blocks, pads = call.sources[0], call.values(1), call.values(2)
    if len(blocks) != len(places) or len(pads) != 2 * len(places) or not all(blocks):
        return call.unknown(" over other axes")
    longer = [n + before + after for n, before, after in zip(places, pads[::2], pads[1::2], strict=True)]
    shape = (prod(blocks), *(n // b for n, b in zip(longer, blocks, strict=True)), channels)
    return Description("SpaceToBatch", checked(shape))


def _batch_to_space(call: Call) -> Description:
    source, blocks, crops = call.sources[0], call.values(1), call.values(2)
    count, places, channels = source[0], source[1:-1], source[-1]
    if len(blocks) != len(places) or len(crops) != 2 * len(places) or count != prod(blocks):
        return call.unknown(" over other axes")
    joined = (n * b for n, b in zip(places, blocks, strict=True))
    cut = (n - before - after for n, before, after in zip(joined, crops[::2], crops[1::2], strict=True))
    return Description("BatchToSpace", checked((*cut, channels)))


def _lstm(call: Call) -> Description:
    """Weights (units, features) and (units, units) for each gate; it gives the output of all steps."""
    weights = [call.constants.get(position) for position in range(1, 9)]
    if any(tensor is None or len(tensor.shape) != 2 for tensor in weights) or call.constants.keys() & {16, 17}:
        return call.unknown(" of joined gates or with a projection")
    source = call.sources[0]
    steps = source[:1] + source[2:] if len(source) == 3 and source[1] == 1 else source  # the time first, then the batch
    units = call.constants[1].shape[0]
    config = {"units": units, "return_sequences": True, "use_bias": 12 in call.constants}
    layer = _keras(replace(call, sources=(steps,)), "LSTM", config)
    return replace(layer, output_shape=(*source[:-1], units))


def _nonlinearity(function: Function) -> Rule:
    most = function.bounds[1] if function.bounds else None
    return lambda call: _keras(call, function.layer, {"activation": function.name, "max_value": most})


def _always(rule: Rule) -> Callable[[LayerKind, str], Rule]:
    return lambda kind, operator: rule


# By the family of the kind: the rule of one of its operators.
FAMILIES: dict[str, Callable[[LayerKind, str], Rule]] = {
    "convolution": _always(_convolution),
    "depthwise": _always(_depthwise),
    "transposed": _always(_transposed),
    "dense": _always(_dense),
    "recurrent": _always(_lstm),
    "pool": _pool,
    "global_pool": _reduction,
    "merge": _elementwise,
    "prelu": _always(_prelu),
    "requantization": _requantization,
    "reshape": _always(_reshape),
    "permutation": _always(_permute),
    "concatenation": _always(_concatenate),
    "padding": _always(_pad),
    "resizing": _resize,
    "slice": _always(_slice),
    "space_to_batch": _always(_space_to_batch),
    "batch_to_space": _always(_batch_to_space),
}
RULES: dict[str, Rule] = {
    **{operator: FAMILIES[row.family](row, operator) for row in KINDS.values() for operator in row.tflite},
    **{row.tflite: _nonlinearity(row) for row in FUNCTIONS.values() if row.tflite},
}
