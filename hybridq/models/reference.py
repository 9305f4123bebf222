"""The reference network: six 3x3 convolutions and three dense layers on a 38 x 55 MFCC matrix.

Reconstructed from the figures of Guarneri et al., "Hybrid Quantization for Vocal Commands Recognition on
Microcontroller" (STMicroelectronics): with padding `same` and batch norm after the pool it is consistent with the
published float32 row, with padding `valid` and batch norm before the pool with the two quantized rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hybridq.errors import UserError

if TYPE_CHECKING:
    from hybridq.models.base import Layers
    from hybridq.models.config import ReferenceConfig

POOLED = (1, 3)  # a 2x2 max-pool follows these convolutions


def build(config: ReferenceConfig, shape: tuple[int, int], classes: int, layers: Layers) -> Any:
    """The network for input (coefficients, frames, 1), with softmax over the classes.

    The layers bear Keras' own default names (conv2d, conv2d_1, ..., dense_2): precision plans match on them.
    Raises UserError where the maps would shrink to nothing.
    """
    _check_size(config, shape)
    inputs = x = layers.Input((*shape, 1), name="input")
    last = len(config.filters) - 1
    for i, filters in enumerate(config.filters):
        name = _numbered("conv2d", i)
        norm = layers.BatchNormalization(name=_numbered("batch_normalization", i))
        if i == last:  # its batch norm stands before the nonlinearity, so that it folds into the convolution
            x = norm(layers.Conv2D(filters, 3, padding=config.padding, name=name)(x))
            x = layers.Activation(config.activation, name=f"{name}_activation")(x)
            continue
        x = layers.Conv2D(filters, 3, padding=config.padding, activation=config.activation, name=name)(x)
        pool = [layers.MaxPooling2D(2, name=_numbered("max_pooling2d", POOLED.index(i)))] if i in POOLED else []
        for layer in [norm, *pool] if config.norm == "before_pool" else [*pool, norm]:
            x = layer(x)

    x = layers.Flatten(name="flatten")(x)
    x = layers.Dropout(config.dropout, name="dropout")(x)
    x = layers.Dense(config.dense[0], activation=config.activation, name="dense")(x)
    x = layers.Dropout(config.dropout, name="dropout_1")(x)
    x = layers.Dense(config.dense[1], activation=config.activation, name="dense_1")(x)
    x = layers.BatchNormalization(name=_numbered("batch_normalization", last + 1))(x)
    x = layers.Dense(classes, activation="softmax", name="dense_2")(x)
    return layers.Model(inputs, x, name="reference")


def _numbered(kind: str, i: int) -> str:
    return f"{kind}_{i}" if i else kind


def _check_size(config: ReferenceConfig, shape: tuple[int, int]) -> None:
    for axis, size in zip(("coefficients", "frames"), shape, strict=True):
        left = size
        for i in range(len(config.filters)):
            left -= 2 if config.padding == "valid" else 0
            left = left // 2 if i in POOLED else left
        if left < 1:
            raise UserError(f"model: {size} {axis} are too few for this network with padding '{config.padding}'")
