"""TENet: a residual network of inverted bottlenecks along time, with depthwise convolutions of nine frames.

After Li et al., "Small-Footprint Keyword Spotting with Multi-Scale Temporal Convolution" (arXiv 2010.09960): a first
convolution of three frames; blocks that widen by 1x1, filter each channel along time, and narrow by 1x1, around a
shortcut; the average over time. Nearly all weights are in 1x1 convolutions. The paper trains each depthwise filter as
a sum of several lengths; here it is one filter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hybridq.models.base import Layers
    from hybridq.models.config import TENetConfig


def build(config: TENetConfig, shape: tuple[int, int], classes: int, layers: Layers) -> Any:
    """The network for input (coefficients, frames, 1), with softmax over the classes.

    Layers: first; block_N_expand, block_N_depthwise, block_N_project, and block_N_shortcut in the first block of each
    stage; dense is the last. The blocks see images of one row, as QKeras has no depthwise convolution of a sequence.
    """

    def normed(x: Any, convolution: Any) -> Any:
        return layers.BatchNormalization(name=f"{convolution.name}_norm")(convolution(x))

    def pointwise(x: Any, channels: int, name: str, stride: int = 1) -> Any:
        return normed(x, layers.Conv2D(channels, 1, strides=stride, use_bias=False, name=name))

    def relu(x: Any, name: str) -> Any:
        return layers.ReLU(name=f"{name}_relu")(x)

    inputs = layers.Input((*shape, 1), name="input")
    x = layers.Permute((2, 1), name="time_first")(layers.Reshape(shape, name="matrix")(inputs))
    x = normed(x, layers.Conv1D(config.first, 3, padding="same", use_bias=False, name="first"))
    x = layers.Reshape((1, shape[1], config.first), name="row")(relu(x, "first"))
    strides = [stride for blocks in config.blocks for stride in (2, *[1] * (blocks - 1))]
    channels = [width for width, blocks in zip(config.channels, config.blocks, strict=True) for _ in range(blocks)]
    for number, (stride, width) in enumerate(zip(strides, channels, strict=True), 1):
        name = f"block_{number}"
        shortcut = x if stride == 1 else pointwise(x, width, f"{name}_shortcut", stride)
        x = relu(pointwise(x, config.expansion * x.shape[-1], f"{name}_expand"), f"{name}_expand")
        filtered = layers.DepthwiseConv2D(
            (1, config.length), strides=stride, padding="same", use_bias=False, name=f"{name}_depthwise"
        )
        x = relu(normed(x, filtered), f"{name}_depthwise")
        x = pointwise(x, width, f"{name}_project")
        x = relu(layers.Add(name=f"{name}_add")([x, shortcut]), name)
    x = layers.GlobalAveragePooling2D(name="average")(x)
    x = layers.Dropout(config.dropout, name="dropout")(x)
    x = layers.Dense(classes, activation="softmax", name="dense")(x)
    return layers.Model(inputs, x, name="tenet")
