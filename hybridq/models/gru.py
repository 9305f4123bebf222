"""GRU over the frames, after Zhang et al., "Hello Edge" (arXiv 1711.07128)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hybridq.models.base import Layers
    from hybridq.models.hello_edge import GRUConfig


def build(config: GRUConfig, shape: tuple[int, int], classes: int, layers: Layers) -> Any:
    """The network for input (coefficients, frames, 1), with softmax over the classes.

    Layers: gru, with one bias for each gate, as the paper's; dense is the last.
    """
    inputs = layers.Input((*shape, 1), name="input")
    x = layers.Permute((2, 1), name="time_first")(layers.Reshape(shape, name="matrix")(inputs))
    x = layers.GRU(config.units, reset_after=False, name="gru")(x)
    x = layers.Dropout(config.dropout, name="dropout")(x)
    x = layers.Dense(classes, activation="softmax", name="dense")(x)
    return layers.Model(inputs, x, name="gru")
