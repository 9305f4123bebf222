"""Batch norms in training as one operation of TensorFlow: mean, variance and result together, and so their gradient.

Keras 3 composes a batch norm of a dozen operations, each of which goes over the whole tensor. TensorFlow's fused kernel
computes the same, to the order of the sums, and makes a step of the reference network about a fifth shorter
(docs/results/training-speed.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

SMALLEST_EPSILON = 1.001e-5  # TensorFlow takes a smaller one for this, on every device, as cuDNN needs it


@contextmanager
def fused_norms(model: keras.Model) -> Iterator[None]:
    """While it lasts, the model's batch norms train by the fused kernel, where Keras runs on TensorFlow.

    The layers stay what they are: what is saved, and what the model computes outside training, is Keras's own.
    """
    import keras

    norms = [layer for layer in model.layers if _fits(layer)] if keras.backend.backend() == "tensorflow" else []
    for layer in norms:
        layer.call = partial(_call, layer)
    try:
        yield
    finally:
        for layer in norms:
            del layer.call


def _fits(layer: keras.Layer) -> bool:
    """Whether it is a batch norm of Keras over the last axis, with all that the kernel expects."""
    import keras

    return (
        type(layer) is keras.layers.BatchNormalization
        and layer.built and layer.axis in (-1, layer.input_spec.ndim - 1)
        and layer.scale and layer.center and layer.epsilon >= SMALLEST_EPSILON
        and not (layer.renorm or layer.synchronized) and layer.compute_dtype == "float32"
    )  # fmt: skip


def _call(layer: keras.Layer, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
    import tensorflow as tf

    if not (training and layer.trainable) or mask is not None:
        return type(layer).call(layer, inputs, training=training, mask=mask)
    rows = tf.reshape(inputs, (-1, 1, 1, inputs.shape[-1]))
    result, mean, variance = tf.compat.v1.nn.fused_batch_norm(
        rows, tf.convert_to_tensor(layer.gamma), tf.convert_to_tensor(layer.beta), epsilon=layer.epsilon
    )
    count = tf.cast(tf.shape(rows)[0], variance.dtype)
    variance *= (count - 1) / count  # the kernel's is that of the population, Keras keeps that of the batch
    for moving, current in ((layer.moving_mean, mean), (layer.moving_variance, variance)):
        moving.assign(moving * layer.momentum + current * (1 - layer.momentum))
    return tf.reshape(result, tf.shape(inputs))
