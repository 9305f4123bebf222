"""The latent weights of binary and ternary layers: bounded in training, so that none is too far from changing its sign.

A binary weight is the sign of a real one, the latent, which the optimizer moves. Steps in one direction carry a latent
far away from zero, and it then takes as many steps back before its sign can change. A bound on the latents stops that
(Courbariaux et al., arXiv 1602.02830, with a bound of 1). Here it is a multiple of the mean magnitude of the latents of
an output channel: that mean is the scale that the layer's binary weights get, so the bound needs no unit. It comes on
top of the bound that QKeras sets, which is 1 and far away from the latents of most layers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

    from hybridq.training.settings import FitSettings

Axes = tuple[int, ...]


def latent_bound(settings: FitSettings, epoch: int) -> float | None:
    """The bound in an epoch, counted from 0: linear from the first epoch's to the last one's; None: there is none."""
    if settings.latent_clip is None:
        return None
    first, last = settings.latent_clip
    return first + (last - first) * epoch / max(1, settings.epochs - 1)


@contextmanager
def clipped_latents(model: keras.Model) -> Iterator[keras.Variable]:
    """While it lasts, each training step clips the latents to the bound that it yields, for the caller to set.

    The clipping is a constraint of the variables, part of the compiled step; the layers, and so a saved model, know
    nothing of it.
    """
    import keras

    bound = keras.Variable(float(keras.config.epsilon() ** -1), trainable=False, name="latent_bound")
    bounded = [(variable, variable.constraint, axes) for variable, axes in latents(model)]
    for variable, own, axes in bounded:
        variable.constraint = partial(_clipped, bound, own, axes)
    try:
        yield bound
    finally:
        for variable, own, _ in bounded:
            variable.constraint = own


def latents(model: keras.Model) -> list[tuple[keras.Variable, Axes]]:
    """The latent weights of each binary or ternary layer, and the axes over which a channel's mean is taken."""
    kernels = []
    for layer in model.layers:
        for name in ("kernel", "depthwise"):
            of_format = getattr(getattr(layer, f"{name}_quantizer_internal", None), "format", None)
            if of_format is not None and of_format.row.signs:
                kernel = layer.kernel if name == "kernel" else layer.depthwise_kernel
                # A depthwise one is (rows, columns, channels, multiplier); else the channels are the last axis.
                kernels.append((kernel, tuple(range(len(kernel.shape) - 1)) if name == "kernel" else (0, 1)))
    return kernels


def _clipped(bound: keras.Variable, own: Any, axes: Axes, weights: Any) -> Any:
    from keras import ops

    weights = own(weights) if own else weights
    largest = bound * ops.mean(ops.abs(weights), axis=axes, keepdims=True)
    return ops.clip(weights, -largest, largest)
