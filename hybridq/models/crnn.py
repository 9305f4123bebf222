"""CRNN: a convolution, GRUs over its frames, a dense layer, after Zhang et al., "Hello Edge" (arXiv 1711.07128)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hybridq.models.cnn import check_size
from hybridq.models.hello_edge import KERNEL

if TYPE_CHECKING:
    from hybridq.models.base import Layers
    from hybridq.models.hello_edge import CRNNConfig


def build(config: CRNNConfig, shape: tuple[int, int], classes: int, layers: Layers) -> Any:
    """The network for input (coefficients, frames, 1), with softmax over the classes.

    Layers: conv2d, gru_1, gru_2 ..., dense_1; dense is the last. Raises UserError where the convolution would leave
    nothing.
    """
    check_size(shape, (config.strides,))
    inputs = layers.Input((*shape, 1), name="input")
    x = layers.Conv2D(config.filters, KERNEL[::-1], config.strides[::-1], activation="relu", name="conv2d")(inputs)
    x = layers.Dropout(config.dropout, name="dropout_1")(x)
    coefficients, frames, channels = x.shape[1:]
    x = layers.Permute((2, 1, 3), name="time_first")(x)
    x = layers.Reshape((frames, coefficients * channels), name="frames")(x)
    for number, units in enumerate(config.units, 1):
        whole = number < len(config.units)
        x = layers.GRU(units, return_sequences=whole, reset_after=False, name=f"gru_{number}")(x)
    x = layers.Dense(config.dense, activation="relu", name="dense_1")(x)
    x = layers.Dropout(config.dropout, name="dropout")(x)
    x = layers.Dense(classes, activation="softmax", name="dense")(x)
    return layers.Model(inputs, x, name="crnn")
