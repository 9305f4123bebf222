"""DS-CNN: depthwise separable convolutions, after Zhang et al., "Hello Edge" (arXiv 1711.07128)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hybridq.models.hello_edge import KERNEL

if TYPE_CHECKING:
    from hybridq.models.base import Layers
    from hybridq.models.hello_edge import DSCNNConfig


def build(config: DSCNNConfig, shape: tuple[int, int], classes: int, layers: Layers) -> Any:
    """The network for input (coefficients, frames, 1), with softmax over the classes.

    Layers: conv2d; block_N_depthwise and block_N_pointwise; dense is the last.
    """

    def then(x: Any, layer: Any) -> Any:
        x = layers.BatchNormalization(name=f"{layer.name}_norm")(layer(x))
        return layers.ReLU(name=f"{layer.name}_relu")(x)

    inputs = layers.Input((*shape, 1), name="input")
    first = layers.Conv2D(
        config.channels, KERNEL[::-1], config.strides[::-1], padding="same", use_bias=False, name="conv2d"
    )
    x = then(inputs, first)
    for number in range(1, config.blocks + 1):
        name, stride = f"block_{number}", config.block_stride if number == 1 else 1
        depthwise = layers.DepthwiseConv2D(3, stride, padding="same", use_bias=False, name=f"{name}_depthwise")
        x = then(then(x, depthwise), layers.Conv2D(config.channels, 1, use_bias=False, name=f"{name}_pointwise"))
    x = layers.GlobalAveragePooling2D(name="average")(x)
    x = layers.Dropout(config.dropout, name="dropout")(x)
    x = layers.Dense(classes, activation="softmax", name="dense")(x)
    return layers.Model(inputs, x, name="ds_cnn")
