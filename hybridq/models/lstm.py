"""LSTM over the frames, basic or with a projection, after Zhang et al., "Hello Edge" (arXiv 1711.07128)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hybridq.models.base import Layers
    from hybridq.models.hello_edge import LSTMConfig


def build(config: LSTMConfig, shape: tuple[int, int], classes: int, layers: Layers) -> Any:
    """The network for input (coefficients, frames, 1), with softmax over the classes.

    Layers: lstm; dense is the last.
    """
    inputs = layers.Input((*shape, 1), name="input")
    x = layers.Permute((2, 1), name="time_first")(layers.Reshape(shape, name="matrix")(inputs))
    if config.projection is None:
        x = layers.LSTM(config.units, name="lstm")(x)
    else:
        x = layers.ProjectedLSTM(config.units, config.projection, name="lstm")(x)
    x = layers.Dropout(config.dropout, name="dropout")(x)
    x = layers.Dense(classes, activation="softmax", name="dense")(x)
    return layers.Model(inputs, x, name="lstm")
