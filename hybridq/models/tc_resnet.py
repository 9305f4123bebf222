"""TC-ResNet: a residual network of convolutions along time alone, the coefficients as its channels.

After Choi et al., "Temporal Convolution for Real-time Keyword Spotting on Mobile Devices" (arXiv 1904.03814),
figure 2: a first convolution of three frames; blocks of two convolutions of nine frames around a shortcut, the first
of which halves the frames where the number of channels changes; the average over time. It is quick to train and
generalises well, and so a good teacher for the reference network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hybridq.models.base import Layers
    from hybridq.models.config import TCResNetConfig


def build(config: TCResNetConfig, shape: tuple[int, int], classes: int, layers: Layers) -> Any:
    """The network for input (coefficients, frames, 1), with softmax over the classes.

    Layers: conv1d for the first convolution, conv1d_1 ... in the order of the blocks; a shortcut's convolution is
    called conv1d_N_shortcut, after the one beside which it stands; dense is the last.
    """
    count = 0

    def convolution(x: Any, channels: int, length: int, stride: int, name: str) -> Any:
        x = layers.Conv1D(channels, length, stride, padding="same", use_bias=False, name=name)(x)
        return layers.BatchNormalization(name=f"{name}_norm")(x)

    def numbered() -> str:
        nonlocal count
        count += 1
        return f"conv1d_{count}"

    inputs = layers.Input((*shape, 1), name="input")
    x = layers.Permute((2, 1), name="time_first")(layers.Reshape(shape, name="matrix")(inputs))
    x = layers.ReLU(name="conv1d_relu")(convolution(x, config.channels[0], 3, 1, "conv1d"))
    for before, channels in zip(config.channels, config.channels[1:], strict=False):
        stride = 1 if channels == before else 2
        first, second = numbered(), numbered()
        shortcut = x
        if stride == 2:
            shortcut = convolution(x, channels, 1, stride, f"{first}_shortcut")
            shortcut = layers.ReLU(name=f"{first}_shortcut_relu")(shortcut)
        x = layers.ReLU(name=f"{first}_relu")(convolution(x, channels, 9, stride, first))
        x = convolution(x, channels, 9, 1, second)
        x = layers.ReLU(name=f"{second}_relu")(layers.Add(name=f"{second}_add")([x, shortcut]))
    x = layers.GlobalAveragePooling1D(name="average")(x)
    x = layers.Dropout(config.dropout, name="dropout")(x)
    x = layers.Dense(classes, activation="softmax", name="dense")(x)
    return layers.Model(inputs, x, name="tc_resnet")
