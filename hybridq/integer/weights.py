"""The weights of a Keras or QKeras layer as integers, with the step of each output channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hybridq.errors import UserError
from hybridq.formats import Format
from hybridq.graph.operators import Operator
from hybridq.integer.network import Integers
from hybridq.integer.scaling import Reals
from hybridq.precision import LayerPrecision

TINY = 1e-30  # a step of a channel of zeros
NEAR = 1e-3  # of a step: how far from a whole number of steps an acting weight may be, for rounding in float32
ROUNDED = Format.INT8  # to which float32 weights are rounded


@dataclass(frozen=True)
class Weights:
    """Integers (..., channels) in the layout of `hybridq.integer.network`; step and bias, real, by channel."""

    integers: Integers
    width: Format
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
    step = np.broadcast_to(step.ravel(), (channels,))
    acting, step = np.where(step < TINY, 0, acting), np.maximum(step, TINY)  # a channel that has died
    integers = np.floor(acting / step + 0.5).astype(np.int64)
    off = (np.abs(acting - integers * step) > NEAR * step).any()
    if off or not np.isin(integers, list(width.row.integers)).all():
        raise UserError(f"{op.name}: its weights are not {width.bits}-bit integers of one step for each channel")
    return Weights(integers, width, step, _bias(layer, channels))


def width_of(op: Operator) -> Format:
    """The format of a layer's integer weights; raises UserError for a quantizer that has no form in integers.

    That of its quantizer; where QKeras' own has a width between two formats, the next wider one that it trains.
    """
    quantizer, wanted = op.attributes.get("kernel_quantizer"), (op.precision or LayerPrecision()).weights
    if quantizer is None:
        return ROUNDED if wanted is Format.FLOAT32 else wanted
    trained = [one for one in Format if one.row.kernel and one.row.kernel.name == quantizer and one.bits >= wanted.bits]
    if not trained:
        raise UserError(f"{op.name}: weights by {quantizer} have no form in integers; at most 8 bits have")
    return min(trained, key=lambda one: one.bits)


def _acting(layer: Any) -> tuple[Reals, Reals]:
    """The kernel as it multiplies, its channels last; and the step of each."""
    kind = type(layer).__name__
    depthwise = "Depthwise" in kind
    kernel = layer.depthwise_kernel if hasattr(layer, "depthwise_kernel") else layer.kernel
    quantizer = getattr(layer, "depthwise_quantizer_internal" if depthwise else "kernel_quantizer_internal", None)
    acting = np.asarray(kernel if quantizer is None else quantizer(kernel), np.float64)
    if depthwise:  # channels of the result side by side, by channel of the input
        acting = acting.reshape(*acting.shape[:-2], -1)
    elif "Transpose" in kind:  # its weights turned around, as the convolution of a spread input has them
        acting = np.flip(np.swapaxes(acting, -1, -2), axis=tuple(range(acting.ndim - 2)))
    if quantizer is None:
        step = np.abs(acting).max(axis=tuple(range(acting.ndim - 1))) / ROUNDED.largest
        return np.floor(acting / np.maximum(step, TINY) + 0.5) * step, step
    scale = np.asarray(quantizer.scale, np.float64)
    if depthwise and scale.size > 1:  # one for each channel of the input
        scale = np.repeat(scale.ravel(), acting.shape[-1] // scale.size)
    whole = getattr(quantizer, "integer", None)  # bits before the point: of quantized_bits alone
    return acting, scale if whole is None else scale * 2.0 ** (whole - quantizer.bits + 1)


def _bias(layer: Any, channels: int) -> Reals:
    if not layer.use_bias:
        return np.zeros(channels)
    quantizer = getattr(layer, "bias_quantizer_internal", None)
    return np.asarray(layer.bias if quantizer is None else quantizer(layer.bias), np.float64)
