"""Operators of a `.tflite` file with weights: convolutions, dense layers, recurrent ones, filters in time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from math import prod
from typing import Any

from hybridq.errors import UserError
from hybridq.graph.keras.layers import Description
from hybridq.graph.operators import Shape
from hybridq.graph.tflite.call import Call, keras_layer, without_batch

# Which inputs of an operator are its kernel, and which its bias; every other constant with numbers is "other".
KERNEL_AND_BIAS: dict[str, tuple[Iterable[int], Iterable[int]]] = {
    "CONV_2D": ((1,), (2,)),
    "DEPTHWISE_CONV_2D": ((1,), (2,)),
    "FULLY_CONNECTED": ((1,), (2,)),
    "TRANSPOSE_CONV": ((1,), (3,)),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": (range(1, 9), range(12, 16)),
    "SVDF": ((1, 2), (3,)),
}
STATE = 4  # the input of SVDF that it keeps from one run to the next


def convolution(call: Call) -> Description:
    """Weights (filters, rows, columns, channels of a group)."""
    filters, *kernel, channels = _axes(call, 4)
    groups = max(call.sources[0][-1] // max(channels, 1), 1)
    config = {"filters": filters, "groups": groups, **_window(call, 4), "kernel_size": kernel}
    return keras_layer(call, "Conv2D", config | {"activation": call.fused(3)})


def depthwise(call: Call) -> Description:
    """Weights (1, rows, columns, channels x multiplier)."""
    _, *kernel, filters = _axes(call, 4)
    config = {"depth_multiplier": filters // call.sources[0][-1], **_window(call, 5), "kernel_size": kernel}
    return keras_layer(call, "DepthwiseConv2D", config | {"activation": call.fused(4)})


def transposed(call: Call) -> Description:
    """Weights (filters, rows, columns, channels). The file states the output's size, which the settings leave open."""
    filters, *kernel, _ = _axes(call, 4)
    config = {"filters": filters, **_window(call), "kernel_size": kernel, "use_bias": 3 in call.constants}
    layer = keras_layer(call, "Conv2DTranspose", config | {"activation": call.fused(3)})
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


def dense(call: Call) -> Description:
    """Weights (units, inputs). The input is taken as rows of that many values, whatever its axes."""
    units, width = _axes(call, 2)
    values, source = prod(call.sources[0]), call.sources[0]
    if not width or values % width:
        raise UserError(f"{source} does not divide into rows of {width}")
    if source[-1] != width:
        call.sources = (without_batch((values // width, width)),)
    layer = keras_layer(call, "Dense", {"units": units, "use_bias": 2 in call.constants, "activation": call.fused(0)})
    same = prod(call.recorded) == prod(layer.output_shape)  # it may keep the axes of its input, or drop those of 1
    return replace(layer, output_shape=call.recorded if same else layer.output_shape)


def lstm(call: Call) -> Description:
    """Weights (units, features) and (units, units) for each gate; it gives the output of all steps."""
    weights = [call.constants.get(position) for position in range(1, 9)]
    if any(tensor is None or len(tensor.shape) != 2 for tensor in weights) or call.constants.keys() & {16, 17}:
        return call.unknown(" of joined gates or with a projection")
    source = call.sources[0]
    steps = source[:1] + source[2:] if len(source) == 3 and source[1] == 1 else source  # the time first, then the batch
    units = call.constants[1].shape[0]
    config = {"units": units, "return_sequences": True, "use_bias": 12 in call.constants}
    layer = keras_layer(replace(call, sources=(steps,)), "LSTM", config)
    return replace(layer, output_shape=(*source[:-1], units))


def svdf(call: Call) -> Description:
    """Filters over the features, then over time: weights (filters, features) and (filters, steps), kept results.

    `rank` filters make a unit. The state has a value for each filter and step.
    """
    filters, features = _axes(call, 2)
    in_time, rank = call.constants[2].shape if 2 in call.constants else (), call.node.options.number(0)
    source = call.sources[0]
    if len(in_time) != 2 or in_time[0] != filters or source[-1:] != (features,) or rank < 1 or filters % rank:
        raise UserError(f"its weights have the shapes {(filters, features)} and {in_time}")
    state = call.variables.get(STATE)
    attributes = {
        "steps": in_time[1],
        "state_bytes": state.bytes if state else filters * in_time[1],
        "activation": call.fused(1),
    }
    return Description("SVDF", (*source[:-1], filters // rank), attributes, filters * (features + in_time[1]))
