"""DNN: dense layers on the whole matrix, after Zhang et al., "Hello Edge" (arXiv 1711.07128)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hybridq.models.base import Layers
    from hybridq.models.hello_edge import DNNConfig


def build(config: DNNConfig, shape: tuple[int, int], classes: int, layers: Layers) -> Any:
    """The network for input (coefficients, frames, 1), with softmax over the classes.

    Layers: dense_1 ... for the hidden ones; dense is the last.
    """
    inputs = layers.Input((*shape, 1), name="input")
    x = layers.Flatten(name="flatten")(inputs)
    for number, units in enumerate(config.units, 1):
        x = layers.Dense(units, activation="relu", name=f"dense_{number}")(x)
        x = layers.Dropout(config.dropout, name=f"dropout_{number}")(x)
    x = layers.Dense(classes, activation="softmax", name="dense")(x)
    return layers.Model(inputs, x, name="dnn")
