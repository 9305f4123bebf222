"""What each operator of a `.tflite` file is in the words of a Keras layer, so that one set of rules counts both.

To add an operator: a function Call -> Description and a line in RULES. One that is not there is "unknown: NAME".
Shapes are without the batch, channels last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Any

from hybridq.errors import UserError
from hybridq.graph.keras.layers import Description, checked, describe
from hybridq.graph.operators import Shape
from hybridq.graph.tflite.file import Node, Tensor

# Which inputs of an operator are its kernel, and which its bias; every other constant with numbers is "other".
KERNEL_AND_BIAS: dict[str, tuple[Iterable[int], Iterable[int]]] = {
    "CONV_2D": ((1,), (2,)),
    "DEPTHWISE_CONV_2D": ((1,), (2,)),
    "FULLY_CONNECTED": ((1,), (2,)),
    "TRANSPOSE_CONV": ((1,), (3,)),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": (range(1, 9), range(12, 16)),
}
FUSED = ("linear", "relu", "relu_n1_to_1", "relu6", "tanh", "sign_bit")  # by their number in the schema
PADDING = ("same", "valid")


@dataclass
class Call:
    """One operator with what it reads. `sources` are the shapes of the computed tensors, in order, at `positions`."""

    node: Node
    sources: tuple[Shape, ...]
    positions: tuple[int, ...]
    constants: Mapping[int, Tensor]  # by their position among the inputs
    recorded: Shape  # of its first output; () where the file leaves it open
    open_batch: bool  # the file leaves the batch of its output open: it may hold steps or windows too

    def fused(self, slot: int) -> str:
        """The activation that runs inside the operator."""
        return _named(FUSED, self.node.options.number(slot, "b"), "activation")

    def padding(self) -> str:
        """Its padding; it is the first field of all options that have one."""
        return _named(PADDING, self.node.options.number(0, "b"), "padding")

    def values(self, position: int) -> tuple[int, ...]:
        """The whole numbers of a constant; empty where it is computed or left out."""
        tensor = self.constants.get(position)
        return (tensor.values if tensor else None) or ()

    def unknown(self, why: str = "") -> Description:
        """The description of an operator without a rule."""
        return Description(f"unknown: {self.node.name}{why}", self.recorded)


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
    found = rule(call)
    if found.kind.startswith("unknown"):
        return replace(found, output_shape=call.recorded)
    stored = sum(tensor.elements for i, tensor in call.constants.items() if i in kernel)
    if found.kernel != stored:
        raise UserError(f"its settings need {found.kernel:,} weights, the file has {stored:,}")
    possible = {call.recorded, (found.output_shape[0], *call.recorded)} if call.open_batch else {call.recorded}
    if call.recorded and checked(found.output_shape) not in possible:
        raise UserError(f"its settings give the output {found.output_shape}, the file says {call.recorded}")
    return found


def without_batch(shape: Shape) -> Shape:
    """A leading axis of 1 is the batch; any other stays. A single number is a vector of one."""
    return shape[1:] if len(shape) > 1 and shape[0] == 1 else shape or (1,)


def _named(names: tuple[str, ...], number: int, what: str) -> str:
    if not 0 <= number < len(names):
        raise UserError(f"its {what} has the number {number}, which does not exist")
    return names[number]


# ------------------------------------------------------------------------------------------- the operators


def _keras(call: Call, kind: str, config: Mapping[str, Any], activation: str = "linear") -> Description:
    """The Keras layer of those settings; an image layer works on each image where there are several."""
    sources, several = call.sources, Shape()
    if kind.endswith(("2D", "2DTranspose")) and len(sources[0]) == 4:
        sources, several = (sources[0][1:],), sources[0][:1]
    found = describe({"class_name": kind, "config": config}, sources, None)
    attributes = found.attributes if activation == "linear" else {**found.attributes, "activation": activation}
    return replace(found, output_shape=(*several, *found.output_shape), attributes=attributes)


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
    found = _keras(call, "Conv2DTranspose", config | {"activation": call.fused(3)})
    return replace(found, output_shape=call.recorded or found.output_shape)


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
    found = _keras(call, "Dense", {"units": units, "use_bias": 2 in call.constants, "activation": call.fused(0)})
    same = prod(call.recorded) == prod(found.output_shape)  # it may keep the axes of its input, or drop those of 1
    return replace(found, output_shape=call.recorded if same else found.output_shape)


def _pool(kind: str) -> Callable[[Call], Description]:
    def read(call: Call) -> Description:
        options = call.node.options
        config = {
            "pool_size": [options.number(4), options.number(3)],
            "strides": [options.number(2), options.number(1)],
            "padding": call.padding(),
        }
        return _keras(call, kind, config, call.fused(5))

    return read


def _reduction(kind: str) -> Callable[[Call], Description]:
    """A mean or maximum over all places is a global pool; over anything else there is no rule."""

    def read(call: Call) -> Description:
        (source,), axes = call.sources[:1], call.values(1)
        rank = len(source) + 1  # the axes of the file, with the batch
        reduced = {axis % rank for axis in axes}
        places = {axis for axis in range(1, rank - 1) if source[axis - 1] > 1}
        if len(source) not in (2, 3) or not reduced or not places <= reduced <= set(range(1, rank - 1)):
            return call.unknown(f" over the axes {axes}" if axes else "")
        found = _keras(call, f"Global{kind}Pooling{len(source) - 1}D", {})
        same = prod(call.recorded) == prod(found.output_shape)  # whether axes of 1 are kept
        return replace(found, output_shape=call.recorded if same else found.output_shape)

    return read


def _elementwise(kind: str, fused: bool = True) -> Callable[[Call], Description]:
    """Two tensors, or one and a constant; "operands" counts both."""

    def read(call: Call) -> Description:
        constants = tuple(without_batch(tensor.shape) for tensor in call.constants.values())
        found = _keras(replace(call, sources=call.sources + constants), kind, {}, call.fused(0) if fused else "linear")
        return replace(found, attributes={**found.attributes, "operands": len(call.sources) + len(constants)})

    return read


def _nonlinearity(kind: str, config: Mapping[str, Any]) -> Callable[[Call], Description]:
    return lambda call: _keras(call, kind, config)


def _prelu(call: Call) -> Description:
    return Description("PReLU", call.sources[0], {"activation": "prelu"})


def _same(kind: str) -> Callable[[Call], Description]:
    return lambda call: Description(kind, call.sources[0])


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


def _resize(interpolation: str) -> Callable[[Call], Description]:
    def read(call: Call) -> Description:
        source = call.sources[0]
        if len(source) < 3 or len(call.recorded) < 3:
            return call.unknown(" to an open shape")
        return Description("Resizing", (*source[:-3], *call.recorded[-3:]), {"interpolation": interpolation})

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
    found = _keras(replace(call, sources=(steps,)), "LSTM", config)
    return replace(found, output_shape=(*source[:-1], units))


RULES: dict[str, Callable[[Call], Description]] = {
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _depthwise,
    "TRANSPOSE_CONV": _transposed,
    "FULLY_CONNECTED": _dense,
    "MAX_POOL_2D": _pool("MaxPooling2D"),
    "AVERAGE_POOL_2D": _pool("AveragePooling2D"),
    "MEAN": _reduction("Average"),
    "REDUCE_MAX": _reduction("Max"),
    "ADD": _elementwise("Add"),
    "SUB": _elementwise("Subtract"),
    "MUL": _elementwise("Multiply"),
    "MINIMUM": _elementwise("Minimum", fused=False),
    "MAXIMUM": _elementwise("Maximum", fused=False),
    "RELU": _nonlinearity("ReLU", {}),
    "RELU6": _nonlinearity("ReLU", {"max_value": 6}),
    "LEAKY_RELU": _nonlinearity("LeakyReLU", {}),
    "PRELU": _prelu,
    "ELU": _nonlinearity("ELU", {}),
    "SOFTMAX": _nonlinearity("Softmax", {}),
    "TANH": _nonlinearity("Activation", {"activation": "tanh"}),
    "LOGISTIC": _nonlinearity("Activation", {"activation": "sigmoid"}),
    "HARD_SWISH": _nonlinearity("Activation", {"activation": "hard_swish"}),
    "GELU": _nonlinearity("Activation", {"activation": "gelu"}),
    "CAST": _same("Quantize"),
    "QUANTIZE": _same("Quantize"),
    "DEQUANTIZE": _same("Dequantize"),
    "RESHAPE": _reshape,
    "EXPAND_DIMS": _reshape,
    "SQUEEZE": _reshape,
    "TRANSPOSE": _permute,
    "CONCATENATION": _concatenate,
    "PAD": _pad,
    "PADV2": _pad,
    "RESIZE_BILINEAR": _resize("bilinear"),
    "RESIZE_NEAREST_NEIGHBOR": _resize("nearest"),
    "SLICE": _slice,
    "STRIDED_SLICE": _slice,
    "SPACE_TO_BATCH_ND": _space_to_batch,
    "BATCH_TO_SPACE_ND": _batch_to_space,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _lstm,
}
