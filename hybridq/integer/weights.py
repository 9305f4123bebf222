"""The weights of a Keras or QKeras layer as integers, with the step of each output channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hybridq.errors import UserError
from hybridq.graph.operators import Operator
from hybridq.integer.network import Integers, Width
from hybridq.integer.scaling import Reals
from hybridq.precision import LayerPrecision, Precision

TINY = 1e-30  # a step of a channel of zeros
NEAR = 1e-3  # of a step: how far from a whole number of steps an acting weight may be, for rounding in float32
# How the weights of each precision are stored; float32 ones are rounded to 8 bits.
WIDTHS = {
    Precision.FLOAT32: Width.INT8,
    Precision.INT8: Width.INT8,
    Precision.INT4: Width.INT4,
    Precision.TERNARY: Width.TERNARY,
    Precision.BINARY: Width.BINARY,
}
# The quantizers that have a form in integers, by their classes.
BITS = frozenset({"quantized_bits", "DepthwiseBits"})
OF_ONE_BIT_OR_TWO = frozenset({"ternary", "DepthwiseTernary", "binary", "DepthwiseBinary"})


@dataclass(frozen=True)
class Weights:
    """Integers (..., channels) in the layout of `hybridq.integer.network`; step and bias, real, by channel."""

    integers: Integers
    width: Width
    step: Reals
    bias: Reals


def weights_of(layer: Any, op: Operator) -> Weights:
    """What a layer with weights multiplies and adds; a float32 kernel is rounded to 8 bits, channel by channel.

    Raises UserError for settings that have no form in integers.
    """
    if getattr(layer, "_mask", None) is not None:
        raise UserError(f"{op.name}: a mask on its kernel has no form in integers")
    width = width_of(op)
    acting, step = _acting(layer)
    channels = acting.shape[-1]
    step = np.broadcast_to(np.maximum(step, TINY).ravel(), (channels,))
    integers = np.floor(acting / step + 0.5).astype(np.int64)
    off = (np.abs(acting - integers * step) > NEAR * step).any()
    if off or np.abs(integers).max() > width.largest or (width is Width.BINARY and not integers.all()):
        raise UserError(f"{op.name}: its weights are not {width.bits}-bit integers of one step for each channel")
    return Weights(integers, width, step, _bias(layer, channels))


def width_of(op: Operator) -> Width:
    """How the weights of a layer are stored; raises UserError for a quantizer that has no form in integers."""
    quantizer, precision = op.attributes.get("kernel_quantizer"), (op.precision or LayerPrecision()).weights
    if quantizer in BITS and precision is not Precision.FLOAT32:
        return Width.INT4 if precision.bits <= Width.INT4.bits else Width.INT8
    if quantizer is None or quantizer in OF_ONE_BIT_OR_TWO:
        return WIDTHS[precision]
    raise UserError(f"{op.name}: weights by {quantizer} have no form in integers; at most 8 bits have")


def _acting(layer: Any) -> tuple[Reals, Reals]:
    """The kernel as it multiplies, its channels last; and the step of each."""
    depthwise = "Depthwise" in type(layer).__name__
    kernel = layer.depthwise_kernel if hasattr(layer, "depthwise_kernel") else layer.kernel
    quantizer = getattr(layer, "depthwise_quantizer_internal" if depthwise else "kernel_quantizer_internal", None)
    acting = np.asarray(kernel if quantizer is None else quantizer(kernel), np.float64)
    acting = acting[..., 0] if depthwise else acting
    if quantizer is None:
        step = np.abs(acting).max(axis=tuple(range(acting.ndim - 1))) / Width.INT8.largest
        return np.floor(acting / np.maximum(step, TINY) + 0.5) * step, step
    scale = np.asarray(quantizer.scale, np.float64)
    bits = type(quantizer).__name__ in BITS
    return acting, scale * 2.0 ** (quantizer.integer - quantizer.bits + 1) if bits else scale


def _bias(layer: Any, channels: int) -> Reals:
    if not layer.use_bias:
        return np.zeros(channels)
    quantizer = getattr(layer, "bias_quantizer_internal", None)
    return np.asarray(layer.bias if quantizer is None else quantizer(layer.bias), np.float64)
