"""SVDF: each unit filters the coefficients, then its own results along time; a filter of both, of rank one.

After Alvarez and Park, "End-to-end Streaming Keyword Spotting" (arXiv 1812.02802), in the form of Rybakov et al.,
"Streaming keyword spotting on mobile devices" (arXiv 2005.06720): without padding, so that the frames become fewer, and
with a projection behind each layer but the last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hybridq.errors import UserError

if TYPE_CHECKING:
    from hybridq.models.base import Layers
    from hybridq.models.config import SVDFConfig


def build(config: SVDFConfig, shape: tuple[int, int], classes: int, layers: Layers) -> Any:
    """The network for input (coefficients, frames, 1), with softmax over the classes.

    Layers: svdf_N_features, svdf_N_time and svdf_N_project; dense is the last. They see images of one row, as QKeras
    has no depthwise convolution of a sequence. Raises UserError where the filters leave no frame.
    """
    coefficients, frames = shape
    if frames < sum(config.memory) - len(config.memory) + 1:
        raise UserError(f"model: {frames} frames are too few for this network's memory")
    inputs = layers.Input((*shape, 1), name="input")
    x = layers.Permute((2, 1), name="time_first")(layers.Reshape(shape, name="matrix")(inputs))
    x = layers.Reshape((1, frames, coefficients), name="row")(x)
    for number, (units, memory) in enumerate(zip(config.units, config.memory, strict=True), 1):
        name = f"svdf_{number}"
        x = layers.Conv2D(units, 1, use_bias=False, name=f"{name}_features")(x)
        x = layers.DepthwiseConv2D((1, memory), activation="relu", name=f"{name}_time")(x)
        if number < len(config.units):
            x = layers.Conv2D(config.projections[number - 1], 1, name=f"{name}_project")(x)
    x = layers.Dropout(config.dropout, name="dropout")(layers.Flatten(name="flatten")(x))
    x = layers.Dense(classes, activation="softmax", name="dense")(x)
    return layers.Model(inputs, x, name="svdf")
