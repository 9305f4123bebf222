"""CNN: two convolutions and a dense layer of low rank, after Zhang et al., "Hello Edge" (arXiv 1711.07128)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hybridq.errors import UserError
from hybridq.models.hello_edge import KERNEL

if TYPE_CHECKING:
    from hybridq.models.base import Layers
    from hybridq.models.hello_edge import CNNConfig

STRIDES = ((1, 1), (2, 1))  # of the two convolutions: frames, coefficients


def build(config: CNNConfig, shape: tuple[int, int], classes: int, layers: Layers) -> Any:
    """The network for input (coefficients, frames, 1), with softmax over the classes.

    Layers: conv2d_1, conv2d_2, linear, dense_1; dense is the last. Raises UserError where the maps would shrink to
    nothing.
    """
    check_size(shape, STRIDES)
    inputs = x = layers.Input((*shape, 1), name="input")
    for number, (filters, strides) in enumerate(zip(config.filters, STRIDES, strict=True), 1):
        convolution = layers.Conv2D(filters, KERNEL[::-1], strides[::-1], activation="relu", name=f"conv2d_{number}")
        x = layers.Dropout(config.dropout, name=f"dropout_{number}")(convolution(x))
    x = layers.Dense(config.linear, name="linear")(layers.Flatten(name="flatten")(x))
    x = layers.Dense(config.dense, activation="relu", name="dense_1")(x)
    x = layers.Dropout(config.dropout, name="dropout")(x)
    x = layers.Dense(classes, activation="softmax", name="dense")(x)
    return layers.Model(inputs, x, name="cnn")


def check_size(shape: tuple[int, int], strides: tuple[tuple[int, int], ...]) -> None:
    """Raise UserError where unpadded convolutions with these strides leave nothing of (coefficients, frames)."""
    for axis, size, kernel, steps in zip(
        ("frames", "coefficients"), shape[::-1], KERNEL, zip(*strides, strict=True), strict=True
    ):
        left = size
        for step in steps:
            left = (left - kernel) // step + 1 if left >= kernel else 0
        if left < 1:
            raise UserError(f"model: {size} {axis} are too few for this network")
