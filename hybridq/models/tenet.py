"""TENet: a residual network of inverted bottlenecks along time, with depthwise convolutions of nine frames.

After Li et al., "Small-Footprint Keyword Spotting with Multi-Scale Temporal Convolution" (arXiv 2010.09960): a first
convolution of three frames; blocks that widen by 1x1, filter each channel along time, and narrow by 1x1, around a
shortcut; the average over time. Nearly all weights are in 1x1 convolutions. The paper trains each depthwise filter as
a sum of several lengths; here it is one filter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras

    from hybridq.models.config import TENetConfig


def build(config: TENetConfig, shape: tuple[int, int], classes: int) -> keras.Model:
    """The network for input (coefficients, frames, 1), with softmax over the classes.

    Layers: first; block_N_expand, block_N_depthwise, block_N_project, and block_N_shortcut in the first block of each
    stage; dense is the last. The blocks see images of one row, as QKeras has no depthwise convolution of a sequence.
    """
    import keras
    from keras import layers

    def normed(x: keras.KerasTensor, convolution: keras.Layer) -> keras.KerasTensor:
        return layers.BatchNormalization(name=f"{convolution.name}_norm")(convolution(x))

    def pointwise(x: keras.KerasTensor, channels: int, name: str, stride: int = 1) -> keras.KerasTensor:
        return normed(x, layers.Conv2D(channels, 1, strides=stride, use_bias=False, name=name))

    def relu(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
        return layers.ReLU(name=f"{name}_relu")(x)

    inputs = keras.Input((*shape, 1), name="input")
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
    return keras.Model(inputs, x, name="tenet")
