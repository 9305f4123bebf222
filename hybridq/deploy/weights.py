"""The weights of a Keras or QKeras layer as integers, with the step of each output channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hybridq.deploy.network import Integers, Width
from hybridq.deploy.scaling import Reals
from hybridq.errors import UserError
from hybridq.operators import Operator

TINY = 1e-30  # a step of a channel of zeros
NEAR = 1e-3  # of a step: how far from a whole number of steps an acting weight may be, for rounding in float32


@dataclass(frozen=True)
class Weights:
    """Integers (..., channels) in the layout of `hybridq.deploy.network`; step and bias, real, by channel."""

    integers: Integers
    width: Width
    step: Reals
    bias: Reals


def weights_of(layer: Any, op: Operator) -> Weights:
    """What a layer with weights multiplies and adds; a float32 kernel is rounded to 8 bits, channel by channel.

    Raises UserError for settings that have no form in integers.
    """
    check_settings(op)
    if getattr(layer, "_mask", None) is not None:
        raise UserError(f"{op.name}: a mask on its kernel has no form in integers")
    acting, step, width = _acting(layer, op.name)
    channels = acting.shape[-1]
    step = np.broadcast_to(np.maximum(step, TINY).ravel(), (channels,))
    integers = np.floor(acting / step + 0.5).astype(np.int64)
    off = (np.abs(acting - integers * step) > NEAR * step).any()
    if off or np.abs(integers).max() > width.largest or (width is Width.BINARY and not integers.all()):
        raise UserError(f"{op.name}: its weights are not {width.bits}-bit integers of one step for each channel")
    return Weights(integers, width, step, _bias(layer, channels))


def check_settings(op: Operator) -> None:
    """Raise UserError for settings of a layer with weights that have no form in integers."""
    for setting, plain in (("groups", 1), ("dilation", 1), ("depth_multiplier", 1)):
        depthwise_groups = setting == "groups" and "Depthwise" in op.kind
        value = op.attributes.get(setting, plain)
        if not depthwise_groups and set(np.ravel(value)) != {plain}:
            raise UserError(f"{op.name}: {setting} {value} has no form in integers; only {plain} has")


def _acting(layer: Any, name: str) -> tuple[Reals, Reals, Width]:
    """The kernel as it multiplies, its channels last; the step of each; and the width that holds it."""
    depthwise = "Depthwise" in type(layer).__name__
    kernel = layer.depthwise_kernel if hasattr(layer, "depthwise_kernel") else layer.kernel
    quantizer = getattr(layer, "depthwise_quantizer_internal" if depthwise else "kernel_quantizer_internal", None)
    acting = np.asarray(kernel if quantizer is None else quantizer(kernel), np.float64)
    acting = acting[..., 0] if depthwise else acting
    if quantizer is None:
        step = np.abs(acting).max(axis=tuple(range(acting.ndim - 1))) / Width.INT8.largest
        return np.floor(acting / np.maximum(step, TINY) + 0.5) * step, step, Width.INT8
    scale, kind = np.asarray(quantizer.scale, np.float64), type(quantizer).__name__
    if kind in ("ternary", "DepthwiseTernary"):
        return acting, scale, Width.TERNARY
    if kind in ("binary", "DepthwiseBinary"):
        return acting, scale, Width.BINARY
    if kind in ("quantized_bits", "DepthwiseBits") and quantizer.bits <= Width.INT8.bits:
        width = Width.INT4 if quantizer.bits <= Width.INT4.bits else Width.INT8
        return acting, scale * 2.0 ** (quantizer.integer - quantizer.bits + 1), width
    raise UserError(f"{name}: weights by {quantizer} have no form in integers")


def _bias(layer: Any, channels: int) -> Reals:
    if not layer.use_bias:
        return np.zeros(channels)
    quantizer = getattr(layer, "bias_quantizer_internal", None)
    return np.asarray(layer.bias if quantizer is None else quantizer(layer.bias), np.float64)
