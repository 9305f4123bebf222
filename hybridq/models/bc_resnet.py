"""BC-ResNet: two-dimensional and one-dimensional filters in one block, the second's result broadcast over the first's.

After Kim et al., "Broadcasted Residual Learning for Efficient Keyword Spotting" (arXiv 2106.04140), table 1 and figure
2: a block filters along the coefficients, normalises bands of them apart, takes their mean, filters that along time,
and adds it to every coefficient. The paper's input is the logarithm of 40 mel bands; here it is their cepstrum. Where a
filter halves the coefficients, every second of its results is taken: TensorFlow strides a depthwise filter along both
axes alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hybridq.errors import UserError

if TYPE_CHECKING:
    from hybridq.models.base import Layers
    from hybridq.models.config import BCResNetConfig

BLOCKS = (2, 2, 4, 4)  # in each stage
WIDTHS = (2, 3, 4, 5)  # of the stages, in halves of config.width
STRIDES = (1, 2, 2, 1)  # of the first block of each stage, over the coefficients


def build(config: BCResNetConfig, shape: tuple[int, int], classes: int, layers: Layers) -> Any:
    """The network for input (coefficients, frames, 1), with softmax over the classes.

    Layers: conv2d; block_N_widen (in the first block of a stage), block_N_coefficients, block_N_time and
    block_N_pointwise; last_depthwise, last_pointwise, dense. Raises UserError where the coefficients do not divide into
    the bands.
    """

    def normed(x: Any, layer: Any) -> Any:
        return layers.BatchNormalization(name=f"{layer.name}_norm")(layer(x))

    def normed_in_bands(x: Any, name: str) -> Any:
        """Batch norm with numbers of their own for each band: the bands become channels, and coefficients again."""
        rows, frames, channels = x.shape[1:]
        if rows % config.bands:
            raise UserError(
                f"model: {shape[0]} coefficients leave {rows}, which are no multiple of {config.bands} bands"
            )
        x = layers.Reshape((config.bands, rows // config.bands, frames, channels), name=f"{name}_split")(x)
        x = layers.Permute((2, 3, 1, 4), name=f"{name}_to_channels")(x)
        x = layers.Reshape((rows // config.bands, frames, config.bands * channels), name=f"{name}_bands")(x)
        x = layers.BatchNormalization(name=f"{name}_norm")(x)
        x = layers.Reshape((rows // config.bands, frames, config.bands, channels), name=f"{name}_apart")(x)
        x = layers.Permute((3, 1, 2, 4), name=f"{name}_to_rows")(x)
        return layers.Reshape((rows, frames, channels), name=f"{name}_joined")(x)

    def block(x: Any, width: int, stride: int, dilation: int, name: str) -> Any:
        shortcuts = [x] if x.shape[-1] == width else []
        if not shortcuts:
            x = normed(x, layers.Conv2D(width, 1, use_bias=False, name=f"{name}_widen"))
            x = layers.ReLU(name=f"{name}_widen_relu")(x)
        along = layers.DepthwiseConv2D((3, 1), padding="same", use_bias=False, name=f"{name}_coefficients")
        two = along(x)
        if stride > 1:
            two = layers.MaxPooling2D(1, (stride, 1), name=f"{name}_every_second")(two)
        two = normed_in_bands(two, f"{name}_coefficients")
        one = layers.AveragePooling2D((two.shape[1], 1), name=f"{name}_mean")(two)
        along = layers.DepthwiseConv2D(
            (1, 3), padding="same", dilation_rate=(1, dilation), use_bias=False, name=f"{name}_time"
        )
        one = layers.Activation("swish", name=f"{name}_swish")(normed(one, along))
        one = layers.Conv2D(width, 1, use_bias=False, name=f"{name}_pointwise")(one)
        one = layers.SpatialDropout2D(config.dropout, name=f"{name}_dropout")(one)
        x = layers.Add(name=f"{name}_add")([two, one, *shortcuts])
        return layers.ReLU(name=f"{name}_relu")(x)

    inputs = layers.Input((*shape, 1), name="input")
    x = normed(inputs, layers.Conv2D(2 * config.width, 5, (2, 1), padding="same", use_bias=False, name="conv2d"))
    x = layers.ReLU(name="conv2d_relu")(x)
    number = 0
    for stage, (blocks, halves, stride) in enumerate(zip(BLOCKS, WIDTHS, STRIDES, strict=True)):
        for at in range(blocks):
            number += 1
            x = block(x, halves * config.width // 2, 1 if at else stride, 2**stage, f"block_{number}")
    if x.shape[1] < 5:
        raise UserError(f"model: {shape[0]} coefficients are too few for this network")
    x = layers.ZeroPadding2D((0, 2), name="last_padding")(x)
    x = layers.DepthwiseConv2D(5, use_bias=False, name="last_depthwise")(x)
    x = normed(x, layers.Conv2D(4 * config.width, 1, use_bias=False, name="last_pointwise"))
    x = layers.ReLU(name="last_pointwise_relu")(x)
    x = layers.GlobalAveragePooling2D(name="average")(x)
    x = layers.Dense(classes, activation="softmax", name="dense")(x)
    return layers.Model(inputs, x, name="bc_resnet")
